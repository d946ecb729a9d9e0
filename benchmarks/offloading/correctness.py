"""Brute force, the compact MILP and the plan decomposition on the same tiny instances.

    python -m benchmarks.offloading.correctness [--seeds 300]

Random instances of `tests.support.tiny` (chains, DAGs, capacity 2, deadlines, down intervals), and
a family built so that holding a rival up can pay. Writes ``benchmarks/results/correctness.json``.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections import Counter
from typing import Any

import numpy as np

from benchmarks.common import dumps, write
from formulations.offloading.compact import solve_milp
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.replay import replay
from mecopt.offloading.status import LATE
from mecopt.result import Result, Termination
from tests.support.tiny import brute_force, tiny_instance

TOLERANCE = 1e-6


def rival_instance(seed: int) -> OffloadingInstance:
    """Task 0 may hold up task 1 at their uplink, late or not, to the good of task 2.

    Services and deadlines vary on a 0.1-s grid around an instance in which that is optimal.
    """
    rng = np.random.default_rng([30_240, seed])
    hold, long, short = rng.integers(15, 26), rng.integers(25, 46), rng.integers(5, 16)
    own, due = rng.integers(15, 26), rng.choice([10, 30])

    def chain(name: str, *stages: tuple[str, int]) -> Option:
        return Option(name, [Stage(r, 0.1 * s) for r, s in stages])

    tasks = [
        Task(0.0, [chain("hold", ("uplink", hold))], deadline_s=0.1 * due, drop_cost_s=1.0),
        Task(0.0, [chain("offload", ("uplink", 10), ("server", long))], drop_cost_s=50.0),
        Task(
            0.0,
            [chain("offload", ("own uplink", own), ("server", short)), chain("local", ("cpu", 90))],
            deadline_s=5.0,
            drop_cost_s=10.0,
        ),
    ]
    resources = [Resource(name) for name in ("uplink", "own uplink", "server", "cpu")]
    return OffloadingInstance.from_tasks(resources, tasks)


def kind_of(x: OffloadingInstance) -> str:
    """Name of an instance's class in the counts."""
    shape = "chains" if x.is_chain else "DAGs"
    return f"{shape}, down intervals" if len(x.down_ns) else shape


def deviation(result: Result, best: float) -> float:
    """How far an answer is from brute force, relative; infinite if its outcome is wrong.

    A bound above the optimum counts in full, a bound below only as far as optimality was claimed.
    """
    scale = max(abs(best), 1e-9)
    if np.isinf(best):
        return 0.0 if result.termination is Termination.INFEASIBLE else np.inf
    if result.schedule is None or result.termination is Termination.INFEASIBLE:
        return np.inf
    above = max(result.objective - best, best - result.objective, result.bound - best)
    if result.termination is Termination.OPTIMAL:
        above = max(above, best - result.bound)
    return above / scale if above > 1e-9 else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=300, help="random instances")
    args = parser.parse_args()
    methods: dict[str, Any] = {"milp": solve_milp}
    if importlib.util.find_spec("formulations.offloading.decomposition") is not None:
        from formulations.offloading.decomposition import solve_plans

        methods["plans"] = solve_plans
    instances = [(f"tiny {s}", tiny_instance(s)) for s in range(args.seeds)]
    # DAG options with down intervals are not drawn above; only the plans cover them.
    instances += [(f"events {s}", tiny_instance(s, dag=True, down=True)) for s in range(50)]
    instances += [(f"rival {s}", rival_instance(s)) for s in range(50)]
    kinds: Counter[str] = Counter()
    worst = dict.fromkeys(methods, 0.0)
    solved, proven = Counter[str](), Counter[str]()
    seconds: Counter[str] = Counter()
    failures = []
    for name, x in instances:
        best, choice = brute_force(x)
        kinds[kind_of(x)] += 1
        kinds["with capacity 2"] += bool((x.capacity == 2).any())
        kinds["infeasible"] += bool(np.isinf(best))
        if np.isfinite(best):
            kinds["optimum runs a task late"] += bool((replay(x, choice).status == LATE).any())
        for method, solve in methods.items():
            if method == "milp" and x.needs_events:
                continue
            begin = time.perf_counter()
            row = {"instance": name, "method": method, "brute_force": best}
            solved[method] += 1
            try:
                result = solve(x, gap=TOLERANCE, time_limit=20.0)
            except Exception as error:  # a crash is a result: the other instances still count
                failures.append({**row, "error": repr(error)})
                continue
            finally:
                seconds[method] += time.perf_counter() - begin
            proven[method] += result.termination in (Termination.OPTIMAL, Termination.INFEASIBLE)
            off = deviation(result, best)
            worst[method] = max(worst[method], off)
            if off > TOLERANCE:
                ends = {"objective": result.objective, "bound": result.bound}
                failures.append({**row, **ends, "termination": str(result.termination)})
    facts = {
        "instances": len(instances),
        "kinds": dict(kinds),
        "solved": dict(solved),
        "proven": dict(proven),
        "worst_relative_deviation": worst,
        "seconds": {method: round(total, 1) for method, total in seconds.items()},
        "failures": failures,
    }
    write("correctness", facts)
    print(dumps(facts))


if __name__ == "__main__":
    main()
