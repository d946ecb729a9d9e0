"""Event-driven = counting = tick-by-tick, and bisection, on random double Dutch auctions.

    python -m benchmarks.mechanisms.equivalence [CASES]

Writes benchmarks/results/mechanisms_equivalence.json.
"""

from __future__ import annotations

import itertools
import sys
import time

import numpy as np

from benchmarks.common import write
from mechanisms.audit.checks import log_infidelities
from mechanisms.double_dutch import bisection
from mechanisms.double_dutch import rule as double_dutch
from mecopt.market.instance import Market
from tests.support import reference_clock

STYLES = list(
    itertools.product(double_dutch.ALTERNATIONS, double_dutch.PRICINGS, ("buyer", "seller"))
)


def case(seed: int) -> tuple[Market, int]:
    """A small market and a number of ticks: exact multiples of the step and ties are common."""
    rng = np.random.default_rng(seed)
    n, m, ticks = rng.integers(1, 8), rng.integers(1, 8), int(rng.integers(1, 12))
    size = 2 * int(rng.integers(1, 6))
    low = 2 * int(rng.integers(0, 4))
    high = low + size * ticks
    kind = rng.integers(3)
    if kind == 0:  # on the grid
        values, costs = (low + size * rng.integers(0, ticks + 1, c) for c in (n, m))
    elif kind == 1:  # anywhere
        values, costs = (2 * rng.integers(low // 2, high // 2 + 1, c) for c in (n, m))
    else:  # on the grid, one minor unit above or below
        values, costs = (
            np.clip(
                low + size * rng.integers(0, ticks + 1, c) + 2 * rng.integers(-1, 2, c), low, high
            )
            for c in (n, m)
        )
    return Market(values, costs, price_range=(low, high)), ticks


def mismatch(seed: int) -> str | None:
    """Compare the engines on one case; returns what differs."""
    market, ticks = case(seed)
    alternation, pricing, first = STYLES[seed % len(STYLES)]
    style = {"alternation": alternation, "pricing": pricing, "first_mover": first, "ticks": ticks}
    low, step = market.price_range[0], (market.price_range[1] - market.price_range[0]) // ticks
    (pay, get), rounds = reference_clock.auction(
        market.values.tolist(), market.costs.tolist(), low, step, ticks, alternation, pricing, first
    )
    outcomes = {
        "counting": double_dutch.run(market, **style),
        "event": double_dutch.run(market, **style, log=True),
    }
    if alternation == "unit" and pricing == "clamped":
        outcomes["bisection"] = bisection.run(market, first_mover=first, ticks=ticks)
    for engine, outcome in outcomes.items():
        where = f"seed {seed}, {engine}, {alternation}, {pricing}, {first}"
        if {i: outcome.payment[i] for i in np.flatnonzero(outcome.buyer_units)} != pay:
            return f"{where}: payments"
        if {j: outcome.receipt[j] for j in np.flatnonzero(outcome.seller_units)} != get:
            return f"{where}: receipts"
        if outcome.log is not None and (wrong := log_infidelities(market, outcome)):
            return f"{where}: {wrong[0]}"
        if engine != "bisection" and outcome.rounds != rounds:
            return f"{where}: rounds {outcome.rounds} against {rounds}"
        if engine == "bisection" and outcome.rounds > int(np.log2(ticks + 1)) + 1:
            return f"{where}: {outcome.rounds} broadcasts"
    return None


def main() -> None:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 24_000
    start = time.perf_counter()
    wrong = [text for seed in range(cases) if (text := mismatch(seed))]
    styles = len(STYLES)
    body = {
        "cases": cases,
        "styles": styles,
        "mismatches": wrong,
        "seconds": time.perf_counter() - start,
    }
    write("mechanisms_equivalence", body)
    print(f"{cases} cases, {styles} styles, {len(wrong)} mismatches", *wrong[:5], sep="\n")


if __name__ == "__main__":
    main()
