"""Learned steps of the double Dutch auction against every fixed step, bisection and the best.

    python -m benchmarks.mechanisms.auctioneer [RUNS]

Trains five seeds into the folder RUNS (finished trainings there are used again), and measures them
on 1,000 held-out markets. The best policy and the fixed steps are computed exactly
(`mechanisms.double_dutch.optimal_steps`) and measured on the same markets, too. Writes
benchmarks/results/mechanisms_auctioneer.json and docs/img/auctioneer.png.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.common import write
from learning import recipes
from learning.market import policy, train
from learning.runs import folder as training_run
from mechanisms.audit import checks
from mechanisms.audit.steps_picture import welfare_against_broadcasts
from mechanisms.double_dutch import adaptive, bisection, optimal_steps
from mechanisms.outcome import Outcome
from mecopt.market import scenarios as markets
from mecopt.market.instance import Market

SEEDS = range(5)
COSTS = (0.02, 0.005, 0.002, 0.0007)
FIXED = (*range(1, 13), 15, 20, 25, 33, 50)
ROOT = Path(__file__).parents[2]


def measure(sample: Sequence[Market], run: Callable[[Market], Outcome]) -> dict[str, float]:
    """Share of the optimum over a sample and its 95 % half-width, broadcasts, worst market."""
    best = np.array([checks.optimum(m, solver=False).welfare for m in sample], dtype=float)
    outcomes = [run(market) for market in sample]
    gain = np.array([checks.welfare(m, o) for m, o in zip(sample, outcomes, strict=True)])
    rounds = np.array([o.rounds for o in outcomes], dtype=float)
    share = gain.sum() / best.sum()
    spread = float(np.std(gain - share * best)) / best.mean() / np.sqrt(len(sample))
    positive = best > 0
    return {
        "welfare": float(share),
        "welfare_half_width": 1.96 * spread,
        "mean_ratio": float((gain[positive] / best[positive]).mean()),
        "worst_ratio": float((gain[positive] / best[positive]).min()),
        "broadcasts": float(rounds.mean()),
        "broadcasts_half_width": float(1.96 * rounds.std() / np.sqrt(len(sample))),
        "most_broadcasts": float(rounds.max()),
    }


def stepping(steps: adaptive.Policy, pricing: str = "clamped") -> Callable[[Market], Outcome]:
    return partial(adaptive.run, policy=steps, alternation="unit", pricing=pricing)


def main() -> None:
    runs = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/auctioneer")
    s = train.Settings()
    sample = [markets.generate(s.kind, seed, n=s.traders) for seed in range(1000)]
    rows = []

    def add(name: str, **figures: float | str) -> None:
        rows.append({"auctioneer": name, **figures})
        print(rows[-1], flush=True)

    add("bisection", **measure(sample, bisection.run))
    add("doubling", **measure(sample, stepping(adaptive.doubling)))
    known = optimal_steps.prior(
        (markets.generate(s.kind, seed, n=s.traders) for seed in train.MARKETS[:5000]),
        ticks=s.ticks,
    )
    for jump in FIXED:
        exact = optimal_steps.solve(known, [jump], s.broadcast_cost)
        add("fixed", ticks=jump, **exact._asdict())
    for jump in (5, 7, 10):  # the recursion against the markets
        add("fixed, measured", ticks=jump, **measure(sample, stepping(adaptive.constant(jump))))
    for cost in COSTS:
        start = time.process_time()
        best = optimal_steps.solve(known, s.jumps, cost)
        add("best", cost=cost, cpu_seconds=time.process_time() - start, **best._asdict())
    learned = []
    for seed in SEEDS:
        out = recipes.train("auctioneer", runs / f"seed{seed}", seed=seed)
        learned.append(policy.load(out))
        cpu = training_run.read(out)[1]["cpu_seconds"]
        add("learned", seed=seed, cpu_seconds=cpu, **measure(sample, stepping(learned[-1])))
    for seed, steps in zip(SEEDS, learned, strict=True):
        add("learned, t-DDA", seed=seed, **measure(sample, stepping(steps, "mcafee")))
    add("one tick, t-DDA", **measure(sample, stepping(adaptive.constant(1), "mcafee")))
    for kind in ("balanced", "low-values"):
        others = [markets.generate(kind, seed, n=s.traders) for seed in range(300)]
        add("learned elsewhere", kind=kind, **measure(others, stepping(learned[0])))
        add("bisection elsewhere", kind=kind, **measure(others, bisection.run))
    best = next(r for r in rows if r["auctioneer"] == "best" and r["cost"] == s.broadcast_cost)
    objective = [
        r["welfare"] - s.broadcast_cost * r["broadcasts"]
        for r in rows
        if r["auctioneer"] == "learned"
    ]
    half = 2.776 * float(np.std(objective, ddof=1)) / np.sqrt(len(objective))  # t, 4 degrees
    fixed = max(r["objective"] for r in rows if r["auctioneer"] == "fixed")
    summary = {
        "broadcast_cost": s.broadcast_cost,
        "learned_objective": float(np.mean(objective)),
        "learned_half_width": half,
        "best_objective": best["objective"],
        "best_fixed_objective": fixed,
    }
    print(summary)
    write("mechanisms_auctioneer", {"markets": len(sample), "summary": summary, "rows": rows})
    figure = welfare_against_broadcasts(rows)
    figure.savefig(ROOT / "docs" / "img" / "auctioneer.png", dpi=110, bbox_inches="tight")


if __name__ == "__main__":
    main()
