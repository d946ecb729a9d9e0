"""``mecopt verify``: check a certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mecopt.cli import shell


def verify(
    file: Annotated[Path, typer.Argument(help="Certificate file.", metavar="FILE")],
) -> None:
    """Check a certificate: recompute schedule and bound in exact arithmetic, without a solver.

    Example:

        mecopt solve --preset paper --certificate proof.json
        mecopt verify proof.json

    Exit status 0: accepted; 1: rejected, with the reasons; 2: not a readable certificate.
    """
    from mecopt.certificates import verify as certificate

    with shell.status("checking in exact arithmetic"):
        verdict = certificate.verify(file)
    if not verdict.ok:
        for problem in verdict.problems:
            shell.say_error(f"{file}: rejected: {problem}")
        raise typer.Exit(shell.REJECTED)
    typer.echo(
        f"{file}: accepted. The optimum lies in [{verdict.bound:.9g}, {verdict.objective:.9g}]"
        f"{verdict.cost_unit} ({verdict.leaves} leaves checked in {verdict.seconds:.1f} s)"
    )
