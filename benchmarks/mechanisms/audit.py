"""How fast the audit is, how good and fast DDA-G is, and what false names and regret cost.

    python -m benchmarks.mechanisms.audit

Writes benchmarks/results/mechanisms_audit.json.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.common import interval, write
from formulations.market import assignment
from mechanisms import rules, server_clocks
from mechanisms.audit import checks as audit_checks
from mechanisms.audit import statistics as audit_statistics
from mechanisms.audit import theorems
from mechanisms.audit.report import audit
from mecopt.market import scenarios as markets
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS

SEALED = ("trade-reduction", "mcafee", "sbba", "vcg", "k-double-0.5", "tpd", "posted")


def audit_times() -> list[dict]:
    """Without regret at 10^5 a side; 200 sampled agents at 10^4 (sealed) or 200 (others)."""
    rows = []
    large = markets.generate("balanced", 0, n=100_000)
    names = [n for n in rules.NAMES if rules.fits(n, large)]
    for name in names:
        rule = rules.mechanism(name)
        start = time.perf_counter()
        audit(large, {name: rule}, incentives=False)
        plain = time.perf_counter() - start
        n = 10_000 if name in SEALED else 200
        market = markets.generate("balanced", 0, n=n)
        rule(market)
        start = time.perf_counter()
        found = audit(market, {name: rule}, sample=200, false_names=0).rows[0]
        row = {"mechanism": name, "plain_s": plain, "side": n}
        row |= {"regret_s": time.perf_counter() - start, "examined": found.examined}
        row |= {"buyer_regret": found.buyer_regret_max, "seller_regret": found.seller_regret_max}
        rows.append(row)
        print({k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    return rows


def server_clock_quality() -> dict:
    """Welfare ratio at 20 and 100 ticks, and time against linear_sum_assignment."""
    body: dict = {}
    graphs = [markets.generate("graph", seed, n=60, servers=6) for seed in range(200)]
    best = [assignment.solve(m).welfare for m in graphs]
    for ticks in (20, 100, 1000):
        ratio = []
        for market, top in zip(graphs, best, strict=True):
            out = server_clocks.run(market, ticks=ticks)
            worth, spent = audit_checks.unit_gains(market, out)
            welfare = int(worth.sum()) - int(spent.sum())
            assert welfare >= top - out.parameters["step"] * market.n_buyers
            ratio.append(welfare / top)
        low, high = interval(np.array(ratio))
        row = {"mean": float(np.mean(ratio)), "low": low, "high": high, "minimum": min(ratio)}
        body[f"ticks_{ticks}"] = row
        print(ticks, row, flush=True)
    market = markets.generate("graph", 0, n=1000, servers=50)
    seats = np.repeat(np.maximum(market.surplus, 0), market.seats, axis=1).astype(float)
    ours, scipys = [], []
    for _ in range(5):
        market = market.replace()  # no cached properties: the whole run is timed
        start = time.perf_counter()
        out = server_clocks.run(market)
        ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        chosen = linear_sum_assignment(seats, maximize=True)
        scipys.append(time.perf_counter() - start)
    worth, spent = audit_checks.unit_gains(market, out)
    body["large"] = {
        "buyers": 1000,
        "servers": 50,
        "seats": seats.shape[1],
        "seconds": statistics.median(ours),
        "scipy_seconds": statistics.median(scipys),
        "speedup": statistics.median(b / a for a, b in zip(ours, scipys, strict=True)),
        "ratio": (int(worth.sum()) - int(spent.sum())) / float(seats[chosen].sum()),
    }
    print(body["large"], flush=True)
    return body


def alternations() -> list[dict]:
    """Welfare ratio at 1000 x 1000 traders and 100 ticks."""
    rows = []
    for kind in ("balanced", "low-values", "five-to-one"):
        made = [markets.generate(kind, seed, n=1000) for seed in range(200)]
        for name in ("unit", "synchronous", "flip", "tick"):
            ratio = audit_statistics.ratios(f"dda-{name}-clamped", made)
            low, high = interval(ratio)
            row = {"kind": kind, "alternation": name, "mean": float(ratio.mean())}
            rows.append({**row, "low": low, "high": high, "minimum": float(ratio.min())})
            print(rows[-1], flush=True)
    return rows


def false_names() -> list[dict]:
    """Share of traders for whom one extra report pays, 5 a side, 40 markets."""
    rows = []
    for name in ("mcafee", "sbba", "trade-reduction", "dda-unit-clamped", "vcg", "tpd", "posted"):
        rule = rules.mechanism(name)
        gains, examined = 0, 0
        for seed in range(40):
            row = audit(markets.generate("balanced", seed, n=5), {name: rule}).rows[0]
            gains += round((row.false_name_gain_share or 0.0) * row.examined)  # all are examined
            examined += row.examined
        bound = audit_statistics.event_upper_bound(gains, examined)
        rows.append({"mechanism": name, "share": gains / examined, "upper_95": bound})
        print(rows[-1], flush=True)
    return rows


def graph_regret() -> dict:
    """Largest gains of buyers and sellers under DDA-G, in steps, small graphs, 20 ticks."""
    made = [markets.generate("graph", seed, n=4, servers=2) for seed in range(200)]
    found = theorems.gather(theorems.GRAPH_TABLE[0], made, ticks=20)
    row = {"buyer_steps": found.buyer_steps, "seller_steps": found.seller_steps}
    row |= {"instances": found.instances, "contradictions": found.contradictions}
    print(row, flush=True)
    return row


def trade_reduction_quality() -> list[dict]:
    """Welfare ratio of generalised trade reduction with one, two and four providers a site."""
    rows = []
    for providers in (1, 2, 4):
        ratio = []
        for seed in range(200):
            sites = markets.generate("graph", seed, n=60, servers=6)
            site = np.repeat(np.arange(6), providers)
            market = Market.of(
                sites.values / HALF_UNITS,
                np.random.default_rng(seed).uniform(0, 0.3, len(site)).round(6),
                price_range=(0, 1),
                seats=np.maximum(1, sites.seats[site] // providers).tolist(),
                compatible=sites.compatible[:, site],
                link_cost=sites.link_cost[:, site] / HALF_UNITS,
            )
            out = rules.run("generalised-trade-reduction", market)
            assert audit_checks.budget_verdict(out)[0] >= 0
            worth, spent = audit_checks.unit_gains(market, out)
            ratio.append((int(worth.sum()) - int(spent.sum())) / assignment.solve(market).welfare)
        low, high = interval(np.array(ratio))
        row = {"providers": providers, "mean": float(np.mean(ratio)), "low": low, "high": high}
        rows.append({**row, "minimum": min(ratio)})
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    body = {
        "alternations": alternations(),
        "server_clocks": server_clock_quality(),
        "graph_regret": graph_regret(),
        "trade_reduction": trade_reduction_quality(),
        "audit_times": audit_times(),
        "false_names": false_names(),
    }
    write("mechanisms_audit", body)


if __name__ == "__main__":
    main()
