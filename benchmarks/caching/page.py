"""Write results/caching_bounds.md: certified gaps, growth, and where the gap of forwarding lies.

    python -m benchmarks.caching.page

From the files of `caching_gaps`, `caching_growth` and `caching_forwarding`; nothing is typed by
hand, and a table whose file is missing is left out.
"""

from __future__ import annotations

from benchmarks.caching.gaps import PLAN
from benchmarks.caching.learning_page import grid
from benchmarks.common import RESULTS, exists, read

INTRO = """# Caching: bounds and schedules, measured

Every bound is certified, every certificate was saved and verified in whole numbers. Two threads on
two cores with other work beside them: times are upper bounds. Time is wall time, compilation left
out; a solve stops at its limit, or at a gap of 0.01 %.
"""


def gaps() -> list[str]:
    """One row per preset."""
    rows = []
    for preset in PLAN:
        if not exists(f"caching_gaps_{preset}"):
            continue
        body = read(f"caching_gaps_{preset}")
        runs, summary = body["rows"], body["summary"]
        reached = [run["seconds_to_1_percent"] for run in runs]
        rows.append(
            [
                preset,
                str(len(runs)),
                f"{summary['mean_gap_percent']:.4f}",
                f"{summary['worst_gap_percent']:.4f}",
                f"{max(run['time_limit'] for run in runs):.0f}",
                f"{summary['worst_seconds']:.1f}",
                f"{min(run['cpu_seconds'] for run in runs):.1f}",
                "-" if None in reached else f"{max(reached):.1f}",
                f"{max(run['verify_seconds'] for run in runs):.1f}",
            ]
        )
    head = ("preset", "seeds from 0", "mean gap, %", "worst gap, %", "limit, s", "slowest, s",
            "least CPU, s", "all at 1 % after, s", "slowest verify, s")  # fmt: skip
    return ["## Certified gaps (`benchmarks.caching.gaps`)", "", *grid(head, rows)]


def growth() -> list[str]:
    """One row per size."""
    if not exists("caching_growth"):
        return []
    rows = [
        [
            f"{run['pairs']} x {run['slots']}",
            f"{run['requests']}",
            f"{run['time_limit']:.0f}",
            f"{run['seconds']:.1f}",
            f"{run['first_bound_seconds']:.1f}",
            f"{run['gap_percent']:.3f}",
            f"{run['peak_memory_gb']:.2f}",
        ]
        for run in read("caching_growth")["rows"]
    ]
    head = ("pairs x slots", "requests", "limit, s", "time, s", "first bound, s", "gap, %",
            "memory, GB")  # fmt: skip
    return ["## Growth on one server (`benchmarks.caching.growth`)", "", *grid(head, rows)]


def forwarding() -> list[str]:
    """One row per small instance."""
    if not exists("caching_forwarding"):
        return []
    body = read("caching_forwarding")
    rows = [
        [
            f"{run['servers']} x {run['pairs']} x {run['slots']}, seed {run['seed']}",
            f"{run['gap_percent']:.2f}",
            f"{run['bound_too_low_by_at_least_percent']:.2f}",
            f"{run['schedule_above_tree_percent']:.2f}",
            f"{run['leaves']}",
        ]
        for run in body["rows"]
    ]
    head = ("servers x pairs x slots", "gap, %", "of it the bound's, at least, %",
            "schedule above the tree's bound, %", "leaves")  # fmt: skip
    return [
        "## Forwarding: bound or schedule? (`benchmarks.caching.forwarding`)",
        "",
        f"Tree over residency on all servers, {body['seconds']:.0f} s, against the bound without.",
        "",
        *grid(head, rows),
    ]


def main() -> None:
    """Write the page."""
    lines = [INTRO, *gaps(), *growth(), *forwarding()]
    path = RESULTS / "caching_bounds.md"
    path.write_text("\n".join(lines).rstrip() + "\n")
    print(path)


if __name__ == "__main__":
    main()
