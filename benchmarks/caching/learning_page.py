"""Merge the parts of `benchmarks.caching.learning` into one result file and one page.

    python -m benchmarks.caching.learning --page

Writes ``results/caching_learning.json`` (figures) and ``results/caching_learning.md`` (tables, the
claims of the paper among them); a table whose parts are missing is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.caching.parts import PARTS, PRESETS, SEEDS
from benchmarks.common import RESULTS, exists, interval, read, records, write

RULES = (
    "first-guess", "rolling", "rolling-rates", "priced", "myopic", "fifo-sensible",
    "lfu-sensible", "least-age-sensible", "fifo", "lfu", "least-age", "cloud",
)  # fmt: skip
#: Policies that were trained, ablations last.
LEARNED = ("t2drl", "ppo", "t2drl-nolayer", "t2drl-noaverages", "ppo-noaverages")
#: What the paper claims: our policy below a baseline, by at least this many per cent.
CLAIMS = [("cloud", 30.0), ("fifo", 30.0), ("fifo-sensible", 30.0), ("lfu", 30.0),
          ("lfu-sensible", 30.0), ("least-age", 30.0), ("least-age-sensible", 30.0),
          ("ppo", 20.0)]  # fmt: skip


def part(name: str) -> dict[str, Any] | None:
    """Summary of a part, with its records where it has any; None when it is missing."""
    target = f"{PARTS}/{name.replace(':', '-')}"
    if not exists(target):
        return None
    recorded = (RESULTS / f"{target}.parquet").exists()
    return {**read(target), "records": records(target) if recorded else pd.DataFrame()}


def costs_by_policy(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Costs per test instance of every policy."""
    return {name: mine.to_numpy() for name, mine in rows.groupby("policy", sort=False)["cost"]}


def column(rows: Iterable[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows])


def learned(name: str, preset: str, fast_weights: str = "learn") -> np.ndarray | None:
    """(training seeds, instances) costs of a learned policy; None without any part."""
    found = [part(f"{name}:{preset}:{seed}") for seed in SEEDS]
    tables = [p["records"] for p in found if p is not None]
    costs = [rows["cost"][rows["fast_weights"] == fast_weights].to_numpy() for rows in tables]
    costs = [c for c in costs if len(c)]
    return np.stack(costs) if costs else None


def percent(values: Sequence[float] | np.ndarray) -> dict[str, Any]:
    """Mean in per cent with its bootstrap interval over instances."""
    scaled = [100 * float(v) for v in values]
    return {"mean": float(np.mean(scaled)), "interval": interval(scaled), "n": len(scaled)}


def text(figure: dict[str, Any]) -> str:
    low, high = figure["interval"]
    return f"{figure['mean']:.2f} ({low:.2f} .. {high:.2f})"


def solved(preset: str, rules: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Best schedules and bounds of the first test instances, `caching_gaps` included."""
    best, bound = (column(rules["solved"], name) for name in ("objective", "bound"))
    measured = f"caching_gaps_{preset}"
    for row in read(measured)["rows"] if exists(measured) else []:
        seed = row["seed"]
        if seed < len(best):
            best[seed] = min(best[seed], row["objective"])
            bound[seed] = max(bound[seed], row["bound"])
    return best, bound


def gaps(preset: str) -> dict[str, Any] | None:
    """Every policy on the solved instances: over the best schedule, over the bound, below cloud."""
    rules = part(f"rules:{preset}")
    if rules is None:
        return None
    best, bound = solved(preset, rules)
    n = len(best)
    by_policy = costs_by_policy(rules["records"])
    costs = {name: by_policy[name] for name in RULES}
    for name in LEARNED:
        runs = learned(name, preset)
        if runs is not None:
            costs[name] = runs.mean(axis=0)
            for seed, run in zip(SEEDS, runs, strict=False):
                costs[f"{name}, training seed {seed}"] = run
    cloud = costs["cloud"]
    table = {
        name: {
            "over_best": percent(cost[:n] / best - 1),
            "over_bound": percent(cost[:n] / bound - 1),
            "below_cloud": percent(1 - cost / cloud),
        }
        for name, cost in costs.items()
    }
    proven = {name: percent(1 - bound / cost[:n]) for name, cost in costs.items() if name in RULES}
    return {
        "instances": len(cloud),
        "solved": n,
        "solver_gap_percent": float(100 * (best / bound - 1).mean()),
        "table": table,
        "proven_maximum_below": proven,
        "costs": {name: cost.tolist() for name, cost in costs.items()},
    }


def claims(preset: str, table: dict[str, Any]) -> list[dict[str, Any]]:
    """Paper, ours, proven maximum: how far T2DRL is below each baseline, in per cent."""
    costs = {name: np.array(values) for name, values in table["costs"].items()}
    rows = []
    for baseline, printed in CLAIMS:
        if baseline not in costs or "t2drl" not in costs:
            continue
        row = {"preset": preset, "baseline": baseline, "paper": printed}
        n = table["solved"]  # the same instances as the proven maximum
        row["ours"] = percent(1 - costs["t2drl"][:n] / costs[baseline][:n])
        if baseline in table["proven_maximum_below"]:
            row["proven_maximum"] = table["proven_maximum_below"][baseline]
        else:  # a learned baseline: nothing can be further below it than the bound
            rules = part(f"rules:{preset}")
            assert rules is not None
            _, bound = solved(preset, rules)
            row["proven_maximum"] = percent(1 - bound / costs[baseline][: len(bound)])
        rows.append(row)
    return rows


def paired(preset: str) -> dict[str, Any]:
    """T2DRL against plain PPO and others on common instances: difference in per cent of the other.

    Means over training seeds first, so that the instance is the unit of the interval.
    """
    out: dict[str, Any] = {}
    ours, still = learned("t2drl", preset), learned("t2drl", preset, "still")
    rules = part(f"rules:{preset}")
    if ours is None:
        return out
    others = {"ppo": learned("ppo", preset), "t2drl, fast weights kept at W_0": still}
    others["t2drl without the feasibility layer"] = learned("t2drl-nolayer", preset)
    others["t2drl without averages"] = learned("t2drl-noaverages", preset)
    if rules is not None:
        for name in ("first-guess", "rolling", "myopic"):
            others[name] = costs_by_policy(rules["records"])[name][None]
    for name, other in others.items():
        if other is not None:
            out[name] = percent(ours.mean(axis=0) / other.mean(axis=0) - 1)
    return out


def without_averages() -> dict[str, Any]:
    """T2DRL that observes no averages against PPO that observes none, on `ten`, paired."""
    ours, ppo = learned("t2drl-noaverages", "ten"), learned("ppo-noaverages", "ten")
    if ours is None or ppo is None:
        return {}
    still = learned("t2drl-noaverages", "ten", "still")
    assert still is not None
    mine = ours.mean(axis=0)
    return {
        "training_seeds": [len(ours), len(ppo)],
        "ppo without averages": percent(mine / ppo.mean(axis=0) - 1),
        "itself, fast weights kept at W_0": percent(mine / still.mean(axis=0) - 1),
    }


def shifts(name: str) -> dict[str, Any]:
    """T2DRL against PPO, itself without learning, and rolling where testing differs."""
    body = part(name)
    out: dict[str, Any] = {}
    if body is None:
        return out
    for label, mine in body["records"].groupby("shift", sort=False):
        rows = costs_by_policy(mine)

        def mean(name: str, rows: dict[str, np.ndarray] = rows) -> np.ndarray:
            return np.mean([rows[f"{name}:{seed}"] for seed in body["training_seeds"]], axis=0)

        ours = mean("t2drl")
        out[label] = {
            "ppo": percent(ours / mean("ppo") - 1),
            "still": percent(ours / mean("t2drl-still") - 1),
            "first-guess": percent(ours / rows["first-guess"] - 1),
            "rolling": percent(ours / rows["rolling"] - 1),
            "myopic": percent(ours / rows["myopic"] - 1),
        }
    return out


def figures() -> dict[str, Any]:
    body: dict[str, Any] = {"presets": {}, "claims": [], "paired": {}}
    body |= {"shifts": shifts("shift"), "shifts_noaverages": shifts("shift-noaverages")}
    body["noaverages"] = without_averages()
    for preset in PRESETS:
        table = gaps(preset)
        if table is not None:
            body["presets"][preset] = table
            body["claims"] += claims(preset, table)
        body["paired"][preset] = paired(preset)
    body["training"] = []
    for preset in PRESETS:
        for name in LEARNED:
            for seed in SEEDS:
                found = part(f"{name}:{preset}:{seed}")
                if found is not None:
                    keys = ("cpu_seconds", "tuning_cost", "tuning_cost_first_guess")
                    row = {"preset": preset, "name": name, "seed": seed}
                    body["training"].append(row | {key: found[key] for key in keys})
    eta = part("eta")
    body["eta"] = [] if eta is None else eta["rows"]
    return body


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table; the first column is text."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "--:|" * (len(head) - 1)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def preset_section(preset: str, table: dict[str, Any]) -> list[str]:
    rows = sorted(table["table"].items(), key=lambda item: item[1]["over_best"]["mean"])
    keys = ("over_best", "over_bound", "below_cloud")
    return [
        f"## {preset}",
        "",
        f"Over the best schedule and the proven bound: {table['solved']} instances (schedule",
        f"{table['solver_gap_percent']:.3f} % above the bound). Below cloud: {table['instances']}.",
        "",
        *grid(
            ("policy", "over the best schedule", "over the bound", "below cloud"),
            ([name, *(text(r[key]) for key in keys)] for name, r in rows),
        ),
    ]


def shift_section(title: str, shifted: dict[str, Any]) -> list[str]:
    if not shifted:
        return []
    names = ("ppo", "still", "first-guess", "rolling", "myopic")
    return [
        f"## {title}",
        "",
        "Cost of T2DRL relative to the column, minus one; `still` is T2DRL with its fast",
        "weights kept at W_0. All learned columns observe the same.",
        "",
        *grid(
            ("test", *names),
            ([k, *(text(row[n]) for n in names)] for k, row in shifted.items()),
        ),
    ]


def page(body: dict[str, Any]) -> str:
    """The tables in Markdown."""
    lines = [
        "# T2DRL, measured",
        "",
        "Per cent, means over test instances of five servers with 95 % bootstrap intervals over",
        "instances; learned policies are means over their training seeds first.",
        "",
    ]
    for preset, table in body["presets"].items():
        lines += preset_section(preset, table)
    if body["claims"]:
        lines += [
            "## Claims of the paper",
            "",
            "How far T2DRL is below a baseline. The proven maximum is where the lower bound",
            "stands: no policy can be further below.",
            "",
            *grid(
                ("baseline", "preset", "paper", "ours", "proven maximum"),
                (
                    [
                        c["baseline"],
                        c["preset"],
                        f">= {c['paper']:.0f}",
                        text(c["ours"]),
                        text(c["proven_maximum"]),
                    ]  # fmt: skip
                    for c in body["claims"]
                ),
            ),
        ]
    for preset, others in body["paired"].items():
        if others:
            head = ("against", "cost of T2DRL relative to it, minus one")
            lines += [f"## T2DRL against others on {preset}, paired", ""]
            lines += grid(head, ([name, text(figure)] for name, figure in others.items()))
    if body["noaverages"]:
        head = ("against", "cost relative to it, minus one")
        others = {k: v for k, v in body["noaverages"].items() if k != "training_seeds"}
        lines += ["## T2DRL without averages in the observation, on ten, paired", ""]
        lines += grid(head, ([name, text(figure)] for name, figure in others.items()))
    lines += shift_section("Trained on ten, tested elsewhere", body["shifts"])
    lines += shift_section("The same without averages", body["shifts_noaverages"])
    if body["eta"]:
        lines += ["## Step of the fast weights (tuning seeds)", ""]
        lines += grid(
            ("eta", "restoring error", "last 20 slots", "cost"),
            (
                [f"{r['eta']:g}", f"{r['loss']:.4f}", f"{r['loss_late']:.4f}", f"{r['cost']:.1f}"]
                for r in body["eta"]
            ),
        )
    if body["training"]:
        lines += [
            "## Trainings",
            "",
            "Cost on the tuning seeds before (first guess) and after.",
            "",
        ]
        lines += grid(
            ("policy", "preset", "seed", "CPU s", "before", "after"),
            (
                [
                    r["name"],
                    r["preset"],
                    str(r["seed"]),
                    f"{r['cpu_seconds']:.0f}",
                    f"{r['tuning_cost_first_guess']:.1f}",
                    f"{r['tuning_cost']:.1f}",
                ]  # fmt: skip
                for r in body["training"]
            ),
        )
    return "\n".join(lines)


def main() -> None:
    """Write figures and page."""
    body = figures()
    for table in body["presets"].values():
        table.pop("costs")
    write("caching_learning", body)
    (RESULTS / "caching_learning.md").write_text(page(body))
    print(RESULTS / "caching_learning.md")


if __name__ == "__main__":
    main()
