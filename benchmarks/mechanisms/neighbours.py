"""Agreement and time against pymarket 0.7.6 (MUDA) and mechaudit 0.1.0 (finite audits).

Both live in environments of their own, named on the command line:

    python -m benchmarks.mechanisms.neighbours --pymarket PYTHON --mechaudit PYTHON

Writes benchmarks/results/mechanisms_neighbours.json.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np

from benchmarks.common import exists, read, write
from mechanisms import muda, rules
from mechanisms.audit.checks import budget_verdict, utilities
from mechanisms.audit.incentives import best_response
from mecopt.market import scenarios as markets
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS

HERE = Path(__file__).parent
FINITE = (
    *("dda-unit-mid", "dda-unit-clamped", "dda-unit-own-clock", "dda-synchronous-mcafee"),
    *("dda-unit-trade-reduction", "dda-unit-trade-reduction-critical", "trade-reduction"),
    *("mcafee", "sbba", "vcg", "k-double-0", "k-double-0.5", "k-double-1", "tpd", "posted"),
    *("double-english", "muda"),
)


def ask(python: str, script: str, request: dict) -> dict:
    done = subprocess.run(
        [python, HERE / script], input=json.dumps(request), capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout)


def against_pymarket(python: str, n: int, seed: int) -> dict:
    """Vickrey MUDA with the same halves.

    pymarket takes another point of the market-clearing interval as a half's price, so welfare is
    compared twice: at its prices (must be equal) and at ours (the timed run).
    """
    market = markets.generate("balanced", seed, n=n // 2)
    values, costs = market.values / HALF_UNITS, market.costs / HALF_UNITS
    request = {"values": values.tolist(), "costs": costs.tolist(), "seed": seed}
    theirs = ask(python, "pymarket_side.py", request)
    left = np.zeros(n, bool)
    left[theirs["left"]] = True
    half = [(left[: n // 2], left[n // 2 :]), (~left[: n // 2], ~left[n // 2 :])]
    orders = np.arange(n // 2), np.arange(n // 2)

    def ours(prices=None):
        if prices is None:
            prices = [
                muda.competitive_price(market.values[b], market.costs[s], market.price_range)
                for b, s in half
            ]
        parts = [
            muda.trade_at_price(
                market, prices[1 - h], ration="vickrey", among=half[h], orders=orders
            )
            for h in (0, 1)
        ]
        return prices, parts[0][0] + parts[1][0], parts[0][1] + parts[1][1]

    prices, bought, sold = ours()
    muda.muda(market, ration="vickrey", seed=seed)
    taken, whole = [], []
    for _ in range(5):
        start = time.perf_counter()
        ours()
        taken.append(time.perf_counter() - start)
        start = time.perf_counter()
        muda.muda(market, ration="vickrey", seed=seed)
        whole.append(time.perf_counter() - start)
    welfare = float((values * bought).sum() - (costs * sold).sum())
    _, same_b, same_s = ours([round(p * HALF_UNITS) for p in theirs["prices"]])
    same = float((values * same_b).sum() - (costs * same_s).sum())
    units = {int(k): v for k, v in theirs["units"].items()}
    their_welfare = sum(q * values[i] for i, q in units.items() if i < n // 2)
    their_welfare -= sum(q * costs[i - n // 2] for i, q in units.items() if i >= n // 2)
    return {
        "bids": n,
        "seed": seed,
        "welfare": welfare,
        "welfare_at_their_prices": same,
        "pymarket_welfare": their_welfare,
        "prices": [p / HALF_UNITS for p in prices],
        "pymarket_prices": theirs["prices"],
        "seconds": statistics.median(taken),
        "pymarket_seconds": theirs["seconds"],
        "ratio": theirs["seconds"] / statistics.median(taken),
        "run_seconds": statistics.median(whole),  # with the coin flips and the outcome's object
        "run_ratio": theirs["seconds"] / statistics.median(whole),
    }


def finite_request(name: str, types: list[float]) -> tuple[dict, dict]:
    """All profiles of two buyers and two sellers, and our verdict on that finite game."""
    options = {"ticks": 10} if name.startswith("dda") else {}
    rule = rules.mechanism(name, **options)
    lattice = [int(t * HALF_UNITS) for t in types]
    rows, verdict = [], {"dsic": True, "ir": True, "weak": True, "strong": True}
    for profile in itertools.product(types, repeat=4):
        market = Market.of(profile[:2], profile[2:], price_range=(0, 10))
        outcome = rule(market)
        unit = outcome.scale * HALF_UNITS
        trades = [*outcome.buyer_units.tolist(), *outcome.seller_units.tolist()]
        paid = [*(outcome.payment / unit).tolist(), *(-outcome.receipt / unit).tolist()]
        row = {"profile": profile, "outcome": "".join(map(str, trades)), "payments": paid}
        rows.append(row)
        verdict["ir"] &= all(bool((u >= 0).all()) for u in utilities(market, outcome))
        surplus, _ = budget_verdict(outcome)
        verdict["weak"] &= surplus >= 0
        verdict["strong"] &= surplus == 0
        for side, trader in itertools.product(("buyer", "seller"), (0, 1)):
            found = best_response(rule, market, outcome, side, trader, lattice)
            verdict["dsic"] &= found.gain <= 0
    return {"buyers": 2, "sellers": 2, "types": types, "rows": rows}, verdict


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pymarket")
    parser.add_argument("--mechaudit")
    chosen = parser.parse_args()
    name = "mechanisms_neighbours"
    body: dict = read(name) if exists(name) else {}
    body.pop("provenance", None)
    if chosen.pymarket:
        body["pymarket"] = []
        for n, seeds in ((100, 10), (1000, 3), (10_000, 1)):
            for seed in range(seeds):
                row = against_pymarket(chosen.pymarket, n, seed)
                body["pymarket"].append(row)
            rows = [r for r in body["pymarket"] if r["bids"] == n]
            gaps = [abs(r["welfare_at_their_prices"] - r["pymarket_welfare"]) for r in rows]
            ratio = statistics.median(r["ratio"] for r in rows)
            run = statistics.median(r["run_ratio"] for r in rows)
            print(n, f"welfare gap {max(gaps):.2e}, {ratio:.0f} x, run {run:.0f} x", flush=True)
    if chosen.mechaudit:
        body["mechaudit"] = []
        for mechanism in FINITE:
            for types in ([2.0, 5.0, 8.0], [2.5, 5.0, 7.75]):  # on the clocks' grid, and off it
                request, verdict = finite_request(mechanism, types)
                theirs = ask(chosen.mechaudit, "mechaudit_side.py", request)
                row = {"mechanism": mechanism, "types": types, "ours": verdict, **theirs}
                row["agree"] = verdict == theirs["verdict"]
                body["mechaudit"].append(row)
                print(mechanism, types, row["agree"], verdict, flush=True)
    write(name, body)


if __name__ == "__main__":
    main()
