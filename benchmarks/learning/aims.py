"""What learning was to reach, and what it did: one table, every cell worked out from results.

Called by `benchmarks.learning.page`. An aim counts as met when the figure itself meets it, not its
interval; what was not measured has no verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import mean
from typing import Any

import numpy as np

from benchmarks.common import exists, read
from benchmarks.page import table
from mecopt.statistics import paired_difference

#: Largest mean gap aimed at, %, on paper / busy / large.
GAPS = {
    "sft-lookahead": (2.4, 3.5, 6.0),
    "grpo": (2.5, 6.0, 7.5),
    "priced": (1.9, 3.3, 5.5),
}
TRAINED_ON = ("paper", "busy", "large")
LOOKING_AHEAD = ("sft-lookahead", "grpo", "grpo-lookahead")
UNSEEN = (("slow-servers", 6), ("uneven-links", 6), ("paper", 11))
#: Change of the mean cost under a perturbation, slots.
STEADY = {"shuffled": 0.01, "renamed": 0.01, "noise": 0.05, "units": 0.05}

#: What, aim, measured, and whether it is met (None: there is no figure to meet).
Row = tuple[str, str, str, bool | None]
_VERDICT = {True: "yes", False: "no", None: "-"}


def section(all_: dict[str, Any]) -> str:
    """The table of aims; `all_` maps policy names to `benchmarks.learning.page.Measured`."""
    makers: tuple[Callable[[dict[str, Any]], Iterable[Row]], ...] = (
        _states, _sizes, _perturbed, _gaps, _best, _gain, _longer, _unseen, _time,
    )  # fmt: skip
    rows = [row for make in makers for row in make(all_)]
    lines = [f"| {what} | {aim} | {found} | {_VERDICT[met]} |" for what, aim, found, met in rows]
    return "\n## Aims\n\n" + table("| what | aim | measured | met |", lines)


def _states(all_: dict[str, Any]) -> Iterable[Row]:
    for name, least in (("sft", 99.7), ("sft-1000", 99.4)):
        if name not in all_:
            continue
        pr, lost = 100 * mean(all_[name].state("pr")), 100 * mean(all_[name].state("drop_rate"))
        met = pr >= least and (lost == 0 or name != "sft")
        yield (
            f"`{name}`: PR on independent states, lost",
            f">= {least} %, none" if name == "sft" else f">= {least} %",
            f"{pr:.2f} %, {lost:.2f} %",
            met,
        )


def _sizes(all_: dict[str, Any]) -> Iterable[Row]:
    if "sft" not in all_:
        return
    pr = {n: 100 * mean(all_["sft"].state("pr", servers=n)) for n in (*range(3, 12), 20, 30)}
    lost = max(max(all_["sft"].state("drop_rate", servers=n)) for n in range(3, 12))
    least = min(pr[n] for n in range(3, 12))
    yield (
        "`sft`: least PR over 3..11 servers, lost (20; 30 servers)",
        ">= 99.5 %, none",
        f"{least:.2f} %, {100 * lost:.2f} % ({pr[20]:.2f}; {pr[30]:.2f} %)",
        least >= 99.5 and lost == 0,
    )


def _perturbed(all_: dict[str, Any]) -> Iterable[Row]:
    text = [m for name, m in all_.items() if name.startswith(("sft", "grpo"))]
    for change, most in STEADY.items():
        moved = {
            m.name: abs(mean(m.moved(change)["cost_slots"]))
            for m in text
            if m.moved(change)["cost_slots"]
        }
        if moved:
            worst = max(moved, key=lambda name: moved[name])
            yield (
                f"prompts {change}: change of the mean cost, slots",
                f"< {most:g}",
                f"at most {moved[worst]:.4f} (`{worst}`)",
                moved[worst] < most,
            )


def _gaps(all_: dict[str, Any]) -> Iterable[Row]:
    for name, most in GAPS.items():
        if name in all_:
            found = [100 * all_[name].gaps(p).mean() for p in TRAINED_ON]
            yield (
                f"`{name}`: gap on paper / busy / large",
                " / ".join(f"{a:g}" for a in most) + " %",
                _three(found),
                all(f <= a for f, a in zip(found, most, strict=True)),
            )


def _best(all_: dict[str, Any]) -> Iterable[Row]:
    """The best learned policy that the priced rule beats on no preset, else the best on average."""
    trained = [m for m in all_.values() if any("training" in r for r in m.results)]
    if "priced" not in all_ or not trained:
        return
    ordered = sorted(trained, key=lambda m: sum(m.gaps(p).mean() for p in TRAINED_ON))
    pairs = {m: [_paired(m, all_["priced"], p) for p in TRAINED_ON] for m in ordered}
    level = [m for m, shown in pairs.items() if all(low <= 0 for _, low, _ in shown)]
    best = (level or ordered)[0]
    shown = pairs[best]
    yield (
        f"best learned policy (`{best.name}`) - `priced`, points",
        "<= 0 within intervals",
        _intervals(shown),
        all(low <= 0 for _, low, _ in shown),
    )


def _gain(all_: dict[str, Any]) -> Iterable[Row]:
    for name in ("grpo", "grpo-mean", "grpo-lambda0"):
        if name in all_ and "sft" in all_:
            shown = [_paired(all_[name], all_["sft"], p) for p in TRAINED_ON]
            yield (
                f"`{name}` - `sft`, its start, points",
                "below 0, significant" if name == "grpo" else "beside it",
                _intervals(shown),
                all(high < 0 for _, _, high in shown) if name == "grpo" else None,
            )


def _longer(all_: dict[str, Any]) -> Iterable[Row]:
    if "grpo-lookahead" in all_:
        most = GAPS["sft-lookahead"]
        found = [100 * all_["grpo-lookahead"].gaps(p).mean() for p in TRAINED_ON]
        yield (
            "`grpo-lookahead` from one-step SFT: gap on paper / busy / large",
            " / ".join(f"{a:g}" for a in most) + " %",
            _three(found),
            all(f <= a for f, a in zip(found, most, strict=True)),
        )


def _unseen(all_: dict[str, Any]) -> Iterable[Row]:
    if "one-step-oracle" not in all_:
        return
    oracle = [100 * all_["one-step-oracle"].gaps(*where).mean() for where in UNSEEN]
    for name in ("sft", *LOOKING_AHEAD):
        if name in all_:
            found = [100 * all_[name].gaps(*where).mean() for where in UNSEEN]
            yield (
                f"`{name}`: gap on slow-servers / uneven-links / 11 servers",
                "below the oracle's " + _three(oracle),
                _three(found),
                all(f < o for f, o in zip(found, oracle, strict=True)),
            )


def _time(all_: dict[str, Any]) -> Iterable[Row]:
    for name, most in (
        ("sft", 300),
        ("sft-lookahead", 300),
        *((n, 300) for n in LOOKING_AHEAD[1:]),
    ):
        seconds = [
            r["training"]["cpu_seconds"] for r in all_[name].results if "training" in r
        ] if name in all_ else []  # fmt: skip
        if seconds:
            yield (
                f"`{name}`: training, CPU seconds (longest of {len(seconds)})",
                f"<= {most}",
                f"{max(seconds):.0f}",
                max(seconds) <= most,
            )
    decision = {row["batch"]: row for row in read("learning_decision_time")["rows"]}
    for batch, most in ((1, 4.0), (64, 0.4)):
        row = decision[batch]
        yield (
            f"decision in batches of {batch}, CPU ms; over the bare forward pass",
            f"<= {most:g}; <= 1.3",
            f"{row['decision_ms']:.2f}; {row['decision_over_bare']:.2f}",
            row["decision_ms"] <= most and row["decision_over_bare"] <= 1.3,
        )
    if exists("learning/smollm2"):
        body = read("learning/smollm2")
        parsed = min(row["parse_rate"] for row in body["states"])
        yield (
            "SmolLM2-135M, LoRA on one CPU core: answers parsed; training, CPU minutes",
            ">= 99 %; shown",
            f"{100 * parsed:.1f} %; {body['training']['cpu_seconds'] / 60:.0f}",
            parsed >= 0.99,
        )
    quotient = read("learning_overhead")
    low, high = quotient["quotient_95"]
    yield (
        "TRL's SFT trainer over a plain loop, CPU",
        "shown",
        f"{quotient['quotient']:.2f} ({low:.2f} to {high:.2f})",
        None,
    )


def _paired(one: Any, other: Any, preset: str) -> tuple[float, float, float]:
    mine, theirs = one.gaps(preset).mean(axis=0), other.gaps(preset).mean(axis=0)
    return paired_difference(100 * np.asarray(mine), 100 * np.asarray(theirs))


def _three(values: Iterable[float]) -> str:
    return " / ".join(f"{v:.2f}" for v in values) + " %"


def _intervals(values: Iterable[tuple[float, float, float]]) -> str:
    return "; ".join(f"{c:+.2f} ({low:+.2f} to {high:+.2f})" for c, low, high in values)
