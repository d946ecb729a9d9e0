"""Whether the audit's claims hold: planted and truthful rules, brute force, intervals, batches.

    python -m benchmarks.mechanisms.claims [PART ...]

Each part writes benchmarks/results/mechanisms_claims_PART.json; without a name all of them run.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks.common import write
from benchmarks.mechanisms.sorting import over_sort
from mechanisms import rules
from mechanisms.audit import batch, everybody, sampling
from mechanisms.audit.asking import ask
from mechanisms.audit.incentives import best_response
from mechanisms.audit.report import Settings, audit_one, prepare
from mecopt.market import scenarios as markets
from mecopt.market.instance import Market
from mecopt.market.sources import read_market
from tests.market import planted

#: Planted rules, and the kinds of finding of which at least one must be there when the market lets
#: the fault show (`shows`); truthful ones must not have a misreport.
FAULTS = {
    "pay_as_bid": ("misreport",),
    "leaks_a_cent": ("deficit",),
    "skims_a_cent": ("surplus",),
    "by_head_count": ("false-name",),
    "first_listed": ("order",),
    "favours_ties": ("order", "unequal"),
    "at_a_loss": ("irrational",),
    "short_arrays": ("error",),
    "one_step_low": ("misreport",),
}
TRUTHFUL = ("truthful", "lottery", "first_listed")


def small(seed: int, top: int = 10) -> Market:
    """One to three traders a side; every third market on whole prices."""
    rng = np.random.default_rng([seed, 5])
    n, m = rng.integers(1, 4, 2)
    if seed % 3:
        values, costs = (rng.uniform(0, top, k).round(2) for k in (n, m))
    else:
        values, costs = (rng.integers(0, top + 1, k).astype(float) for k in (n, m))
    return Market.of(values, costs, price_range=(0, top))


def claims() -> dict:
    """10^4 audits: no rule is called exact or truthful that is not, no truthful one is accused."""
    wrong: list[str] = []
    audits, exact, found = 0, 0, Counter()
    proved = [row for row in rules.NAMES if row not in ("muda", "server-clocks")]
    truthful = ("trade-reduction", "mcafee", "sbba", "vcg", "posted", "tpd", "double-english")
    for seed in range(240):
        market = small(seed)
        ready = prepare(market, Settings(True, None, 1, 0))
        for name in rules.NAMES:
            options = {"ticks": 8} if name.startswith(("dda", "server")) else {}
            row = audit_one(ask(name, rules.mechanism(name, **options)), market, ready)
            audits += 1
            exact += bool(row.regret_exact)
            gain = max(row.buyer_regret_max or 0, row.seller_regret_max or 0)
            if name in truthful and gain > 0:
                wrong.append(f"{name} accused on seed {seed}")
            if row.contradictions:
                wrong.append(f"{name} on seed {seed}: {row.contradictions}")
            if row.regret_exact and name not in proved:
                wrong.append(f"{name} called exact on seed {seed}") if name != "muda" else None
        for name in {*FAULTS, *TRUTHFUL}:
            if name == "lottery" and seed % 8:
                continue
            row = audit_one(ask(name, getattr(planted, name)), market, ready)
            audits += 1
            kinds = {f.kind for f in row.findings}
            if row.regret_exact:
                wrong.append(f"{name} called exact on seed {seed}")
            if name in TRUTHFUL and "misreport" in kinds:
                wrong.append(f"{name} accused on seed {seed}")
            if name in FAULTS and kinds & set(FAULTS[name]):
                found[name] += 1
        if seed % 20 == 19:
            print(seed + 1, audits, wrong[:3], dict(found), flush=True)
    return {"audits": audits, "exact": exact, "wrong": wrong, "markets_with_the_fault": found}


def brute() -> dict:
    """The search against every report on the grid: 2,000 small markets, every rule."""
    compared, differ, below = Counter(), [], Counter()
    for seed in range(2000):
        rng = np.random.default_rng([seed, 11])
        top = int(rng.integers(6, 13))
        values, costs = (2 * rng.integers(0, top + 1, rng.integers(1, 4)) for _ in range(2))
        market = Market(values, costs, price_range=(0, 2 * top))
        every = range(0, 2 * top + 1, 2)
        for name in rules.NAMES:
            options = {"ticks": 5} if name.startswith(("dda", "server")) else {}
            asked = ask(name, rules.mechanism(name, **options))
            outcome = asked(market)
            for side, count in (("buyer", len(values)), ("seller", len(costs))):
                trader = int(rng.integers(count))
                searched = best_response(asked, market, outcome, side, trader).gain
                best = best_response(asked, market, outcome, side, trader, every).gain
                compared[name] += 1
                if searched != best:
                    if name == "server-clocks":
                        below[name] += 1  # not declared exact
                    else:
                        differ.append((name, seed, side, trader, searched, best))
        if seed % 200 == 199:
            print(seed + 1, differ[:3], dict(below), flush=True)
    return {"markets": 2000, "compared": compared, "differ": differ, "below": below}


def shares() -> dict:
    """How often the true share of gainers lies in its interval, and the mean of the estimates."""
    rows = []
    for name in ("dda-unit-own-clock", "k-double-0.5", "dda-unit-clamped", "dda-unit-mcafee"):
        inside, trials, error = 0, 0, []
        for seed in range(10):
            market = markets.generate("balanced", seed, n=150)
            asked = ask(name, rules.mechanism(name))
            outcome = asked(market)
            gains = everybody.best_responses(asked, market, outcome)
            gaining = {(d.side, d.trader) for d in gains if d.gain > 0}
            ready = prepare(market, Settings(False))
            for side in sampling.SIDES:
                truth = sum(t[0] == side for t in gaining) / 150
                for draw in range(100):
                    chosen = sampling.choose_traders(market, ready.best.margin, 30, draw)
                    share = sampling.share_of(chosen, gaining, side)
                    if share is None or share.estimate is None:
                        continue
                    trials += 1
                    inside += share.low - 1e-12 <= truth <= share.high + 1e-12
                    error.append(share.estimate - truth)
        row = {"mechanism": name, "trials": trials, "inside": inside / trials}
        rows.append({**row, "mean_error": float(np.mean(error))})
        print(rows[-1], flush=True)
    return {"rows": rows}


def everybody_examined() -> dict:
    """Processor seconds to the exact regret of all traders at 10^4 a side (one thread)."""
    rows = []
    for kind in ("balanced",):
        market = markets.generate(kind, 1, n=10_000)
        for name in rules.NAMES:
            asked = ask(name, rules.mechanism(name))
            if rules.misfit(name, market) or not everybody.applies(asked, market):
                continue
            outcome = asked(market)
            start = time.process_time()
            found = everybody.best_responses(asked, market, outcome)
            seconds = time.process_time() - start
            gain = max(d.gain for d in found) / 2e6
            rows.append({"kind": kind, "mechanism": name, "seconds": seconds, "regret": gain})
            print(rows[-1], flush=True)
    return {"rows": rows, "slowest_seconds": max(row["seconds"] for row in rows)}


def batches() -> dict:
    """200 markets, every rule, n = 100, with regret, on two processes."""
    sources = batch.generated("balanced:n=100", range(200))
    settings = Settings(True, 10, 0, 0)
    start = time.perf_counter()
    items = batch.run(sources, None, settings, jobs=2, on_row=_say)
    seconds = time.perf_counter() - start
    table = batch.summary(items)
    columns = ["mechanism", "welfare_ratio", "welfare_minimum", "buyer_gain_share"]
    columns += ["seller_gain_share", "buyer_regret_max", "seller_regret_max", "contradictions"]
    print(table[columns].to_string())
    body = {"seconds": seconds, "rows": len(items), "sample": 10, "load": os.getloadavg()}
    return {**body, "summary": table[columns].to_dict("records")}


def batch_seconds() -> dict:
    """Processor seconds of the first 12 of those markets in one process, for a busy machine."""
    settings = Settings(True, 10, 0, 0)
    sources = batch.generated("balanced:n=100", range(13))
    batch.run(sources[12:], None, settings)  # compiles
    start = time.process_time()
    items = batch.run(sources[:12], None, settings)
    seconds = time.process_time() - start
    each = seconds / 12
    print(each, "s a market;", len(items), "rows;", 200 * each / 2, "s for 200 on two cores")
    return {"markets": 12, "rows": len(items), "sample": 10, "cpu_seconds_per_market": each}


def reading() -> dict:
    """Processor seconds to read a CSV market of 10^6 rows, with names and without."""
    prices = np.random.default_rng(0).random(1_000_000).round(6)
    rows = []
    for named in (True, False):
        lines = (
            f"{'buyer' if i % 2 else 'seller'},{p}" + (f",t{i}" if named else "")
            for i, p in enumerate(prices)
        )
        text = ("side,value,id\n" if named else "side,value\n") + "\n".join(lines) + "\n"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "market.csv"
            path.write_text(text)
            taken = []
            for _ in range(4):
                start = time.process_time()
                read_market(path, price_range=(0, 1))
                taken.append(time.process_time() - start)
        rows.append({"names": named, "cpu_seconds": statistics.median(taken)})
        print(rows[-1], flush=True)
    return {"rows": rows}


def _say(done: int, total: int) -> None:
    print(done, "of", total, flush=True)


def speed() -> dict:
    """Rules at 10^6 a side over np.sort of both sides, medians of alternating runs."""
    market = markets.generate("balanced", 1, n=1_000_000)
    names = ("dda-adaptive", "muda", "double-english", "mcafee", "posted", "sbba")
    rows = over_sort(market, names, time.perf_counter)
    for row in rows:
        print(row, flush=True)
    return {"rows": rows}


PARTS = {
    "claims": claims,
    "brute": brute,
    "shares": shares,
    "everybody": everybody_examined,
    "batch": batches,
    "batch_cpu": batch_seconds,
    "reading": reading,
    "speed": speed,
}


def main() -> None:
    for name in sys.argv[1:] or PARTS:
        write(f"mechanisms_claims_{name}", PARTS[name]())


if __name__ == "__main__":
    main()
