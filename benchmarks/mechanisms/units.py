"""Markets of several units: the search against every report, truthful and planted rules, speed.

    python -m benchmarks.mechanisms.units [PART ...]

Each part writes benchmarks/results/mechanisms_units_PART.json; without a name all of them run.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter
from itertools import combinations

import numpy as np

from benchmarks.common import write
from benchmarks.mechanisms.sorting import over_sort
from formulations.market.units import most_welfare
from mechanisms import rules
from mechanisms.audit import audit, checks, notes, theorems
from mechanisms.audit.asking import ask
from mechanisms.audit.incentives import best_response
from mecopt.market import scenarios
from mecopt.market.instance import Market
from tests.market import units_by_hand as by_hand

#: Markets of every report, of declared rules, of planted rules.
BRUTE, DECLARED, PLANTED = 500, 400, 60
#: Planted rules and a kind of finding that must be there when the market lets the fault show.
FAULTS = {
    "pay_as_bid": "misreport",
    "skims_a_cent": "surplus",
    "leaks_a_cent": "deficit",
    "last_step_sets_the_price": "misreport",
    "by_size": "false-name",
    "at_a_loss": "irrational",
    "off_the_lot": "error",
}


def brute() -> dict:
    """The largest gain that the search finds, and that all monotone reports hold."""
    rows = {n: {"traders": 0, "unequal": 0, "gaining": 0} for n in rules.UNITS_NAMES}
    for seed in range(BRUTE):
        market = by_hand.small(seed)
        for name in rules.UNITS_NAMES:
            if rules.misfit(name, market):
                continue
            rule = rules.mechanism(name)
            truthful = rule(market)
            for side, i in by_hand.traders(market):
                best = max(0, by_hand.best_gain(rule, market, side, i))
                found = best_response(rule, market, truthful, side, i).gain
                row = rows[name]
                row["traders"] += 1
                row["unequal"] += found != best
                row["gaining"] += best > 0
    return {"markets": BRUTE, "rows": [{"mechanism": n, **row} for n, row in rows.items()]}


def declared() -> dict:
    """Rules of ours on lattice markets: contradicted cells, budgets, the two optima."""
    rows, programs = [], 0
    made = [scenarios.generate("units-lattice", seed, n=1 + seed % 3) for seed in range(DECLARED)]
    for market in made:
        best = checks.optimum(market, solver=False).welfare
        programs += most_welfare(market) != best
    for row in theorems.UNITS_TABLE:
        rule = ask(row.mechanism, rules.mechanism(row.mechanism))
        budgets: Counter[str] = Counter()
        ratios, contradicted, accused = [], 0, 0
        for market in made:
            found = audit(market, row.mechanism, false_names=0).rows[0]
            contradicted += bool(found.contradictions) + bool(notes.check(row.note, rule, market))
            truthful = row.buyers == row.sellers == "yes"
            accused += truthful and any(f.kind == "misreport" for f in found.findings)
            budgets[found.budget] += 1
            if found.optimal_welfare > 0:
                ratios.append(found.welfare_ratio)
        rows.append(
            {
                "mechanism": row.mechanism,
                "contradicted": contradicted,
                "truthful_and_accused": accused,
                "budgets": dict(budgets),
                "mean_ratio": statistics.mean(ratios),
                "smallest_ratio": min(ratios),
            }
        )
        print(rows[-1], flush=True)
    return {"markets": len(made), "optima_that_differ": programs, "rows": rows}


def _two_names_pay(rule, market: Market, buyer: int) -> bool:
    """Whether a buyer gains by some of its units under another name, at their values."""
    own = market.values[market.units_of("buyer", buyer)]
    outcome = rule(market)
    units = outcome.buyer_units[buyer]
    have = own[:units].sum() - outcome.payment[buyer]
    for size in range(1, len(own)):
        for places in combinations(range(len(own)), size):
            rest = np.delete(own, places)
            moved = market.with_report("buyer", buyer, own[list(places)].tolist())
            then = rule(moved.with_extra("buyer", rest.tolist()))
            count = then.buyer_units[buyer] + then.buyer_units[-1]
            if own[:count].sum() - then.payment[buyer] - then.payment[-1] > have:
                return True
    return False


def _shows(name: str, market: Market, rule) -> bool:
    """Whether the market lets a fault show, found by hand on the grid of reports."""
    if name == "off_the_lot":
        return True
    outcome = rule(market)
    if name in ("skims_a_cent", "leaks_a_cent", "at_a_loss"):
        return outcome.trades > 0
    if name == "by_size":
        return any(_two_names_pay(rule, market, i) for i in range(market.n_buyers))
    grid = range(market.price_range[0], market.price_range[1] + 1, 200_000)
    for side, i in by_hand.traders(market):
        if by_hand.best_gain(rule, market, side, i, prices=grid) > 0:
            return True
    return False


def planted() -> dict:
    """Rules with one fault are caught where it shows; a posted price is never accused."""
    rows = []
    for name, kind in FAULTS.items():
        rule = getattr(by_hand, name)
        shown = caught = exact = 0
        for seed in range(PLANTED):
            market = scenarios.generate("units-lattice", seed, n=1 + seed % 2)
            if not _shows(name, market, rule):
                continue
            shown += 1
            row = audit(market, {"mine": rule}).rows[0]
            caught += kind in {f.kind for f in row.findings}
            exact += bool(row.regret_exact)
        rows.append({"rule": name, "shown": shown, "caught": caught, "called_exact": exact})
        print(rows[-1], flush=True)
    accused = 0
    for seed in range(PLANTED):
        market = scenarios.generate("units-lattice", seed, n=1 + seed % 2)
        row = audit(market, {"mine": by_hand.posted}).rows[0]
        accused += any(f.kind == "misreport" for f in row.findings)
    return {"markets": PLANTED, "rows": rows, "posted_accused": accused}


def growth() -> dict:
    """W / W* of the two rules that give up trades, as markets grow (seeds are their lots, too)."""
    rows = []
    for n, seeds in ((10, 50), (100, 30), (1000, 10)):
        made = [scenarios.generate("units", seed, n=n) for seed in range(seeds)]
        best = [checks.optimum(market, solver=False).welfare for market in made]
        for name in ("units-reduction", "muda"):
            ratios = [
                checks.welfare(market, rules.run(name, market, seed=seed)) / best[seed]
                for seed, market in enumerate(made)
            ]
            row = {"traders_a_side": n, "markets": seeds, "mechanism": name}
            rows.append(row | {"mean": statistics.mean(ratios), "smallest": min(ratios)})
    return {"rows": rows}


def speed() -> dict:
    """Clearing at 10^4 traders a side (about 75,000 units each), over np.sort of both sides."""
    market = scenarios.generate("units", 0, n=10_000)
    rows = over_sort(market, rules.UNITS_NAMES, time.process_time)
    start = time.process_time()
    audited = audit(market, "uniform-price-0.5", sample=10, false_names=2).rows[0]
    seconds = time.process_time() - start
    print(rows, seconds, flush=True)
    return {
        "units": [len(market.values), len(market.costs)],
        "rows": rows,
        "audit_seconds": seconds,
        "audit": audited.regret_text,
    }


PARTS = {"brute": brute, "declared": declared, "planted": planted, "growth": growth, "speed": speed}


def main() -> None:
    for name in sys.argv[1:] or PARTS:
        write(f"mechanisms_units_{name}", PARTS[name]())


if __name__ == "__main__":
    main()
