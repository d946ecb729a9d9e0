"""The report of a run: pictures, and one self-contained HTML page that needs no network."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import pandas as pd

from mecopt.bench import plot
from mecopt.bench.html import facts, fill, frame, image, interval, plain, table
from mecopt.bench.offloading import plot as plot_timeline
from mecopt.bench.scorecard import (
    bound_words,
    headline,
    microseconds,
    percent,
    rows_of,
    scorecard,
    solver_table,
)
from mecopt.offloading import published
from mecopt.offloading.policies import by_name as policies
from mecopt.offloading.scenarios import comllm, trace_parameters

#: What the picture files are called, and what they show.
ALT_TEXT = {
    "gap": "Gap to the lower bound of each policy, one panel per preset",
    "convergence": "Lower bound and best schedule against solver time",
    "size": "Proven gap and solver time against the number of tasks",
    "growth": "Seconds to a proven gap of 1 %, and final gap, from 200 to 50,000 tasks",
}


def draw(tables: Mapping[str, pd.DataFrame]) -> dict[str, bytes]:
    """PNG pictures of a run by name: gap, timeline-PRESET, convergence, size."""
    card, instances = scorecard(tables["results"]), tables["instances"]
    pictures = {"gap": plot.png(plot.gap_picture(card, solver_table(instances)))}
    timelines = tables["timelines"]
    for preset in timelines["preset"].unique() if len(timelines) else []:
        part = timelines[timelines["preset"] == preset]
        picture = plot_timeline.timeline_picture(_named(part, tables))
        pictures[f"timeline-{preset}"] = plot.png(picture)
    if len(tables["progress"]):
        picture = plot.convergence_picture(tables["progress"], instances)
        pictures["convergence"] = plot.png(picture)
    pictures["size"] = plot.png(plot.size_picture(instances))
    return pictures


def _named(timeline: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The timeline with the mean cost in the names of its schedules."""
    preset, seed = timeline["preset"].iloc[0], timeline["seed"].iloc[0]
    results, instances = tables["results"], tables["instances"]
    here = results[(results["preset"] == preset) & (results["seed"] == seed)]
    cost = dict(zip(here["policy"], here["mean_cost_ms"], strict=True))
    instance = instances[(instances["preset"] == preset) & (instances["seed"] == seed)].iloc[0]
    best = "optimum" if instance["termination"] == "optimal" else "best known schedule"
    title = {"best known": f"{best}: {instance['incumbent_s'] * 1e3:.1f} ms per task"}
    title |= {policy: f"{policy}: {ms:.1f} ms per task" for policy, ms in cost.items()}
    return timeline.assign(schedule=timeline["schedule"].map(title))


# -------------------------------------------------------------------- the page
def page(
    manifest: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    pictures: Mapping[str, bytes],
    mechanisms: str = "",
) -> str:
    """The whole page as HTML text; `mechanisms` holds sections of other packages, already HTML."""
    suite = manifest["suite"]
    card, instances = scorecard(tables["results"]), tables["instances"]
    has_slots = suite["scenario"] == "comllm"
    timelines = [name for name in pictures if name.startswith("timeline-")]
    title = f"{suite['scenario']}: {', '.join(suite['presets'])}"
    body = fill(
        "report.html",
        title=html.escape(title),
        headline=html.escape(headline(card, instances).replace(" %", "\u00a0%")),
        lead=html.escape(_lead(suite, instances)),
        scorecard=_scorecard_html(card, has_slots),
        conduct=_conduct_html(card),
        scorecard_note=_scorecard_note(has_slots),
        gap=image(pictures, "gap", ALT_TEXT["gap"]),
        timelines="".join(
            image(pictures, name, f"Resource timelines on {name.removeprefix('timeline-')}")
            for name in timelines
        )
        or "<p>No stage was served in the instances shown.</p>",
        timeline_note=html.escape(
            f"The first instance of each preset (seed {suite['seeds'][0]}): the best schedule on "
            f"the left, {suite['policies'][0]} on the right; the busiest resources. With few "
            "users, one bar per stage and one colour per user; with many, how many stages are in "
            "service at once. Long runs show their busiest stretch."
        ),
        convergence=image(pictures, "convergence", ALT_TEXT["convergence"])
        or "<p>The solver reported no progress.</p>",
        size=image(pictures, "size", ALT_TEXT["size"]),
        growth=_growth_section(pictures),
        mechanisms=mechanisms,
        solver=_solver_html(instances),
        bounds=_bounds_note(instances),
        published=_published_section(suite, card),
        parameters=_parameters_section(suite),
        provenance=_provenance(manifest, instances),
    )
    return frame(title, body)


def _growth_section(pictures: Mapping[str, bytes]) -> str:
    picture = image(pictures, "growth", ALT_TEXT["growth"])
    if not picture:
        return ""
    return (
        "<h2>Growth</h2>" + picture + '<p class="note">Plan decomposition on the paper preset '
        "over longer and longer horizons, and on a larger network; one core, measured by "
        "<code>benchmarks/offloading/growth.py</code> apart from this run.</p>"
    )


def _lead(suite: Mapping[str, Any], instances: pd.DataFrame) -> str:
    n = len(instances)
    first, end = suite["seeds"]
    worst = percent(float(instances["gap"].max()), 3)
    few, many = instances["n_tasks"].min(), instances["n_tasks"].max()
    tasks = f"{few}" if few == many else f"{few} to {many}"
    seeds = f"seeds {first} to {end - 1}" if end - first > 1 else f"seed {first}"
    return (
        f"{n} instance{'s' if n > 1 else ''} ({seeds}), {tasks} tasks "
        f"{'each' if n > 1 else 'in all'}. Bound and best schedule are at most {worst} % "
        f"apart on every instance; the bounds are {bound_words(instances)}."
    )


def _scorecard_html(card: pd.DataFrame, has_slots: bool) -> str:
    header = ["policy", *(["cost, slots"] if has_slots else []), "cost, ms"]
    header += ["gap to bound, %", "95 % interval", "gap to best known, %", "late or dropped, %"]
    header += ["PR, %", "cost, 95 % interval, ms", "extra over best, ms", "95 % interval"]
    out = []
    for preset in card["preset"].unique():
        part = card[card["preset"] == preset]
        rows = [
            [
                r.policy,
                *([f"{r.mean_cost_slots:.4f}"] if has_slots else []),
                f"{r.mean_cost_ms:.1f}",
                percent(r.gap_to_bound),
                interval(r.gap_to_bound_low, r.gap_to_bound_high, scale=100.0),
                percent(r.gap_to_incumbent),
                percent(r.drop_rate),
                percent(r.pr, 1),
                interval(r.mean_cost_ms_low, r.mean_cost_ms_high, "{:.1f}"),
                f"{r.extra_ms:.1f}",
                interval(r.extra_ms_low, r.extra_ms_high, "{:.1f}"),
            ]
            for r in rows_of(part)
        ]
        n = int(part["instances"].iloc[0])
        out.append(f"<h3>{html.escape(preset)} ({n} instance{'s' if n > 1 else ''})</h3>")
        out.append(table(header, rows))
    return "".join(out)


def _conduct_html(card: pd.DataFrame) -> str:
    header = ["preset", "policy", "backlog fairness", "assignment fairness", "answers parsed, %"]
    header += [
        "decision p50, CPU",
        "decision p99, CPU",
        "decision p50, wall",
        "cost with decision time, ms",
    ]
    rows = [
        [
            r.preset,
            r.policy,
            f"{r.backlog_fairness:.3f}",
            f"{r.assignment_fairness:.3f}",
            percent(r.parse_rate, 1),
            microseconds(r.decision_seconds_p50),
            microseconds(r.decision_seconds_p99),
            microseconds(r.decision_wall_seconds_p50),
            f"{r.mean_cost_charged_ms:.1f}",
        ]
        for r in rows_of(card)
    ]
    return table(header, rows, text_columns=2)


def _scorecard_note(has_slots: bool) -> str:
    slots = (
        "One slot is 100 ms."
        if has_slots
        else "Traces have no slots: costs are in ms. (The tables and JSON of the run keep "
        "<code>*_slots</code> columns, in units of 0.1 s.)"
    )
    return slots


def _solver_html(instances: pd.DataFrame) -> str:
    rows = [
        [
            r.preset,
            str(r.instances),
            f"{r.tasks:.0f}",
            percent(r.gap_mean, 4),
            percent(r.gap_worst, 4),
            f"{r.optimal} of {r.instances}",
            f"{r.seconds_mean:.2f}",
            f"{r.seconds_worst:.2f}",
        ]
        for r in rows_of(solver_table(instances))
    ]
    header = ["preset", "instances", "mean tasks", "mean gap, %", "worst gap, %"]
    return table([*header, "within the gap asked for", "mean s", "worst s"], rows)


def _bounds_note(instances: pd.DataFrame) -> str:
    words = {
        "certified": "<b>Certified</b> bounds follow from prices on shared resource time that "
        "<code>mecopt verify</code> can recompute exactly, without the solver.",
        "solver-claimed": "<b>Solver-claimed</b> bounds are a MILP solver's own word; they are "
        "not certified.",
    }
    return " ".join(words[kind] for kind in sorted(instances["bound_kind"].unique()))


def _published_section(suite: Mapping[str, Any], card: pd.DataFrame) -> str:
    if suite["scenario"] != "comllm":
        return ""
    title = "<h2>Published figures beside ours: COMLLM, Table II</h2>"
    if "paper" not in suite["presets"]:
        return f"{title}<p>The paper's setting (preset <code>paper</code>) is not in this run.</p>"
    ours = card[card["preset"] == "paper"].set_index("policy")
    rows = []
    for row in published.COMLLM_TABLE_II:
        cells = [row.method, f"{row.cost_slots:.4f}".rstrip("0"), _or_dash(row.drop_percent)]
        cells.append(_or_dash(row.pr_percent))
        if row.ours is None:
            cells += ["-", "", "", ""]
        elif row.ours not in ours.index:
            what = "is not in this run" if row.ours in policies.NAMES else "needs a trained model"
            cells += [f"{row.ours}: {what}", "", "", ""]
        else:
            mine: Any = ours.loc[row.ours]
            difference = mine["mean_cost_slots"] - row.cost_slots
            cells += [
                f"{mine['mean_cost_slots']:.4f}",
                percent(mine["drop_rate"]),
                percent(mine["pr"]),
                f"{difference:+.3f} ({100 * difference / row.cost_slots:+.1f} %)",
            ]
        rows.append([*cells, row.tag])
    header = ["method", "paper, slots", "paper, drop %", "paper, PR %", "ours, slots"]
    header += ["ours, drop %", "ours, PR %", "difference, slots", "tag"]
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in published.COMLLM_TABLE_II_NOTES)
    return f"{title}{table(header, rows)}<ul>{notes}</ul>"


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _parameters_section(suite: Mapping[str, Any]) -> str:
    asked = [[name, plain(value)] for name, value in suite.items() if value is not None]
    out = table(["asked for", "value"], asked, text_columns=2)
    columns: dict[str, Any]
    if suite["scenario"] == "comllm":
        columns = {name: comllm.parameters(name) for name in suite["presets"]}
        all_tags = comllm.TAGS
        note = (
            "P printed in the paper (arXiv 2604.07148), N from a neighbouring paper or sister "
            "code, D our decision. Where a preset differs from <code>paper</code>, the value is "
            "our decision."
        )
    else:
        columns, all_tags = {"value": trace_parameters.parameters()}, trace_parameters.TAGS
        note = (
            "N from a neighbouring paper or a standard, D our decision. Everything else is read "
            "from the data files that <code>mecopt data</code> lists with sources and licences."
        )
    rows = [
        [name, *(plain(getattr(p, name)) for p in columns.values()), tag]
        for name, tag in all_tags.items()
    ]
    header = [f"parameter of {suite['scenario']}", *columns, "tag"]
    return out + table(header, rows, text_columns=len(header)) + f"<p>Tags: {note}</p>"


def _provenance(manifest: Mapping[str, Any], instances: pd.DataFrame) -> str:
    rows = [
        [
            r.preset,
            str(r.seed),
            str(r.n_tasks),
            r.instance_hash[:16],
            r.method,
            r.termination,
            r.bound_kind,
            f"{r.bound_s * r.n_tasks:.6f}",
            f"{r.incumbent_s * r.n_tasks:.6f}",
            percent(r.gap, 4),
            r.incumbent_from,
            f"{r.seconds:.2f}",
        ]
        for r in rows_of(instances)
    ]
    header = ["preset", "seed", "tasks", "instance hash", "method", "stopped", "bound is"]
    header += ["bound, s", "best schedule, s", "gap, %", "found by", "seconds"]
    return table(["", "value"], facts(manifest), text_columns=2) + table(header, rows)
