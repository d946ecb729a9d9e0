"""Write docs/benchmarks.md from the files in benchmarks/results (nothing is typed by hand).

python -m benchmarks.page
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.common import read, records

INTRO = """# Measured

Every figure comes from a script in `benchmarks/` and stands in `benchmarks/results/` with machine,
versions and seeds: summaries as JSON, the rows behind them (one per instance or episode) as parquet
files of the same name, read with `benchmarks.common.records(name)`. `python -m benchmarks.page`
writes this page from them. Measured on two cores ({cpu}), one thread a process, with other work
beside it, so times are upper bounds.
"""
BOUNDS = """
## Bounds and schedules (`benchmarks.offloading.gaps`)

COMLLM presets, seeds 0:10, one core, compilation left out; the solver stops at a gap of 0.005 %.
Limits 10 s, and 60 s for the two slow presets. Every bound is certified; every certificate was
saved and verified.
"""
SMALL = """
The slow presets got there by prices polished to the optimum of the relaxation (column generation
on buckets down to 1 ms) and by annealing windows of the schedule with incremental replay. No
disjunctive cuts were needed; branching with FIFO windows is used up to 100 tasks.

Small instances, 3 users and 3 servers, 20 seeds each, gap asked 1e-6, limit 60 s:
"""
POLICIES = """
## Policies (`benchmarks.offloading.policies`)

All rules, all presets: [policies.md](../benchmarks/results/policies.md). The look-ahead rollout
meets its aims (2.2 / 3.7 / 6 % above the bound on paper / busy / large); the priced rule does on
paper and large. On busy it stays above 3.7 % on seeds 0:10, which are harder than most; on seeds
0:40 it is below ([policies_busy_40.md](../benchmarks/results/policies_busy_40.md)). Prices read
from duals are no better.

## Other solvers (`benchmarks.offloading.compare_solvers`)

The same small instances and 30 s for HiGHS and SCIP on the compact model, CP-SAT on a native model,
and the plan decomposition: [compare_solvers.md](../benchmarks/results/compare_solvers.md).

Mechanisms: [mechanisms.md](mechanisms.md).
"""


def table(header: str, rows: Iterable[str]) -> str:
    """A Markdown table; the first column is text."""
    width = header.count("|") - 1
    return "\n".join([header, "|---|" + "--:|" * (width - 1), *rows]) + "\n"


def bounds(summary: list[dict[str, Any]]) -> str:
    """Gaps of episodes and of small instances."""
    episodes = table(
        "| preset | mean gap, % | worst gap, % | mean s | worst s | verify / solve time |",
        (
            f"| {r['preset']} | {r['mean_gap_percent']:.4f} | {r['worst_gap_percent']:.4f} "
            f"| {r['mean_seconds']:.1f} | {r['worst_seconds']:.1f} "
            f"| {r['worst_verify_ratio']:.2f} |"
            for r in summary
            if r["suite"] == "episodes"
        ),
    )
    small = table(
        "| preset, tasks up to | proven, % | mean s | worst s |",
        (
            f"| {r['preset']}, {r['suite'][6:]} | {100 * r['proven_share_1e-6']:.0f} "
            f"| {r['mean_seconds']:.2f} | {r['worst_seconds']:.1f} |"
            for r in summary
            if r["suite"] != "episodes"
        ),
    )
    return BOUNDS + "\n" + episodes + SMALL + "\n" + small


def correctness(c: dict[str, Any]) -> str:
    """Agreement with brute force."""
    return (
        f"\n## Correctness (`benchmarks.offloading.correctness`)\n\n"
        f"{c['instances']} tiny instances (chains, "
        f"DAGs, capacity 2, deadlines, down intervals; in {c['kinds']['optimum runs a task late']} "
        "of them running a late\ntask is the optimum): plan decomposition agrees with brute force, "
        f"worst relative deviation\n{c['worst_relative_deviation']['plans']:.1g}; the compact MILP "
        f"on the {c['solved']['milp']} it covers (DAG options together with down intervals need\n"
        "cancellation, which the model does not have), worst "
        f"{c['worst_relative_deviation']['milp']:.1g}. Failures: {len(c['failures'])}.\n"
    )


def updates(rows: pd.DataFrame) -> str:
    """Price updates compared."""
    names = {
        "polyak_400": "Polyak subgradient, 400 steps",
        "ascent_400": "diagonal ascent, 400 steps",
        "ascent_120_and_columns": "diagonal ascent, 120 steps, then column generation",
    }
    lines = []
    for key, label in names.items():
        below, seconds = rows[f"{key}_below_best_percent"], rows[f"{key}_seconds"].mean()
        lines.append(f"| {label} | {below.mean():.4f} | {below.max():.4f} | {seconds:.2f} |")
    proven = rows["columns_proven_optimal"].sum()
    return (
        "\n## Price updates (`benchmarks.offloading.ascent`)\n\n"
        "The same start and oracle, 6 presets x 5 "
        "seeds; how far below the best bound each ends:\n\n"
        + table("| update | mean below best, % | worst, % | mean s |", lines)
        + f"\nColumn generation proves its prices optimal on {proven} of {len(rows)}.\n"
    )


def growth(rows: list[dict[str, Any]]) -> str:
    """Size against time and memory."""

    def line(r: dict[str, Any]) -> str:
        first = r["seconds_to_1_percent"]
        reached = f"{first:.2f}" if first is not None else "not reached"
        return (
            f"| {r['users']} x {r['servers']} x {r['slots']} | {r['tasks']:,} | {reached} "
            f"| {r['gap_percent']:.3f} | {r['seconds']:.0f} | {r['peak_memory_gb']:.2f} |"
        )

    head = "| users x servers x slots | tasks | s to 1 % | final gap, % | s | peak memory, GB |"
    return (
        "\n## Growth (`benchmarks.offloading.growth`)\n\n"
        "Gap asked 0.1 %, one core; each size in a process of "
        "its own.\n\n" + table(head, map(line, rows))
    )


def trace(h: dict[str, Any]) -> str:
    """One hour of real requests."""
    every = h["all_sites"]
    return (
        "\n## One hour of real requests (`benchmarks.offloading.trace_hour`)\n\n"
        f"All 19,366 requests of the "
        "Azure conversation trace over Melbourne, eight rules, bound and report\nincluded: "
        f"{h['bench_wall_seconds']:.0f} s end to end. Certified gap {100 * h['gap']:.2f} % (5 of "
        f"the 125 sites host GPUs, the default); its certificate\nverifies in "
        f"{h['verify_wall_seconds']:.0f} s. With a GPU at each of the 125 sites: gap "
        f"{100 * every['gap']:.2g} % in {every['seconds']:.0f} s, the one-step oracle "
        f"{100 * every['one_step_oracle_drop_gap_to_bound']:.1f} % above the bound.\n"
    )


def replay(rows: list[dict[str, Any]]) -> str:
    """Kernel against SimPy."""
    micro = [r["kernel_microseconds"] for r in rows]
    ratio = [r["ratio"] for r in rows]
    tasks = [r["tasks"] for r in rows]
    return (
        f"\n## Replay (`benchmarks.offloading.replay`)\n\n"
        f"The kernel on paper-preset episodes of {min(tasks)} "
        f"to {max(tasks)} tasks: {min(micro):.1f} to {max(micro):.1f} microseconds,\n"
        f"{min(ratio):.0f} to {max(ratio):.0f} times a SimPy model of the same system (checked "
        "equal).\n"
    )


def paired(rows: list[dict[str, Any]]) -> str:
    """This layout against the one before it."""
    lines = []
    for row in rows:
        texts = [
            f"{row[f'{kind}_ratio']:.3f} ({low:.3f} .. {high:.3f})"
            for kind in ("cpu", "wall")
            for low, high in [row[f"{kind}_ratio_interval"]]
        ]
        lines.append(f"| {row['measure']} | {' | '.join(texts)} |")
    return (
        "\n## Speed against the former layout (`benchmarks.offloading.paired`)\n\nSeconds now over "
        "seconds then, the same work in two fresh processes in turns, 8 pairs (mean and 95 %\n"
        "interval; other work ran on the machine, so CPU time says more than wall time):\n\n"
        + table("| measure | CPU, new / old | wall, new / old |", lines)
    )


TRUST = """
## Trust (`benchmarks.trust.fuzz` and its neighbours)

Checks that may not fail once, and limits that must hold. `fuzz` compares with something slow and
simple (an event list in plain integers, SimPy, brute force) and stops at the first difference;
`mutations` damages valid certificates of every family and judges what is still accepted by
enumeration; `hostile` hands `mecopt verify` files made to take for ever; `kill` kills a run at six
points and compares the tables of the resumed one with those of a run that was left alone, clocks
aside; `ray_cluster` takes one of two nodes away in the middle of a run.
"""


def trust() -> str:
    """What the scripts of `benchmarks/trust` found."""
    fuzz, damaged = read("trust/fuzz"), read("trust/mutations")
    kill, ray = read("trust/kill"), read("trust/ray_cluster")
    worst = read("trust/hostile")["worst"]
    limits = [read(f"trust/time_limits_{part}") for part in ("offloading", "others")]
    overrun = max(max(found["worst_overrun_seconds"].values()) for found in limits)
    rows = [
        f"| fuzz: {row['kind']} | {row['cases']:,} | {row['failures']} differences |"
        for row in fuzz["rows"]
    ]
    rows += [
        f"| damaged certificates | {damaged['mutations']:,} | {damaged['fraud']} accepted wrongly, "
        f"{damaged['tracebacks']} tracebacks |",
        f"| hostile files | {len(read('trust/hostile')['rows'])} | one line each, at most "
        f"{worst['seconds']:.1f} s from start to end and {worst['peak_mb']:.0f} MB |",
        f"| kill -9 | {kill['of']} | {kill['equal']} resumed runs equal |",
        f"| time limits 0, 0.1, 1 s | {sum(found['solves'] for found in limits)} | "
        f"{sum(found['over'] for found in limits)} over by more than 0.5 s; "
        f"at most {overrun:.2f} s |",
        f"| Ray node lost | 1 | resumed run {'equal' if ray['equal'] else 'not equal'} |",
    ]
    return TRUST + "\n" + table("| what | cases | result |", rows)


def versions(found: dict[str, Any]) -> str:
    """Direct dependencies at their oldest and newest."""
    sets = ("oldest", "newest")
    names = [re.split("[=<>]", text)[0].replace("_", "-") for text in found["oldest"]["asked"]]
    rows = [
        f"| {name} | " + " | ".join(found[which]["installed"][name] for which in sets) + " |"
        for name in names
    ]
    return (
        "\n## Versions (`benchmarks.versions`)\n\nThe oldest dependencies that `pyproject.toml` "
        "allows and the newest there were, each installed without\nany extra on Python "
        f"{found['newest']['python']}, with every command run once (`make oldest`, "
        "`make newest`):\n\n" + table("| package | oldest | newest |", rows)
    )


def main() -> None:
    """Write the page."""
    gaps = read("gaps")
    cpu = gaps["provenance"]["machine"]["processor"]
    page = INTRO.format(cpu=cpu) + bounds(gaps["summary"])
    page += correctness(read("correctness")) + updates(records("ascent"))
    page += growth(read("growth")["rows"]) + trace(read("trace_hour"))
    page += replay(read("replay")["rows"]) + paired(read("paired")["rows"])
    page += POLICIES + trust() + versions(read("versions"))
    target = Path(__file__).parent.parent / "docs" / "benchmarks.md"
    target.write_text(page)
    print(target.relative_to(Path.cwd()))


if __name__ == "__main__":
    main()
