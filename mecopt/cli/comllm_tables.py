"""``mecopt bench comllm --states`` and ``--table``: independent states, and the paper's tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mecopt import checkpoints
from mecopt.checkpoints import Checkpoint
from mecopt.cli import shell
from mecopt.cli.options import read_options
from mecopt.cli.outputs import Outputs

if TYPE_CHECKING:
    from mecopt.bench.families import Scenario

#: (name, annotation, default) of what ``mecopt bench comllm`` has beside episodes.
OPTIONS: list[tuple[str, Any, Any]] = [
    (
        "states",
        Annotated[
            int | None,
            typer.Option(
                help="Score N independent states of one-step-oracle trajectories, not episodes.",
                metavar="N",
            ),
        ],
        None,
    ),
    (
        "seed",
        Annotated[
            int | None,
            typer.Option(help="Of the sample of --states (default 0).", metavar="S"),
        ],
        None,
    ),
    (
        "table",
        Annotated[
            str | None,
            typer.Option(
                help="Table of the paper, beside ours: II, III, IV, V or VI.", metavar="T"
            ),
        ],
        None,
    ),
]


@dataclass(frozen=True)
class Asked:
    """Options of the command line, as given; None where left out."""

    preset: str
    policies: str | None
    checkpoints: tuple[Checkpoint, ...]
    servers: int | None
    states: int | None
    seed: int | None
    seeds: str | None


def run(scenario: Scenario, asked: Mapping[str, Any]) -> bool:
    """Do what --states or --table ask for; False when neither was given.

    Raises
    ------
    ValueError
        If they come with options of episodes, or --seed without --states.
    """
    if asked["states"] is None and asked["table"] is None:
        if asked["seed"] is not None:
            raise ValueError(
                f"seed = {asked['seed']} goes with --states; episodes take --seeds A:B"
            )
        return False
    if asked["task_mbit"] is not None:
        raise ValueError(f"task-mbit = {asked['task_mbit']} goes with episodes (--seeds)")
    servers = read_options(scenario, {"servers": asked["servers"]}).get("servers")
    given = Asked(
        asked["preset"] or scenario.defaults["preset"],
        asked["policies"],
        checkpoints.parse(asked["checkpoint"] or ()),
        servers,
        asked["states"],
        asked["seed"],
        asked["seeds"],
    )
    if asked["table"] is None:
        states(given, scenario.defaults["policies"], asked["json"])
    else:
        table(given, asked["table"], asked["out"], asked["json"], asked["jobs"])
    return True


def states(asked: Asked, policies_unless_said: str, json: Path | None) -> None:
    """Ask every policy at independent states; print, and write one record per policy."""
    from learning.offloading.evaluation import independent_states as protocol
    from mecopt.bench.reading import parse_names
    from mecopt.bench.suite import Suite

    if asked.seeds is not None:
        raise ValueError(f"seeds = {asked.seeds} goes with episodes; --states takes --seed S")
    presets = parse_names(asked.preset)
    if len(presets) != 1:
        raise ValueError(f"preset: --states takes one, got {asked.preset!r}")
    seed = 0 if asked.seed is None else asked.seed
    suite = Suite(  # checks names, as the benchmark does
        scenario="comllm",
        presets=presets,
        seeds=(seed, seed + 1),
        policies=parse_names(asked.policies or policies_unless_said),
        options={"servers": asked.servers},
        checkpoints=asked.checkpoints,
    )
    policies = {name: suite.policy(name, suite.units[0]) for name in suite.policies}
    assert asked.states is not None
    with Outputs({"json": json}) as outputs:
        with shell.status("asking the policies"):
            sample, answers = protocol.ask(
                policies, preset=presets[0], count=asked.states, servers=asked.servers, seed=seed
            )
        records = protocol.records(sample, answers)
        outputs.write_json(records)
        servers = f"{sample.n_servers} server" + ("s" if sample.n_servers > 1 else "")
        what = f"{len(sample)} states of one-step-oracle trajectories, {servers}"
        typer.echo(f"{presets[0]}: {what}\n")
        typer.echo(shell.columns(_HEADER, [_cells(record) for record in records]))
        typer.echo(
            "\nPR = mean cost of the one-step oracle / mean cost of the policy, in these states "
            "alone: a rule\nthat looks ahead is below 100 % on purpose. Episodes say what it gains "
            "(--seeds A:B)."
        )


_HEADER = (
    "policy",
    "PR %",
    "agree %",
    "drop %",
    "cost, slots",
    "backlog fair",
    "tasks fair",
    "parsed %",
)


def _cells(record: dict) -> list[str]:
    return [
        record["policy"],
        f"{100 * record['pr']:.2f}",
        f"{100 * record['agreement']:.1f}",
        f"{100 * record['drop_rate']:.2f}",
        f"{record['mean_cost_slots']:.4f}",
        f"{record['backlog_fairness']:.3f}",
        f"{record['assignment_fairness']:.3f}",
        f"{100 * record['parse_rate']:.1f}",
    ]


def table(asked: Asked, name: str, out: Path | None, json: Path | None, jobs: int | None) -> None:
    """Make a table of the paper: theirs, ours, difference; write JSON, Markdown and a picture."""
    from learning.offloading.evaluation import tables
    from learning.offloading.evaluation.figures import Request, default_policies
    from mecopt.bench.paper_tables import files as table_files
    from mecopt.bench.paper_tables import text as table_text
    from mecopt.bench.reading import parse_names, parse_range

    if asked.servers is not None:
        raise ValueError(f"servers = {asked.servers} cannot be combined with --table")
    presets = parse_names(asked.preset)
    if len(presets) != 1:
        raise ValueError(f"preset: --table takes one, got {asked.preset!r}")
    named = () if asked.policies is None else parse_names(asked.policies)
    folder = out or Path("runs") / f"table-{name}"
    with Outputs({"json": json}, folders={"out": folder}) as outputs:
        with shell.progress("") as bar:
            request = Request(
                out=folder,
                policies=named or default_policies(asked.checkpoints),
                checkpoints=asked.checkpoints,
                preset=presets[0],
                states=1000 if asked.states is None else asked.states,
                seed=0 if asked.seed is None else asked.seed,
                seeds=(0, 8) if asked.seeds is None else parse_range(asked.seeds),
                jobs=jobs,
                on_part=bar,
            )
            made = tables.make(name, request)
        outputs.write_json(table_files.document(made))
        written = table_files.write(made, folder)
        typer.echo(f"{made.title}\n")
        for block in table_text.blocks(made):
            typer.echo(block.heading)
            text = shell.columns(block.header, block.rows, text_columns=block.text_columns)
            typer.echo(text + "\n")
        for note in made.notes:
            typer.echo(f"* {note}")
        typer.echo(f"\n{', '.join(map(str, written))}")
