"""Where the gap of forwarding lies: in the bound or in the schedule?

    python -m benchmarks.caching.forwarding [--seconds 60]

Small instances of preset `forwarding` (2 and 3 servers, 10 pairs, 15 and 25 slots). The certified
bound without branching is compared with one from a tree over residency that covers all servers
(`formulations.caching.branching`; its leaves are added up in floating point, less what rounding
may have taken, and are not part of a certificate). What the tree adds was the bound's fault for
certain; what is left between tree and schedule may be either's.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

import formulations
from benchmarks.common import write
from formulations.caching.blocks import build
from formulations.caching.branching import Tree
from formulations.caching.coupling import Coupling
from formulations.caching.oracle import LinkOracle, Pricer
from mecopt.caching.scenarios import t2drl as caching

#: Servers, slots, seed.
CASES = [(2, 15, 0), (2, 25, 0), (2, 25, 1), (3, 15, 0), (3, 25, 0)]


def measure(servers: int, slots: int, seed: int, seconds: float) -> dict[str, Any]:
    """Bound, bound of the tree, schedule."""
    x = caching.generate("forwarding", seed, servers=servers, slots=slots)
    result = formulations.solve(x, time_limit=0.5 * seconds)
    blocks = build(x)
    links = LinkOracle(blocks, Pricer(blocks, 2), Coupling(blocks))
    proof = result.proof
    assert proof is not None
    prices = np.concatenate([*(server.links for server in proof.servers), proof.coupling])
    tree = Tree(links, prices, lambda picked: None)
    tree.grow(lambda: result.objective / (1 + 1e-4), time.perf_counter() + seconds)
    of_bound = tree.bound / result.bound - 1
    return {
        "servers": servers,
        "pairs": x.n_pairs,
        "slots": slots,
        "seed": seed,
        "bound": result.bound,
        "bound_of_tree": tree.bound,
        "leaves": tree.leaves,
        "objective": result.objective,
        "gap_percent": 100 * result.gap,
        "bound_too_low_by_at_least_percent": 100 * of_bound,
        "schedule_above_tree_percent": 100 * (result.objective / tree.bound - 1),
    }


def main() -> None:
    """Measure every case and write results/caching_forwarding.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of a tree; half for a solve")
    asked = parser.parse_args()
    formulations.warm_up("caching")
    rows = []
    for case in CASES:
        rows.append(measure(*case, asked.seconds))
        print({k: round(v, 3) for k, v in rows[-1].items()}, flush=True)
        write("caching_forwarding", {"seconds": asked.seconds, "rows": rows})


if __name__ == "__main__":
    main()
