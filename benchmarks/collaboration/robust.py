"""What rules and agents of failing nodes lose when they are told wrong rates.

    python -m benchmarks.collaboration.robust [--seeds 0:8] [--draws 4]

Every rate is told too high or too low by a factor of two, each in its own direction; directions are
drawn `draws` times. Differences of tasks on time, in points, paired by episode and draw, with 95 %
intervals over episodes.
"""

from __future__ import annotations

import argparse

import pandas as pd

import mecopt
from benchmarks.common import interval, write
from mecopt.bench.reading import parse_range
from mecopt.collaboration.policies.misled import Misled
from mecopt.collaboration.scenarios import ledrl
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.policies import by_name

FACTOR = 2.0
POLICIES = (
    *("ratc", "agsp", "expected-success", "expected-lookahead"),
    *("mappo", "vdn", "masac", "ledrl", "reflexion"),
)
#: One draw of directions takes minutes.
SLOW = ("expected-lookahead",)


def on_time(instance: OffloadingInstance, name: str, told: int | None) -> float:
    """Share of tasks on time, with rates told right or wrong in some directions."""
    rule = by_name.make(name, seed=0)
    policy = rule if told is None else Misled(rule, FACTOR, told)
    return 1.0 - mecopt.rollout(instance, policy).drop_rate


def main() -> None:
    """Play all, write the losses."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", default="0:8")
    parser.add_argument("--draws", type=int, default=4)
    asked = parser.parse_args()
    first, last = parse_range(asked.seeds, "seeds")
    rows = []
    for name in POLICIES:
        for seed in range(first, last):
            x = ledrl.generate("paper", seed)
            right = on_time(x, name, None)
            for draw in range(1 if name in SLOW else asked.draws):
                wrong = on_time(x, name, draw)
                rows.append(
                    {"policy": name, "seed": seed, "draw": draw, "right": right, "wrong": wrong}
                )
        print(name, flush=True)
    table = pd.DataFrame(rows)
    table["points"] = 100 * (table["wrong"] - table["right"])
    summary = {}
    for policy, of in table.groupby("policy", sort=False):
        points = of.groupby("seed")["points"].mean()
        summary[str(policy)] = [float(points.mean()), *interval(points)]
    for name, found in summary.items():
        print(name, [round(v, 2) for v in found])
    body = {"seeds": [first, last], "factor": FACTOR, "points": summary}
    print(write("collaboration/robust", body, table))


if __name__ == "__main__":
    main()
