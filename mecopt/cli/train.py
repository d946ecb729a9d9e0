"""``mecopt train``: train a policy into a folder that resumes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from learning import recipes
from mecopt.cli import shell
from mecopt.cli.outputs import try_folder

if TYPE_CHECKING:
    from learning.runs.folder import OnProgress

#: Lines of progress where there is no terminal to draw a bar on.
_LINES = 10


def train(
    name: Annotated[
        str,
        typer.Argument(
            help=f"{', '.join(recipes.NAMES)}. What each learns from: docs/learning.md.",
            metavar="NAME",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Training folder; an interrupted training goes on there. Default: "
            "runs/train-NAME-SEED.",
            metavar="FOLDER",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of data, weights and batches.")] = 0,
    start: Annotated[
        str | None,
        typer.Option(
            help="Trained checkpoint to go on from, a folder or the name of a shipped one, for "
            "recipes that need or take one.",
            metavar="CHECKPOINT",
        ),
    ] = None,
    states: Annotated[
        int | None, typer.Option(help="SFT: train on this many labelled states only.", metavar="N")
    ] = None,
    instances: Annotated[
        str | None,
        typer.Option(
            help="sft, equivariant, mlp: learn from instance files of your own.",
            metavar="'FOLDER/*.json'",
        ),
    ] = None,
    scenario: Annotated[
        str | None,
        typer.Option(
            help="sft, equivariant, mlp: learn from episodes of a scenario of `mecopt bench`, "
            "training seeds only.",
            metavar="NAME",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Length of the training in place of the recipe's, in the steps that its progress "
            "counts: updates, decisions (dqn, ppo, mappo, ...) or rollouts (t2drl).",
            metavar="N",
        ),
    ] = None,
    portable: Annotated[
        bool,
        typer.Option(
            "--portable",
            help="Compute as every x86-64 processor with AVX2 can: equal weights elsewhere, in a "
            "third more time.",
        ),
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Any other setting; see docs/learning.md.", metavar="FIELD=VALUE"
        ),
    ] = None,
) -> None:
    """Train a policy. The same command goes on with an interrupted training.

    Example:

        mecopt train sft --out runs/sft

        mecopt train sft-lookahead --instances 'mine/*.json' --out runs/mine

        mecopt train grpo --start runs/sft --out runs/grpo

        mecopt bench comllm --policies grpo,priced --checkpoint grpo=runs/grpo

    Writes the trained policy (checkpoint/), its progress and a page with learning curves.
    """
    from learning.runs import folder as training_run
    from learning.runs import page as report_section

    if portable:
        from learning.runs import arithmetic

        arithmetic.make_portable()
    changes: dict[str, object] = {"start": start, "states": states, "steps": steps}
    changes |= {"instances": instances, "scenario": scenario}
    changes = {field: value for field, value in changes.items() if value is not None}
    for text in set_ or ():
        field, equals, value = text.partition("=")
        if not (field and equals and value):
            raise ValueError(f"set: {text!r} is not FIELD=VALUE, for example learning_rate=0.001")
        changes[field] = value
    folder = out or Path("runs") / f"train-{name}-{seed}"
    try_folder("out", folder)
    try:
        with _progress() as show:
            recipes.train(name, folder, seed=seed, changes=changes, on_progress=show)
    except KeyboardInterrupt:
        shell.say_error("interrupted; run the same command to go on from the last state kept")
        raise typer.Exit(shell.INTERRUPTED) from None
    if not training_run.is_first_process():
        return
    typer.echo(report_section.summary(folder))
    trainer = recipes.MODULES[name]
    policy = trainer.policy or name
    if instances is not None:
        typer.echo(f"use it: mecopt.rollout(instance, {policy!r}, checkpoint={str(folder)!r})")
    elif trainer.scenario:
        bench = f"mecopt bench {scenario or trainer.scenario} --policies {policy}"
        typer.echo(f"use it: {bench} --checkpoint {policy}={folder}")
    else:
        typer.echo(f"use it: mechanisms.run({policy!r}, market, checkpoint={str(folder)!r})")
    typer.echo(f"report: {report_section.build(folder)}")


@contextmanager
def _progress() -> Iterator[OnProgress]:
    """A bar with the latest figures on a terminal, a few lines elsewhere (both on stderr)."""
    screen = Console(stderr=True)
    parts = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("steps"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*parts, console=screen, disable=not screen.is_terminal) as bar:
        task = bar.add_task("", total=None)
        said = 0

        def show(step: int, steps: int, figures: Mapping[str, float]) -> None:
            nonlocal said
            text = ", ".join(f"{name} {value:.4g}" for name, value in list(figures.items())[:4])
            bar.update(task, completed=step, total=steps, description=text)
            tenth = step * _LINES // max(steps, 1)
            if not screen.is_terminal and tenth > said:
                said = tenth
                typer.echo(f"step {step} of {steps}: {text}", err=True)

        yield show
