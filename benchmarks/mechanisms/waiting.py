"""Competitive prices of server time in a market that can wait, beside the duals of a bound.

    python -m benchmarks.mechanisms.waiting [SEEDS] [SECONDS]

Ten episodes of COMLLM with 120 users and two servers: many users with few tasks each, so that
queues at devices and uplinks, which the market does not sell, hardly matter. Writes
benchmarks/results/mechanisms_waiting.json.
"""

from __future__ import annotations

import sys

import numpy as np

from benchmarks.common import write
from formulations import solve
from formulations.market import assignment
from mechanisms import rules
from mechanisms.audit.steps_picture import duals_by_slot
from mecopt.market.from_offloading import from_offloading
from mecopt.market.from_waiting import from_waiting, mean_prices
from mecopt.market.units import HALF_UNITS
from mecopt.offloading.scenarios import comllm

SLOTS, USERS, END_S, SLOT_S = 12, 120, 1.8, 0.1


def episode(seed: int, seconds: float) -> list[dict]:
    instance = comllm.generate(
        "paper", seed=seed, slots=SLOTS, users=USERS, servers=2, arrival_probability=0.08
    )
    market = from_waiting(instance, end_s=END_S)
    best = assignment.solve(market)
    clocks = rules.run("server-clocks", market, ticks=500)
    certified = solve(instance, time_limit=seconds)
    means = {
        "lowest": mean_prices(market, best.lowest_price, END_S),
        "highest": mean_prices(market, best.highest_price, END_S),
        "clocks": mean_prices(market, clocks.server_price, END_S),
    }
    rows = []
    for r in means["lowest"]:
        dual = float(duals_by_slot(certified.prices, r, np.array([0.0, END_S]))[0])
        row = {"seed": seed, "server": instance.resource_names[r], "dual": dual}
        row |= {name: mean[r] for name, mean in means.items()}
        row["cannot_wait"] = cannot_wait(instance, r)
        row["bound"] = certified.bound
        row["market_cost"] = market.meta["outside_s"] - best.welfare / HALF_UNITS
        rows.append(row)
        print(row, flush=True)
    return rows


def cannot_wait(instance, resource: int) -> float:
    """Mean VCG price where each window of 0.1 s sells its own seats to its own tasks."""
    paid = 0.0
    for start_s in np.arange(SLOTS) * SLOT_S:
        try:
            market = from_offloading(instance, start_s=start_s, end_s=start_s + SLOT_S)
        except ValueError:
            continue  # nobody came
        j = market.seller_names.index(instance.resource_names[resource])
        price = rules.run("vcg", market).server_price[j] / HALF_UNITS
        paid += price / market.meta["service_s"][j] * SLOT_S
    return float(paid / END_S)


def main() -> None:
    seeds = range(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 20.0
    rows = [row for seed in seeds for row in episode(seed, seconds)]
    inside = [row["lowest"] <= row["dual"] <= row["highest"] for row in rows]
    summary = {"inside": sum(inside), "pairs": len(rows)}
    for name in ("lowest", "highest", "clocks", "cannot_wait"):
        by_seed = [
            np.mean([np.log(row[name] / row["dual"]) for row in rows if row["seed"] == seed])
            for seed in seeds
            if all(row[name] > 0 < row["dual"] for row in rows if row["seed"] == seed)
        ]
        mean, n = float(np.mean(by_seed)), len(by_seed)
        half = 1.96 * float(np.std(by_seed, ddof=1)) / np.sqrt(n)
        ratio = [float(np.exp(mean + sign * half)) for sign in (0, -1, 1)]
        summary[f"{name}_over_dual"] = dict(zip(("mean", "low", "high"), ratio, strict=True))
    print(summary)
    write("mechanisms_waiting", {"seconds": seconds, "summary": summary, "rows": rows})


if __name__ == "__main__":
    main()
