"""Seeded cases of every kind, checked against something slow and simple: none may fail.

    python -m benchmarks.trust.fuzz [--cases 1000000] [--kinds replay,plans,...] [--first 0]

Kinds, and their share of the cases (most are cheap replays):

* ``replay``: the compiled replay of a random decision against the event list in plain integers,
  task by task to the nanosecond; tiny chains, graphs, failures, and costs over fourteen orders;
* ``simpy``: the same against a SimPy model, on COMLLM episodes;
* ``moves``: the search after random changes against a full replay;
* ``plans``: the interval of the plan decomposition with a gap of 0 around the brute-force optimum,
  proven where it says so, and its certificate accepted;
* ``early``: the same at limits of 0 to 20 ms;
* ``milp``: the compact model against brute force, within a solver's tolerance;
* ``caching-replay``, ``caching-plans``: the same for caching, with and without coupled servers;
* ``snapshots-replay``, ``snapshots-plans``: the same for snapshots of queries, with equal and
  optimal shares, with and without an accuracy to reach.

A case is a kind and a number, so that any part can run alone. The first failure ends the run: the
case is written to ``benchmarks/results/trust/failure.json`` and the command that repeats it is
printed. Else the counts of each kind go to ``benchmarks/results/trust/fuzz.json`` when it is done.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import formulations
from benchmarks.common import dumps, exists, read, write
from benchmarks.offloading.replay import simpy_completions
from formulations.offloading.compact import solve_milp
from formulations.offloading.decomposition import ROUNDING, solve_plans
from formulations.offloading.search import Search, score_of
from mecopt.caching import replay as replay_caching
from mecopt.certificates import verify as certificate
from mecopt.certificates.accuracy_delay.values import Snapshot
from mecopt.certificates.budget import Budget
from mecopt.certificates.caching.values import exact_cost
from mecopt.certificates.offloading.replay import exact_replay
from mecopt.certificates.scales import COST_SCALE
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.replay import replay
from mecopt.offloading.scenarios import comllm
from mecopt.offloading.status import NEVER
from mecopt.result import Result, Termination
from tests.support import tiny_caching
from tests.support.leaves import leaf_instance
from tests.support.tiny import KINDS, brute_force, tiny_instance
from tests.support.tiny_snapshots import brute_force as brute_force_snapshot
from tests.support.tiny_snapshots import decisions, tiny_snapshot
from tests.support.wild import wild_instance

#: Decisions replayed of one instance, each a case.
DECISIONS = 20
#: A solver's claim may be off by this share of what the costs add up to.
SOLVER = 1e-6
SCRATCH = Path(tempfile.mkdtemp(prefix="mecopt-fuzz-"))


class Wrong(Exception):
    """What a case should not have done."""


def claim(holds: bool, **values: Any) -> None:
    """Raise `Wrong` with the values unless something holds."""
    if not holds:
        raise Wrong(", ".join(f"{name} = {value!r}" for name, value in values.items()))


def offloading(seed: int) -> OffloadingInstance:
    """A tiny instance of any kind."""
    kinds = list(KINDS.values())
    which = seed % (len(kinds) + 2)
    if which < len(kinds):
        return tiny_instance(seed, **kinds[which])
    return leaf_instance(seed) if which == len(kinds) else wild_instance(seed)


def decision(x: OffloadingInstance, rng: np.random.Generator) -> np.ndarray:
    """A random choice of every task."""
    return rng.integers(-1, np.diff(x.option_ptr))


# ------------------------------------------------------------------ kinds: (seed) -> cases done
def check_replay(seed: int) -> int:
    """Completions to the nanosecond, costs to rounding."""
    x, rng = offloading(seed), np.random.default_rng(seed)
    for _ in range(DECISIONS):
        choice = decision(x, rng)
        mine, theirs = replay(x, choice), exact_replay(x, choice.tolist())
        ends = [NEVER if t is None else t for t in theirs.completion]
        claim(mine.completion_ns.tolist() == ends, choice=choice.tolist())
        cost = [np.inf if c is None else c / COST_SCALE * 1e-9 for c in theirs.cost]
        fixed = np.abs(x.fixed_cost_ns).max() * 1e-9  # what latency and gain may cancel
        same = np.allclose(mine.cost_s, cost, rtol=1e-12, atol=1e-15 + 1e-15 * fixed)
        claim(same, choice=choice.tolist(), mine=mine.cost_s.tolist(), theirs=cost)
    return DECISIONS


def check_simpy(seed: int) -> int:
    """Completions to the nanosecond, by another simulator."""
    preset = ("paper", "busy", "slow-servers")[seed % 3]
    x = comllm.generate(preset, seed, users=4, servers=3, slots=10)
    choice = decision(x, np.random.default_rng(seed))
    claim(np.array_equal(replay(x, choice).completion_ns, simpy_completions(x, choice)))
    return 1


def check_moves(seed: int) -> int:
    """Scores of the incremental search."""
    x, rng = offloading(seed), np.random.default_rng(seed)
    if not x.is_chain or len(x.down_ns):
        return check_replay(seed)
    search = Search(x)
    for _ in range(DECISIONS):
        choice = decision(x, rng)
        search.set(choice)
        cost = replay(x, choice).cost_s
        fresh, noise = score_of(cost * 1e9), 1e-6 * np.abs(cost[np.isfinite(cost)]).sum() + 1e-3
        close = abs(search.score.total - fresh.total) <= noise
        claim(close and search.score.forbidden == fresh.forbidden, choice=choice.tolist())
    return DECISIONS


def holds(result: Result, best: float, size: float, slack: float) -> None:
    """Whether an interval is around the optimum, and closed where it says so.

    `size` is the sum of absolute costs of an optimal decision, `slack` a share of it.
    """
    facts = {
        "best": best, "objective": result.objective, "bound": result.bound,
        "termination": str(result.termination),
    }  # fmt: skip
    if np.isinf(best):
        claim(result.schedule is None, **facts)
        claim(result.termination is not Termination.OPTIMAL, **facts)
        return
    claim(result.termination is not Termination.INFEASIBLE, **facts)
    claim(result.bound <= best + max(slack, 1e-15) * size, **facts)
    claim(result.objective >= best - 1e-15 * size, **facts)
    if result.termination is Termination.OPTIMAL:
        claim(result.objective - best <= max(slack, ROUNDING) * size, **facts)


def verified(result: Result) -> None:
    """Whether the certificate of a result is accepted."""
    if result.schedule is not None:
        certificate.save(SCRATCH / "certificate.json", result)
        verdict = certificate.verify(SCRATCH / "certificate.json")
        claim(verdict.ok, problems=verdict.problems)


def optimum(x: OffloadingInstance) -> tuple[float, float]:
    """Least objective, and the sum of absolute costs behind it."""
    best, choice = brute_force(x)
    return best, float(np.abs(replay(x, choice).cost_s).sum()) if np.isfinite(best) else 0.0


def check_plans(seed: int) -> int:
    """Proven, right and certified."""
    x = offloading(seed)
    result = solve_plans(x, gap=0.0, time_limit=60.0)
    holds(result, *optimum(x), 0.0)
    finished = (Termination.OPTIMAL, Termination.INFEASIBLE)
    claim(result.termination in finished, termination=str(result.termination))
    verified(result)
    return 1


def check_early(seed: int) -> int:
    """Valid and certified, whenever it is stopped."""
    x = offloading(seed)
    result = solve_plans(x, gap=0.0, time_limit=(0.0, 0.001, 0.005, 0.02)[seed % 4])
    holds(result, *optimum(x), 0.0)
    verified(result)
    return 1


def check_milp(seed: int) -> int:
    """Right within a solver's tolerance."""
    x = offloading(seed)
    if x.needs_events:
        return check_plans(seed)
    holds(solve_milp(x, gap=SOLVER, time_limit=60.0), *optimum(x), SOLVER)
    return 1


def caching(seed: int) -> Any:
    """A tiny caching instance of any kind."""
    kinds = list(tiny_caching.KINDS.values())
    return tiny_caching.tiny_instance(seed, **kinds[seed % len(kinds)])


def check_caching_replay(seed: int) -> int:
    """Cost of the plan that a short solve finds, against plain integers."""
    x = caching(seed)
    plan = formulations.solve(x, time_limit=0.0).schedule
    again = replay_caching(x, plan.a, plan.flow if x.is_forwarding else plan.flow[:, 1])
    total = exact_cost(x, plan.a.astype(int).tolist(), plan.flow.tolist(), Budget())
    claim(not isinstance(total, str), broken=total)
    claim(again.objective == plan.objective)
    close = abs(total / COST_SCALE - plan.objective) <= 1e-12 * max(1.0, plan.objective)
    claim(close, exact=total / COST_SCALE, objective=plan.objective)
    return 1


def check_caching_plans(seed: int) -> int:
    """The interval around brute force, and its certificate."""
    x = caching(seed)
    best = tiny_caching.brute_force(x).objective
    result = formulations.solve(x, gap=1e-6, time_limit=2.0)
    claim(result.bound <= best + 1e-9, bound=result.bound, best=best)
    claim(result.objective >= best - 1e-9, objective=result.objective, best=best)
    if result.termination is Termination.OPTIMAL:
        claim(result.objective <= best * (1 + 1e-6) + 1e-9, objective=result.objective, best=best)
    verified(result)
    return 1


def check_snapshots_replay(seed: int) -> int:
    """Costs of decisions of a snapshot against plain integers."""
    x = tiny_snapshot(seed)
    exact, done = Snapshot(x), 0
    for found in itertools.islice(decisions(x), DECISIONS):
        total = exact.cost(found.choice.tolist())
        same = total == found.units if found.is_feasible else isinstance(total, str)
        claim(same, choice=found.choice.tolist(), units=found.units, exact=total)
        done += 1
    return done


def check_snapshots_plans(seed: int) -> int:
    """The interval of a snapshot around brute force, and its certificate."""
    x = tiny_snapshot(seed)
    best = brute_force_snapshot(x)
    result = formulations.solve(x, gap=1e-9, time_limit=10.0)
    claim(result.bound <= best, bound=result.bound, best=best)
    claim(result.objective >= best, objective=result.objective, best=best)
    if result.termination is Termination.OPTIMAL:
        claim(result.objective <= best + 1e-8 * max(1.0, abs(best)), best=best)
    if result.schedule is not None:
        verified(result)
    return 1


#: Kind -> check, and its share of the cases.
CHECKS: dict[str, tuple[Callable[[int], int], float]] = {
    "replay": (check_replay, 0.83),
    "simpy": (check_simpy, 0.02),
    "moves": (check_moves, 0.1),
    "plans": (check_plans, 0.01),
    "early": (check_early, 0.01),
    "milp": (check_milp, 0.004),
    "caching-replay": (check_caching_replay, 0.003),
    "caching-plans": (check_caching_plans, 0.003),
    "snapshots-replay": (check_snapshots_replay, 0.017),
    "snapshots-plans": (check_snapshots_plans, 0.003),
}
INSTANCES: dict[str, Callable[[int], Any]] = {
    "caching-replay": caching,
    "caching-plans": caching,
    "snapshots-replay": tiny_snapshot,
    "snapshots-plans": tiny_snapshot,
}


def run(kind: str, cases: int, first: int) -> int:
    """Check a kind until so many cases are done; returns how many."""
    check, _ = CHECKS[kind]
    done, seed, shown = 0, first, time.perf_counter()
    while done < cases:
        try:
            done += check(seed)
        except Exception as error:
            say = error if isinstance(error, Wrong) else traceback.format_exc()
            made = INSTANCES.get(kind, offloading)(seed) if kind != "simpy" else None
            document = None if made is None else made.to_document()
            write("trust/failure", {"kind": kind, "seed": seed, "why": str(say), "case": document})
            repeat = f"python -m benchmarks.trust.fuzz --kinds {kind} --first {seed} --cases 1"
            sys.exit(f"{kind} {seed}: {say}\n{repeat}")
        seed += 1
        if time.perf_counter() - shown > 30:
            shown = time.perf_counter()
            print(f"  {kind}: {done:,} of {cases:,}", flush=True)
    return done


def keep(name: str, row: dict[str, Any]) -> int:
    """Put the row of a kind in place of an older one of the same kind; returns cases in all."""
    rows = read(name)["rows"] if exists(name) else []
    rows = [old for old in rows if old["kind"] != row["kind"]] + [row]
    total = sum(row["cases"] for row in rows)
    write(name, {"cases": total, "failures": 0, "rows": rows})
    return total


def main() -> None:
    """Check all kinds and write results/trust/fuzz.json."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=1_000_000, help="in all")
    parser.add_argument("--kinds", default=",".join(CHECKS), help="by commas")
    parser.add_argument("--first", type=int, default=0, help="first number")
    parser.add_argument("--name", default="trust/fuzz", help="of the result")
    asked = parser.parse_args()
    kinds = asked.kinds.split(",")
    for kind in kinds:
        if kind not in CHECKS:
            parser.error(f"--kinds: unknown {kind!r}, of {', '.join(CHECKS)}")
    formulations.warm_up()
    formulations.warm_up("caching")
    formulations.warm_up("accuracy_delay")
    share = sum(CHECKS[kind][1] for kind in kinds)
    for kind in kinds:
        wall, cpu = time.perf_counter(), time.process_time()
        done = run(kind, max(1, round(asked.cases * CHECKS[kind][1] / share)), asked.first)
        row = {
            "kind": kind,
            "first": asked.first,
            "cases": done,
            "failures": 0,
            "wall_seconds": round(time.perf_counter() - wall, 1),
            "cpu_seconds": round(time.process_time() - cpu, 1),
        }
        print(dumps(row), flush=True)
        total = keep(asked.name, row)
    print(f"{total:,} cases on record, no failure")


if __name__ == "__main__":
    main()
