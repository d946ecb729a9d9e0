"""The two routes to an online bound held against each other on COMLLM presets.

    python -m benchmarks.offloading.online_routes [--presets paper,busy] [--seeds 100:104]

For every draw of servers: worlds with penalties per option, the same worlds without them (a
clairvoyant bound), and the bound of ``users-and-servers`` with the costs of rules as
`benchmarks.offloading.online` measured them. Slots of cost per task; writes
``results/online_routes.json``.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import pandas as pd

import formulations
from benchmarks.common import interval, records, write
from formulations.online.penalties.comllm import ComllmLaw
from formulations.online.penalties.route import penalised_bound, shape_for
from mecopt.bench.reading import parse_names, parse_range
from mecopt.offloading.scenarios import comllm

#: Worlds of a draw of servers, and seconds for the bound of one.
WORLDS, LIMIT_S = 6, 2.0
RULES = ("priced", "user-values", "lookahead")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", default="paper,busy")
    parser.add_argument("--seeds", default="100:104")
    args = parser.parse_args()
    formulations.warm_up()
    known = records("online").set_index(["preset", "seed"])
    rows = []
    for preset in parse_names(args.presets):
        for seed in range(*parse_range(args.seeds)):
            law = ComllmLaw(comllm.generate(preset, seed))
            shape = shape_for(law)
            row = {"preset": preset, "seed": seed}
            for name, theta in (("penalised", shape.theta), ("clairvoyant", 0.0)):
                of = replace(shape, theta=theta)
                bound = penalised_bound(law, of, worlds=WORLDS, time_limit_s=LIMIT_S, gap=3e-4)
                row[name] = bound.estimate_per_task_slots
                row[f"{name}_lower_95"] = bound.lower_95_per_task_slots
            measured = known.loc[(preset, seed)]
            row["users-and-servers"] = measured["bound"]
            rows.append(row | {rule: measured[f"cost of {rule}"] for rule in RULES})
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    names = ("clairvoyant", "users-and-servers", *RULES)
    presets = {
        preset: {
            "penalised_slots": part["penalised"].mean(),
            "above_penalised_percent": {
                name: [100 * float(np.mean(part[name] / part["penalised"] - 1))]
                + interval(100 * (part[name] / part["penalised"] - 1))
                for name in names
            },
        }
        for preset, part in table.groupby("preset", sort=False)
    }
    write("online_routes", {"worlds": WORLDS, "presets": presets, "rows": rows})


if __name__ == "__main__":
    main()
