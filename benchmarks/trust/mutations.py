"""Damaged certificates of every family: none may be accepted wrongly, none may end in a traceback.

    python -m benchmarks.trust.mutations [--number 20000] [--seed 0] [--name trust_mutations]

Valid certificates of tiny instances (chains, DAGs, couplings, trees), each damaged in one of seven
ways (`tests.support.mutations`): numbers, values of other types, shapes, claims, trees, instances
with the right hash, bytes. Enumeration knows the optimum, so that an accepted interval that does
not hold it is a fraud, whatever was changed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

import formulations
from benchmarks.common import write
from tests.support.mutations import attack, valid


def main() -> None:
    """Attack and write the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=20_000, help="damaged files in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--instances", type=int, default=4, help="instances of every kind")
    parser.add_argument("--name", default="trust/mutations", help="of the result")
    asked = parser.parse_args()
    for family in ("offloading", "caching"):
        formulations.warm_up(family)
    results: dict[str, Counter[str]] = {}
    failures: list[dict[str, Any]] = []
    seconds: list[float] = []
    unknown = 0
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        documents = valid(Path(folder), asked.instances)
        for i in range(asked.number):
            document = documents[i % len(documents)]
            rng = np.random.default_rng([asked.seed, i])
            found = attack(document, rng, Path(folder) / "damaged.json")
            results.setdefault(f"{document['family']}, {found.kind}", Counter())[found.result] += 1
            seconds.append(found.seconds)
            unknown += found.result == "accepted" and found.why == "?"
            if found.result in ("fraud", "traceback"):
                failures.append({"mutation": i, "kind": found.kind, "why": found.why[:300]})
                print(failures[-1], flush=True)
    total = sum(results.values(), Counter())
    path = write(
        asked.name,
        {
            "mutations": asked.number,
            "seed": asked.seed,
            "certificates": len(documents),
            "fraud": total["fraud"],
            "tracebacks": total["traceback"],
            "results": dict(total),
            "accepted_without_enumeration": unknown,
            "seconds": time.perf_counter() - begin,
            "worst_seconds_of_a_check": max(seconds),
            "by_family_and_damage": {k: dict(v) for k, v in sorted(results.items())},
            "failures": failures,
        },
    )
    print(dict(total), path)


if __name__ == "__main__":
    main()
