"""``mecopt report``: the page of a finished run, drawn again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mecopt.cli.outputs import try_folder


def report(
    folder: Annotated[
        Path, typer.Argument(help="Folder of a benchmark or of a training.", metavar="FOLDER")
    ],
    growth: Annotated[
        Path | None,
        typer.Option(
            help="Growth measurement to show (benchmarks/offloading/growth.py).", metavar="FILE"
        ),
    ] = None,
    training: Annotated[
        list[Path] | None,
        typer.Option(
            help="Training folder whose learning curves to show; may be given several times.",
            metavar="FOLDER",
        ),
    ] = None,
) -> None:
    """Draw the pictures and write the page of a finished run again; nothing is recomputed.

    Works on the folder of a benchmark and on that of a training.

    Example:

        mecopt report runs/demo --growth benchmarks/results/growth.json

        mecopt report runs/demo --training runs/sft --training runs/grpo
    """
    from learning.runs import page as report_section
    from mecopt import files
    from mecopt.bench import pages
    from mecopt.bench.run_folder import RunFolder

    if folder.is_dir():
        try_folder("folder", folder)
    if report_section.is_training(folder):
        typer.echo(f"report: {report_section.build(folder)}")
        return
    run = RunFolder(folder)
    if training:
        run.read()  # refuse an unfinished run before anything is written
        files.write_bytes(run.path / pages.TRAINING, report_section.section(training).encode())
    if growth is not None:
        run.read()  # refuse an unfinished run before anything is written
        pages.read_growth(growth)
        files.write_bytes(run.path / pages.GROWTH, growth.read_bytes())
    path = pages.build(run)
    typer.echo(f"report: {path}")
