"""``mecopt solve --plan FILE --nodes FILE``: where each call of somebody's own graph runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from mecopt.cli import shell

if TYPE_CHECKING:
    from mecopt.offloading.instance import OffloadingInstance
    from mecopt.result import Result
    from mecopt.task_graphs.own import Outcome


def is_asked(plan: Path | None, nodes: Path | None, picture: Path | None) -> bool:
    """Whether a graph of somebody's own is to be placed.

    Raises
    ------
    ValueError
        If plan or nodes are missing.
    """
    if plan is not None and nodes is None:
        raise ValueError(f"plan: {str(plan)!r} needs --nodes FILE, the machines to run it on")
    if plan is None:
        for name, path in (("nodes", nodes), ("picture", picture)):
            if path is not None:
                raise ValueError(f"{name}: {str(path)!r} needs --plan FILE")
    return plan is not None


def read(plan: Path | None, nodes: Path | None) -> OffloadingInstance:
    """The instance of one task; ValueError names the file and what is wrong with it."""
    from mecopt.task_graphs.network_file import load_network
    from mecopt.task_graphs.own import own_episode
    from mecopt.task_graphs.plan_file import load_plan

    assert plan is not None and nodes is not None
    graph, own = load_plan(plan), load_network(nodes)
    try:
        return own_episode(graph, own, plan.stem).instance
    except ValueError as error:
        raise ValueError(f"{plan} on {nodes}: {error}") from None


def show(result: Result) -> dict[str, Any]:
    """Print the calls as a table; returns what ``--json`` holds of them."""
    from mecopt.bench.scorecard import rows_of

    found = _outcome(result)
    if found is None:
        return {"assignment": None, "latency_s": None, "accuracy": None, "reward": None}
    rows = [
        (
            row.item,
            row.resource,
            f"{row.start_s:.3f}",
            f"{row.finish_s:.3f}",
            "-" if np.isnan(row.correctness) else f"{row.correctness:.3f}",
        )
        for row in rows_of(found.calls)
    ]
    header = ("subtask", "node", "start, s", "finish, s", "correctness")
    typer.echo(shell.columns(header, rows, text_columns=2))
    right = "" if np.isnan(found.accuracy) else f"expected correctness {found.accuracy:.3f}, "
    typer.echo(
        f"latency {found.latency_s:.3f} s, {right}reward {found.reward + 0.0:.4f} (at most "
        f"{-result.bound + 0.0:.4f}, {result.bound_kind})"
    )
    return {
        "assignment": found.assignment,
        "latency_s": found.latency_s,
        "accuracy": found.accuracy,
        "reward": found.reward + 0.0,
    }


def draw(path: Path, result: Result) -> None:
    """Write the picture of the schedule."""
    from mecopt import files
    from mecopt.bench import plot
    from mecopt.bench.task_graphs.plot import graph_picture

    found = _outcome(result)
    if found is None:
        raise ValueError(f"picture: no schedule was found ({result.termination})")
    files.write_bytes(path, plot.png(graph_picture(found, result.instance.task_names[0])))


def _outcome(result: Result) -> Outcome | None:
    from mecopt.task_graphs.episode import Episode
    from mecopt.task_graphs.own import outcome_of

    if result.schedule is None:
        return None
    return outcome_of(Episode.of(result.instance), result.schedule)
