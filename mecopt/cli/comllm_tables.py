"""``mecopt bench comllm --states`` and ``--table``: independent states, and the paper's tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import typer

from mecopt.checkpoints import Checkpoint
from mecopt.cli import shell

COMLLM_POLICIES = (
    "one-step-oracle,one-step-oracle-drop,priced,lookahead,nearest,least-loaded,random"
)


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


def states(asked: Asked, json: Path | None) -> None:
    """Ask every policy at independent states; print, and write one record per policy."""
    from learning.offloading.evaluation import independent_states as protocol
    from mecopt.bench.suite import Suite, parse_names

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
        policies=parse_names(asked.policies or COMLLM_POLICIES),
        servers=asked.servers,
        checkpoints=asked.checkpoints,
    )
    policies = {name: suite.policy(name, suite.units[0]) for name in suite.policies}
    assert asked.states is not None
    with shell.status("asking the policies"):
        sample, answers = protocol.ask(
            policies, preset=presets[0], count=asked.states, servers=asked.servers, seed=seed
        )
    records = protocol.records(sample, answers)
    if json is not None:
        from mecopt import files

        files.write_json(json, records)
    servers = f"{sample.n_servers} server" + ("s" if sample.n_servers > 1 else "")
    typer.echo(f"{presets[0]}: {len(sample)} states of one-step-oracle trajectories, {servers}\n")
    typer.echo(shell.columns(_HEADER, [_cells(record) for record in records]))
    typer.echo(
        "\nPR = mean cost of the one-step oracle / mean cost of the policy, in these states alone: "
        "a rule\nthat looks ahead is below 100 % on purpose. Episodes say what it gains "
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
    from mecopt.bench.suite import parse_names, parse_range

    if asked.servers is not None:
        raise ValueError(f"servers = {asked.servers} cannot be combined with --table")
    presets = parse_names(asked.preset)
    if len(presets) != 1:
        raise ValueError(f"preset: --table takes one, got {asked.preset!r}")
    named = () if asked.policies is None else parse_names(asked.policies)
    folder = out or Path("runs") / f"table-{name}"
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
    written = table_files.write(made, folder)
    if json is not None:
        from mecopt import files

        files.write_json(json, table_files.document(made))
    typer.echo(f"{made.title}\n")
    for block in table_text.blocks(made):
        typer.echo(block.heading)
        typer.echo(shell.columns(block.header, block.rows, text_columns=block.text_columns) + "\n")
    for note in made.notes:
        typer.echo(f"* {note}")
    typer.echo(f"\n{', '.join(map(str, written))}")
