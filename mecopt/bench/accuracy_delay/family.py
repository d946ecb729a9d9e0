"""The accuracy-delay family: GOA's snapshots, their scorecard, page and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from formulations.accuracy_delay.front import front
from mecopt import checks
from mecopt.accuracy_delay.assignment import Assignment
from mecopt.accuracy_delay.instance import FORMAT, SHARES, QuerySnapshot
from mecopt.accuracy_delay.margins import Margins
from mecopt.accuracy_delay.policies import by_name
from mecopt.accuracy_delay.rollout import timed_rollout
from mecopt.accuracy_delay.scenarios import goa
from mecopt.bench.accuracy_delay import page
from mecopt.bench.columns import DECISIONS, GAPS, Column, extra, fixed, tenths_of_percent
from mecopt.bench.families import Family, Scenario, option
from mecopt.bench.reading import parse_number, parse_whole, short
from mecopt.result import Result


# ------------------------------------------------------------------------------------- scenarios
@dataclass(frozen=True)
class _Asked:
    """What is asked of decisions, in place of the defaults."""

    kappa: float | None = option(
        "Worth of moving one unit of uncertainty off the device, s (goa: 2, queries: 0).",
        "SECONDS", read=lambda text: parse_number(text, "kappa"), text=short,
    )  # fmt: skip
    accuracy: float | None = option(
        "Mean expected accuracy that a decision must reach (none unless said).", "SHARE",
        read=lambda text: parse_number(text, "accuracy"), text=short,
    )  # fmt: skip
    shares: str | None = option("Shares of bandwidth: equal (default) or optimal.", "NAME")

    def __post_init__(self) -> None:
        if self.kappa is not None and not 0 <= self.kappa < float("inf"):
            raise ValueError(f"kappa = {self.kappa!r} must be a number of seconds >= 0")
        if self.accuracy is not None and not 0 <= self.accuracy <= 1:
            raise ValueError(f"accuracy = {self.accuracy!r} must be between 0 and 1")
        if self.shares is not None:
            checks.one_of("shares", self.shares, SHARES)

    @property
    def changes(self) -> dict[str, Any]:
        """Fields of a snapshot in place of the defaults."""
        of = {"kappa_s": self.kappa, "least_accuracy": self.accuracy, "shares": self.shares}
        return {name: value for name, value in of.items() if value is not None}


@dataclass(frozen=True)
class GoaOptions(_Asked):
    """What snapshots have in place of the defaults."""

    edge_servers: int | None = option(
        "Servers, in place of 3.", "N", read=lambda text: parse_whole(text, "edge-servers")
    )
    margins: str | None = option("Margins measured by `mecopt margins`.", "FILE")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.edge_servers is not None:
            checks.whole("edge_servers", self.edge_servers, 1)

    @property
    def changes(self) -> dict[str, Any]:
        """Parameters in place of the defaults."""
        servers = {} if self.edge_servers is None else {"servers": self.edge_servers}
        return {**super().changes, **servers}


def _generate(users: str, seed: int, options: GoaOptions, data_dir: str | None) -> QuerySnapshot:
    if options.margins is None:
        return goa.generate(users, seed, **options.changes)
    x = goa.generate(users, seed, margins=Margins.load(options.margins), **options.changes)
    return replace(x, meta={**x.meta, "margins_file": options.margins})


def _check(users: tuple[str, ...], options: GoaOptions) -> None:
    for number in users:
        goa.check_users(number)


GOA = Scenario(
    "goa",
    """Benchmark on snapshots of queries: which leave the device (GOA, arXiv 2602.07958).

    Example:

        mecopt bench goa --users 10,30,50 --seeds 0:20 --policies goa,goa-local-search,threshold

    Bounds every snapshot, lets every rule decide it, prints the scorecard and writes tables,
    pictures and a report to the run folder. The objective is the total delay less kappa times the
    uncertainty that leaves the device, in seconds.
    """,
    presets=lambda: tuple(str(n) for n in goa.USERS),
    generate=_generate,
    defaults={
        "preset": "30",
        "solve_preset": "30",
        "seeds": "0:8",
        "policies": "goa,goa-local-search,delay-greedy,threshold,nearest,least-loaded,random,"
        "all-local",
        "time_limit": 30.0,
        "gap": 1e-6,
    },
    options=GoaOptions,
    check=_check,
    parameters=lambda users: [({n: goa.parameters(n) for n in users}, goa.TAGS)],
    tags_note="D our decision: the paper's tables are not available to us, and no figure here is a "
    "reproduction of them.",
    preset_option="users",
    tuned=False,
)


@dataclass(frozen=True)
class QueriesOptions(_Asked):
    """The servers of a table of queries, and what is asked for."""

    servers_file: str = option(
        "Table of servers (CSV: server, speed, accuracy, queue_s, room).", "FILE", default="",
        flag="servers-file",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.servers_file:
            raise ValueError("servers_file: scenario queries needs the table of servers")


def _read(path: str, seed: int, options: QueriesOptions, data_dir: str | None) -> QuerySnapshot:
    return QuerySnapshot.from_csv(path, options.servers_file, **options.changes)


QUERIES = Scenario(
    "queries",
    """Benchmark on queries of your own: a table of queries and one of servers.

    Example:

        mecopt bench queries --queries queries.csv --servers-file servers.csv --kappa 2

    Columns of queries: bits, work, local_s, uncertainty, accuracy, optionally user, and
    "rate_bps NAME" for every server. Columns of servers: server, speed, accuracy, optionally
    queue_s and room.
    """,
    presets=lambda: ("queries.csv",),
    generate=_read,
    defaults={**GOA.defaults, "preset": "queries.csv", "solve_preset": "queries.csv"}
    | {"seeds": "0:1"},
    options=QueriesOptions,
    preset_option="queries",
    tuned=False,
)


# ---------------------------------------------------------------------------------------- figures
#: The exact front of the first snapshot of each number of users: how many users at most, how many
#: points, and seconds in all.
_FRONT_USERS, _FRONT_POINTS, _FRONT_S = 50, 9, 10.0


def _play(instance: QuerySnapshot, policy: Any) -> tuple[Assignment, dict[str, Any]]:
    found, cpu_s, wall_s = timed_rollout(instance, policy)
    return found, {
        "decision_seconds": cpu_s,
        "decision_seconds_p50": cpu_s,
        "decision_seconds_p99": cpu_s,
        "decision_wall_seconds_p50": wall_s,
    }


def _figures(found: Assignment) -> dict[str, Any]:
    delay = found.delay_s
    return {
        "mean_delay_s": float(delay.mean()),
        "p95_delay_s": float(np.quantile(delay, 0.95)),
        "expected_accuracy": found.expected_accuracy,
        "offloaded_share": found.offloaded_share,
    }


def _describe(result: Result, best: Assignment, local: Assignment) -> dict[str, Any]:
    x: QuerySnapshot = result.instance
    named = {f"best_{name}": value for name, value in _figures(best).items()}
    return {"n_users": x.n_users, "n_servers": x.n_servers, "kappa_s": x.kappa_s, **named}


def _measure(found: Assignment, solved: Mapping[str, Any]) -> dict[str, Any]:
    return {"users": solved["n_users"], "objective": found.objective, **_figures(found)}


def _timelines(result: Result, shown: Mapping[str, Assignment]) -> pd.DataFrame:
    """Decisions query by query, points of the exact front, and the answers behind the margins."""
    x: QuerySnapshot = result.instance
    parts = [found.table().assign(schedule=name) for name, found in shown.items()]
    if x.n_users <= _FRONT_USERS:
        parts.append(
            front(x, points=_FRONT_POINTS, time_limit=_FRONT_S).table.assign(schedule="front")
        )
    if "margins_file" in x.meta:
        measured = Margins.load(x.meta["margins_file"])
        columns = ("uncertainty", "correct", "calibrated", "task")
        answers = pd.DataFrame({name: getattr(measured, name) for name in columns})
        of = {"server": measured.model, "user": measured.aggregation}
        parts.append(answers.assign(schedule="margins", **of))
    return pd.concat(parts, ignore_index=True)


def _solution(found: Assignment | None) -> dict[str, Any]:
    if found is None:
        return {"choice": None}
    return {"choice": found.choice.tolist(), **_figures(found)}


FAMILY = Family(
    name="accuracy_delay",
    instance=QuerySnapshot,
    format=FORMAT,
    policies=by_name.POLICIES,
    play=_play,
    reference="all-local",
    scenarios=(GOA, QUERIES),
    columns=(
        Column("cost", "objective, s", fixed(2), ("console", "page")),
        *GAPS,
        Column("mean_delay_s", "delay, s", fixed(3)),
        Column("p95_delay_s", "delay p95, s", fixed(3)),
        Column("expected_accuracy", "accuracy, %", tenths_of_percent),
        Column("offloaded_share", "offloaded, %", tenths_of_percent),
        Column("users", "users", fixed(0), ("record",)),
        Column("objective", "objective, s", fixed(3), ("record",)),
        Column("bound", "bound, s", fixed(3), ("record",)),
        Column("incumbent", "best known, s", fixed(3), ("record",)),
        Column("decision_seconds", "decision, CPU s", fixed(6), ("record",)),
        extra("extra over best, s"),
        *DECISIONS,
    ),
    size=("n_users", "users"),
    describe=_describe,
    measure=_measure,
    solution=_solution,
    timelines=_timelines,
    instance_columns=(
        Column("best_mean_delay_s", "delay of the best decision, s", fixed(3)),
        Column("best_expected_accuracy", "its accuracy, %", tenths_of_percent),
    ),
    pictures=page.pictures,
    template="report_accuracy_delay.html",
    context=page.context,
    cost_words="The objective is the total delay less kappa times the uncertainty that leaves the "
    "device, in seconds over all queries.",
)
