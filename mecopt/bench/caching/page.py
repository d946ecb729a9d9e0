"""The report page of caching runs: scorecard, cost split, residency, memory and energy prices."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import pandas as pd

from mecopt.bench import plot
from mecopt.bench.caching import plot as plot_caching
from mecopt.bench.caching.rows import SPLIT
from mecopt.bench.caching.scorecard import headline, parts_of, scorecard, solver_table
from mecopt.bench.html import facts, fill, frame, image, interval, plain, table
from mecopt.bench.scorecard import bound_words, microseconds, percent, rows_of
from mecopt.caching.scenarios import t2drl as caching
from mecopt.caching.scenarios import trace

_BOUNDS = {
    "certified": "<b>Certified</b> bounds follow from prices on memory and energy that "
    "<code>mecopt verify</code> recomputes in whole numbers, without the solver.",
    "solver-claimed": "<b>Solver-claimed</b> bounds are a MILP solver's own word; they are not "
    "certified.",
}


def draw(tables: Mapping[str, pd.DataFrame]) -> dict[str, bytes]:
    """PNG pictures of a run by name: gap, split, residency-PRESET, prices-PRESET, convergence."""
    card, instances = scorecard(tables["results"]), tables["instances"]
    solver = solver_table(instances)
    pictures = {
        "gap": plot.png(plot.gap_picture(card, solver)),
        "split": plot.png(plot_caching.split_picture(card, solver, instances)),
    }
    timelines = tables["timelines"]
    for preset in timelines["preset"].unique() if len(timelines) else []:
        part = timelines[timelines["preset"] == preset]
        shown = _named(part[part["schedule"] != "prices"], tables)
        pictures[f"residency-{preset}"] = plot.png(plot_caching.residency_picture(shown))
        prices = part[part["schedule"] == "prices"]
        if len(prices):
            pictures[f"prices-{preset}"] = plot.png(plot_caching.price_picture(prices))
    if len(tables["progress"]):
        # The picture reads sums per task; a caching bound is a sum already.
        sums = instances.assign(bound_s=instances["bound"], n_tasks=1)
        picture = plot.convergence_picture(tables["progress"], sums)
        pictures["convergence"] = plot.png(picture)
    return pictures


def _named(timeline: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The timeline with server and cost in the names of its plans."""
    preset, seed = timeline["preset"].iloc[0], timeline["seed"].iloc[0]
    server = timeline["server"].iloc[0]
    results, instances = tables["results"], tables["instances"]
    here = results[(results["preset"] == preset) & (results["seed"] == seed)]
    known = instances[(instances["preset"] == preset) & (instances["seed"] == seed)].iloc[0]
    best = "optimum" if known["termination"] == "optimal" else "best known plan"
    if known["incumbent_from"] != "solver":
        best += f" (found by {known['incumbent_from']})"
    names = {"best known": f"{preset}, {server}, {best}: {known['incumbent']:.0f} in all"}
    for policy, cost in zip(here["policy"], here["cost"], strict=True):
        names[policy] = f"{preset}, {server}, {policy}: {cost:.0f} in all"
    return timeline.assign(schedule=timeline["schedule"].map(names))


def page(
    manifest: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    pictures: Mapping[str, bytes],
    extra: str = "",
) -> str:
    """The whole page as HTML text; `extra` holds sections of other packages, already HTML."""
    suite = manifest["suite"]
    card, instances = scorecard(tables["results"]), tables["instances"]
    title = f"caching: {', '.join(suite['presets'])}"
    has_prices = any(name.startswith("prices-") for name in pictures)
    body = fill(
        "report_caching.html",
        title=html.escape(title),
        headline=html.escape(headline(tables).replace(" %", "\u00a0%")),
        lead=html.escape(_lead(suite, instances)),
        scorecard=_scorecard_html(card, parts_of(tables["results"])),
        gap=image(pictures, "gap", "Gap to the lower bound of each policy"),
        bounds=" ".join(_BOUNDS[kind] for kind in sorted(instances["bound_kind"].unique())),
        saved=_saved_html(instances),
        split=image(pictures, "split", "What the cost of each policy is made of"),
        residency=_all(pictures, "residency-", "Residency of pairs over slots"),
        residency_note=html.escape(
            f"The server with most requests in the first instance of each preset (seed "
            f"{suite['seeds'][0]}): the best plan above, {suite['policies'][0]} below. Pairs with "
            "most requests are on top."
        ),
        prices=_all(pictures, "prices-", "Dual prices of memory and energy over slots"),
        price_note=(
            "Dual prices of the decomposition on the same instance: what one more GB for a slot, "
            "or one more kJ, would save. Grey: each server; colour: their mean."
            if has_prices
            else "The method of this run has no dual prices."
        ),
        solver=_solver_html(instances),
        convergence=image(pictures, "convergence", "Lower bound and best plan against solver time")
        or "<p>The solver reported no progress.</p>",
        conduct=_conduct_html(card),
        extra=extra,
        parameters=_parameters_html(suite),
        provenance=_provenance_html(manifest, instances),
    )
    return frame(title, body)


def _all(pictures: Mapping[str, bytes], prefix: str, alt: str) -> str:
    names = [name for name in pictures if name.startswith(prefix)]
    return "".join(image(pictures, n, f"{alt}, {n.removeprefix(prefix)}") for n in names)


def _lead(suite: Mapping[str, Any], instances: pd.DataFrame) -> str:
    n = len(instances)
    first, end = suite["seeds"]
    seeds = f"seeds {first} to {end - 1}" if end - first > 1 else f"seed {first}"
    worst = percent(float(instances["gap"].max()), 3)
    return (
        f"{n} instance{'s' if n > 1 else ''} ({seeds}). Bound and best plan are at most {worst} % "
        f"apart on every instance; the bounds are {bound_words(instances)}."
    )


def _scorecard_html(card: pd.DataFrame, parts: list[str]) -> str:
    header = ["policy", "cost", "gap to bound, %", "95 % interval", "gap to best known, %"]
    header += ["at the edge, %", "extra over best", "95 % interval"]
    header += [part.removeprefix(SPLIT) for part in parts]
    out = []
    for preset in card["preset"].unique():
        part = card[card["preset"] == preset]
        rows = [
            [
                r["policy"],
                f"{r['cost']:.1f}",
                percent(r["gap_to_bound"]),
                interval(r["gap_to_bound_low"], r["gap_to_bound_high"], scale=100.0),
                percent(r["gap_to_incumbent"]),
                percent(r["edge_share"], 1),
                f"{r['extra']:.1f}",
                interval(r["extra_low"], r["extra_high"], "{:.1f}"),
                *(f"{r[name]:.0f}" for name in parts),
            ]
            for r in part.to_dict("records")
        ]
        n = int(part["instances"].iloc[0])
        out.append(f"<h3>{html.escape(preset)} ({n} instance{'s' if n > 1 else ''})</h3>")
        out.append(table(header, rows))
    return "".join(out)


def _saved_html(instances: pd.DataFrame) -> str:
    header = ["preset", "best plan below cloud only, %", "proven maximum, %"]
    rows = [
        [r.preset, percent(r.saved, 1), percent(r.most, 1)]
        for r in rows_of(solver_table(instances))
    ]
    return table(header, rows)


def _conduct_html(card: pd.DataFrame) -> str:
    header = ["preset", "policy", "p50, CPU", "p99, CPU", "p50, wall"]
    rows = [
        [
            r.preset,
            r.policy,
            microseconds(r.decision_seconds_p50),
            microseconds(r.decision_seconds_p99),
            microseconds(r.decision_wall_seconds_p50),
        ]
        for r in rows_of(card)
    ]
    return table(header, rows, text_columns=2)


def _solver_html(instances: pd.DataFrame) -> str:
    rows = [
        [
            r.preset,
            str(r.instances),
            f"{r.requests:.0f}",
            percent(r.gap_mean, 4),
            percent(r.gap_worst, 4),
            f"{r.optimal} of {r.instances}",
            f"{r.seconds_mean:.1f}",
            f"{r.seconds_worst:.1f}",
        ]
        for r in rows_of(solver_table(instances))
    ]
    header = ["preset", "instances", "mean requests", "mean gap, %", "worst gap, %"]
    return table([*header, "within the gap asked for", "mean s", "worst s"], rows)


def _parameters_html(suite: Mapping[str, Any]) -> str:
    asked = [[name, plain(value)] for name, value in suite.items() if value is not None]
    out = table(["asked for", "value"], asked, text_columns=2)
    known = [p for p in suite["presets"] if p in caching.PRESETS]
    sets: list[tuple[dict[str, Any], Mapping[str, str]]] = (
        [({p: caching.parameters(p) for p in known}, caching.TAGS)] if known else []
    )
    if trace.PRESET in suite["presets"]:
        sets.append(({trace.PRESET: trace.Parameters()}, trace.TAGS))
    for columns, tags in sets:
        rows = []
        for name, tag in tags.items():
            values = [getattr(p, name, "see the source") for p in columns.values()]
            rows.append([name, *(plain(v) for v in values), tag])
        header = ["parameter of caching", *columns, "tag"]
        out += table(header, rows, text_columns=len(header))
    return out + (
        "<p>Tags: P printed in the paper (arXiv 2501.14205), N from a neighbouring paper, D our "
        "decision.</p>"
    )


def _provenance_html(manifest: Mapping[str, Any], instances: pd.DataFrame) -> str:
    rows = [
        [
            r.preset,
            str(r.seed),
            r.instance_hash[:16],
            r.method,
            r.termination,
            r.bound_kind,
            f"{r.bound:.4f}",
            f"{r.incumbent:.4f}",
            percent(r.gap, 4),
            r.incumbent_from,
            f"{r.seconds:.1f}",
        ]
        for r in rows_of(instances)
    ]
    header = ["preset", "seed", "instance hash", "method", "stopped", "bound is", "bound"]
    header += ["best plan", "gap, %", "found by", "seconds"]
    return table(["", "value"], facts(manifest), text_columns=2) + table(header, rows)
