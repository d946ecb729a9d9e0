"""Speed of this checkout against an older one, in pairs.

    python -m benchmarks.offloading.paired --old FOLDER [--pairs 8] [--only replay,moves]

Every pair runs the same work in two fresh processes, one after the other, one of each checkout;
which of them goes first changes from pair to pair. Compilation is left out. The two answers must be
equal, so that a ratio compares equal work. A ratio is new seconds over old seconds of one pair;
the table shows the mean over pairs with its 95 % bootstrap interval, for CPU and for wall time.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Work = Callable[[], float]

#: Modules that moved: today's name, then the names that older checkouts have.
FORMER = {
    "mecopt.offloading.kernel": ("mecopt.kernel",),
    "mecopt.offloading.replay": ("mecopt.simulate",),
    "mecopt.offloading.scenarios.comllm": ("mecopt.scenarios.comllm",),
    "mecopt.offloading.policies.simple": ("mecopt.policies.simple",),
    "mecopt.offloading.policies.lookahead": ("mecopt.policies.lookahead",),
    "formulations.offloading.decomposition": ("formulations.plans",),
    "formulations.offloading.pricing.oracle": ("formulations.pricing.oracle",),
    "formulations.offloading.search": ("formulations.search",),
}


def module(name: str) -> Any:
    """A module by today's name, from whichever checkout this process runs."""
    for known in (name, *FORMER[name]):
        try:
            return importlib.import_module(known)
        except ModuleNotFoundError as error:
            if not known.startswith(str(error.name)):
                raise
    raise SystemExit(f"neither {name} nor a former name of it can be imported")


def episode(preset: str, seed: int = 0) -> Any:
    """A COMLLM episode."""
    return module("mecopt.offloading.scenarios.comllm").generate(preset, seed)


def rolled(instance: Any, policy: str) -> Any:
    """Schedule of a rule that needs no tuning."""
    rule = getattr(module("mecopt.offloading.policies.simple"), policy)()
    return module("mecopt.offloading.replay").rollout(instance, rule)


def replay() -> Work:
    """The compiled replay alone, 4000 times over a paper episode."""
    kernel, x = module("mecopt.offloading.kernel"), episode("paper")
    slots = int(x.arrays.slot_ptr[-1])
    out = [np.empty(slots, dtype=np.int64) for _ in range(3)]
    completion, status = np.empty(x.n_tasks, dtype=np.int64), np.empty(x.n_tasks, np.int8)
    choice = rolled(x, "OneStepOracle").choice

    def work() -> float:
        for _ in range(4000):
            kernel.replay_lindley(x.arrays, x.service_ns, choice, *out, completion, status)
        return float(completion.sum())

    return work


def observation() -> Work:
    """Rollouts of the one-step oracle: what a decision costs when the rule itself is cheap."""
    instances = [episode("paper", seed) for seed in range(10)]
    return lambda: sum(rolled(x, "OneStepOracle").objective for x in instances)


def lookahead() -> Work:
    """One rollout of the look-ahead rule on a busy episode."""
    x, simulate = episode("busy"), module("mecopt.offloading.replay")
    policy = module("mecopt.offloading.policies.lookahead").Lookahead()
    return lambda: float(simulate.rollout(x, policy).objective)


def moves() -> Work:
    """200,000 annealing moves on a paper episode."""
    module_ = module("formulations.offloading.search")
    x = episode("paper")
    choice = rolled(x, "OneStepOracleDrop").choice
    tried = module_.candidates(x)

    def work() -> float:
        search = module_.Search(x)
        search.set(choice)
        least, _ = search.anneal(tried, hot_ns=1e8, cold_ns=1e5, moves=200_000, seed=0)
        return float(getattr(least, "total", least))  # older checkouts: the sum alone

    return work


def pricing() -> Work:
    """100 sweeps of the dual oracle over a paper episode."""
    pricing_ = module("formulations.offloading.pricing.oracle")
    x = episode("paper")
    oracle, branch = pricing_.Oracle(x), pricing_.root_branch(x)
    prices = np.full(oracle.n_rows, 0.1)

    def work() -> float:
        for _ in range(100):
            priced = oracle.price(prices, branch)
        return float(oracle.dual_value(prices, priced))

    return work


def gaps() -> Work:
    """Seconds of the decomposition until three paper episodes are within a gap of 1e-3."""
    solve = module("formulations.offloading.decomposition").solve_plans
    instances = [episode("paper", seed) for seed in range(3)]

    def work() -> float:
        return float(all(solve(x, gap=1e-3, time_limit=60).gap <= 1e-3 for x in instances))

    return work


MEASURES = {f.__name__: f for f in (replay, observation, lookahead, moves, pricing, gaps)}


def side(name: str, rounds: int = 5) -> dict[str, float]:
    """CPU and wall seconds of one measure in this process: the least of some rounds."""
    work = MEASURES[name]()
    answer = work()  # compiles, or loads what was compiled
    cpu, wall = [], []
    for _ in range(rounds):
        began = time.process_time(), time.perf_counter()
        again = work()
        cpu.append(time.process_time() - began[0])
        wall.append(time.perf_counter() - began[1])
        if again != answer:
            raise SystemExit(f"{name}: two rounds answer {answer} and {again}")
    return {"answer": answer, "cpu": min(cpu), "wall": min(wall)}


def in_checkout(folder: Path, name: str) -> dict[str, float]:
    """`side` in a fresh process that imports from a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", str(Path(__file__).resolve()), "--side", name]
    done = subprocess.run(
        command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    out: dict[str, float] = json.loads(done.stdout)
    return out


def compare(name: str, old: Path, new: Path, pairs: int) -> dict[str, Any]:
    """One row: ratios of all pairs, their means and intervals."""
    from benchmarks.common import interval

    rows = []
    for i in range(-1, pairs):  # the first pair fills the caches of both and is not counted
        pair = {}
        for which in ("old", "new") if i % 2 else ("new", "old"):
            pair[which] = in_checkout(old if which == "old" else new, name)
        if pair["old"]["answer"] != pair["new"]["answer"]:
            raise SystemExit(f"{name}: the answers differ: {pair}")
        rows.append(pair)
    row: dict[str, Any] = {"measure": name, "what": MEASURES[name].__doc__, "pairs": rows[1:]}
    for clock in ("cpu", "wall"):
        ratios = [pair["new"][clock] / pair["old"][clock] for pair in rows[1:]]
        row[f"{clock}_ratio"] = float(np.mean(ratios))
        row[f"{clock}_ratio_interval"] = interval(ratios)
    return row


def main() -> None:
    """Measure all and write results/paired.json."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--old", type=Path, help="folder of the older checkout")
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--only", default=",".join(MEASURES), help="measures, by commas")
    parser.add_argument("--side", choices=MEASURES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side:
        print(json.dumps(side(asked.side)))
        return
    if asked.old is None or not (asked.old / "mecopt").is_dir():
        parser.error(f"--old = {asked.old} must be the folder of a checkout")
    from benchmarks.common import write

    new = Path(__file__).resolve().parents[2]
    rows = []
    for name in asked.only.split(","):
        rows.append(compare(name, asked.old.resolve(), new, asked.pairs))
        row = rows[-1]
        for clock in ("cpu", "wall"):
            low, high = row[f"{clock}_ratio_interval"]
            print(
                f"{name:12s} {clock:4s} {row[f'{clock}_ratio']:.3f} ({low:.3f} to {high:.3f})",
                flush=True,
            )
    write("paired", {"rows": rows})


if __name__ == "__main__":
    main()
