"""Exact routes of snapshots against enumeration, against each other, and at size.

    python -m benchmarks.accuracy_delay.exact [--tiny 300] [--seeds 8] [--limit 60]

Parts: ``tiny`` (enumeration, every route, replay), ``medium`` (50 users, gap 1e-6), ``large``
(500 users and 10 servers), ``perspective`` (the convex bound against the exact optimum), ``models``
(counts against big-m). ``--parts`` names those to run; each is a result of its own.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import formulations
from benchmarks.common import solves, write
from mecopt.accuracy_delay import replay
from mecopt.accuracy_delay.instance import QuerySnapshot
from mecopt.accuracy_delay.scenarios import goa
from mecopt.result import relative_gap
from tests.support.tiny_snapshots import brute_force, tiny_snapshot

TOLERANCE = 1e-6
#: (shares, least accuracy)
KINDS = [("equal", 0.0), ("equal", 0.8), ("optimal", 0.0), ("optimal", 0.8)]
EQUAL_ONLY = ("counts", "big-m")


def _solved(x: QuerySnapshot, method: str, gap: float, limit: float) -> dict[str, Any]:
    cpu, wall = time.process_time(), time.perf_counter()
    result = formulations.solve(x, method=method, gap=gap, time_limit=limit)
    return {
        "method": method,
        "users": x.n_users,
        "servers": x.n_servers,
        "shares": x.shares,
        "least_accuracy": x.least_accuracy,
        "seed": x.meta["seed"],
        "objective": result.objective,
        "bound": result.bound,
        "gap": result.gap,
        "termination": str(result.termination),
        "cpu_seconds": time.process_time() - cpu,
        "seconds": time.perf_counter() - wall,
    }


def _means(rows: list[dict[str, Any]], by: list[str]) -> list[dict[str, Any]]:
    """Means, worst cases and intervals of gap and seconds per group."""
    out = []
    for key, part in pd.DataFrame(rows).groupby(by, sort=False):
        out.append(
            dict(zip(by, key, strict=True))
            | {
                "instances": len(part),
                "optimal": int((part["termination"] == "optimal").sum()),
                **solves(part),
            }
        )
        print(out[-1], flush=True)
    return out


def tiny(asked: argparse.Namespace) -> dict[str, Any]:
    """Enumeration, every route and the replay on the same tiny snapshots."""
    worst: dict[str, float] = {}
    compared: dict[str, int] = {}
    failures: list[dict[str, Any]] = []
    infeasible = 0
    for seed in range(asked.tiny):
        x = tiny_snapshot(seed)
        best = brute_force(x)
        infeasible += int(np.isinf(best))
        for method in ("plans", "counts", "big-m"):
            if method in EQUAL_ONLY and x.shares != "equal":
                continue
            result = formulations.solve(x, method=method, gap=1e-9, time_limit=60.0)
            compared[method] = compared.get(method, 0) + 1
            if np.isinf(best):
                right = result.termination == "infeasible" and result.schedule is None
                off = 0.0 if right else np.inf
            else:
                assert result.schedule is not None
                again = replay(x, result.schedule.choice).objective
                off = max(abs(result.objective - best), abs(again - best), result.bound - best)
                off = max(off, abs(result.bound - best)) if method == "plans" else off
            worst[method] = max(worst.get(method, 0.0), off)
            if off > TOLERANCE:
                failures.append({"seed": seed, "method": method, "off": off})
    print(compared, worst, len(failures), flush=True)
    return {
        "snapshots": asked.tiny,
        "infeasible": infeasible,
        "tolerance_s": TOLERANCE,
        "compared": compared,
        "worst_deviation_s": worst,
        "failures": failures,
    }


def medium(asked: argparse.Namespace) -> dict[str, Any]:
    """50 users, 3 servers, gap 1e-6: shares equal and optimal, without and with an accuracy."""
    rows = [
        _solved(goa.generate(50, s, shares=shares, least_accuracy=a), "plans", 1e-6, asked.limit)
        for shares, a in KINDS
        for s in range(asked.seeds)
    ]
    return {"rows": _means(rows, ["shares", "least_accuracy"]), "records": rows}


def large(asked: argparse.Namespace) -> dict[str, Any]:
    """500 users, 10 servers, gap 0.5 %."""
    rows = [
        _solved(
            goa.generate(500, s, servers=10, shares=shares, least_accuracy=a),
            "plans",
            5e-3,
            asked.limit,
        )
        for shares, a in KINDS
        for s in range(asked.seeds)
    ]
    return {"rows": _means(rows, ["shares", "least_accuracy"]), "records": rows}


def perspective(asked: argparse.Namespace) -> dict[str, Any]:
    """The convex bound against the exact search, optimal shares."""
    rows = []
    for users in asked.users:
        for seed in range(asked.seeds):
            x = goa.generate(users, seed, shares="optimal")
            exact = _solved(x, "plans", 1e-6, asked.limit)
            convex = _solved(x, "perspective", 1e-6, 30.0)
            convex["gap"] = relative_gap(exact["objective"], convex["bound"])
            convex["exact"] = exact["objective"]
            convex["exact_seconds"] = exact["seconds"]
            # The convex route never closes a gap of its own: what counts is the exact decision.
            convex["termination"] = exact["termination"]
            rows.append(convex)
    return {"rows": _means(rows, ["users", "servers"]), "records": rows}


def models(asked: argparse.Namespace) -> dict[str, Any]:
    """The count-indexed model against big constants, and the decomposition beside them."""
    rows = [
        _solved(goa.generate(users, s, least_accuracy=a), method, 1e-6, min(asked.limit, 30.0))
        for users in (20, 50)
        for a in (0.0, 0.8)
        for method in ("plans", "counts", "big-m")
        for s in range(asked.seeds)
    ]
    return {"rows": _means(rows, ["users", "least_accuracy", "method"]), "records": rows}


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "tiny": tiny,
    "medium": medium,
    "large": large,
    "perspective": perspective,
    "models": models,
}


def main() -> None:
    """Run the parts asked for; each writes results/accuracy_delay/exact_PART.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", type=int, default=300, help="tiny snapshots")
    parser.add_argument("--seeds", type=int, default=8, help="snapshots of each kind")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of a solve")
    parser.add_argument("--users", default="10,20,30,40,50", help="of the convex bound")
    parser.add_argument("--parts", default=",".join(PARTS))
    asked = parser.parse_args()
    asked.users = [int(n) for n in asked.users.split(",")]
    formulations.warm_up("accuracy_delay")
    for name in asked.parts.split(","):
        begin = time.perf_counter()
        summary = PARTS[name](asked)
        rows = summary.pop("records", None)
        records = None if rows is None else pd.DataFrame(rows)
        summary |= {"seconds": time.perf_counter() - begin, "limit": asked.limit}
        print(write(f"accuracy_delay/exact_{name}", summary, records), flush=True)


if __name__ == "__main__":
    main()
