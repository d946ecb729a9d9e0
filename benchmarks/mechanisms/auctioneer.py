"""Learned step against doubling, one-tick clocks and bisection on held-out markets (needs torch).

    python -m benchmarks.mechanisms.auctioneer [EPISODES]

Training seeds 0.., test seeds 1,000,000... Writes benchmarks/results/mechanisms_auctioneer.json.
"""

from __future__ import annotations

import sys
import time
from functools import partial

from benchmarks.common import write
from learning.market import auctioneer
from mecopt.market import scenarios as markets


def main() -> None:
    episodes = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    rows = []
    for kind, n in (("balanced", 10), ("low-values", 20)):
        for cost in (0.002, 0.01):
            settings = auctioneer.Settings(episodes=episodes, broadcast_cost=cost)
            start = time.perf_counter()
            draw = partial(markets.generate, kind, n=n)
            q, _ = auctioneer.train(draw, settings=settings)
            seconds = time.perf_counter() - start
            test = [markets.generate(kind, 1_000_000 + s, n=n) for s in range(300)]
            table = auctioneer.compare(q, test).reset_index()
            for row in table.to_dict("records"):
                rows.append({"kind": kind, "n": n, "cost": cost, "seconds": seconds, **row})
            print(kind, cost, f"{seconds:.0f} s", table.to_string(), sep="\n", flush=True)
    write("mechanisms_auctioneer", {"episodes": episodes, "rows": rows})


if __name__ == "__main__":
    main()
