"""``mecopt verify``: check a certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mecopt import terminal
from mecopt.cli import shell


def verify(
    file: Annotated[Path, typer.Argument(help="Certificate file.", metavar="FILE")],
    time_limit: Annotated[
        float | None,
        typer.Option(
            help="Give up after this many seconds. Default: 8 for every MB of the file.",
            metavar="SECONDS",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Check a certificate: recompute schedule and bound in exact arithmetic, without a solver.

    Example:

        mecopt solve --preset paper --certificate proof.json
        mecopt verify proof.json

    Exit status 0: accepted; 1: rejected, with the reasons; 2: not a readable certificate; 3: not
    verified within the time limit. Files of up to 256 MB are read; compressed ones may unpack to 32
    MB, or to 32 times their size.
    """
    from mecopt.certificates import verify as certificate

    with shell.status("checking in exact arithmetic"):
        verdict = certificate.verify(file, time_limit=time_limit)
    if not verdict.ok:
        words = "rejected: " if verdict.decided else ""
        for problem in verdict.problems:
            shell.say_error(f"{file}: {words}{problem}")
        raise typer.Exit(shell.REJECTED if verdict.decided else shell.UNDECIDED)
    name = terminal.printable(str(file))
    leaves = "1 leaf" if verdict.leaves == 1 else f"{verdict.leaves} leaves"
    # All digits: rounded ones could leave the optimum out.
    typer.echo(
        f"{name}: accepted. The optimum lies in [{verdict.bound!r}, {verdict.objective!r}]"
        f"{verdict.cost_unit}: the bound recomputed from {leaves}, and the cost of the schedule "
        f"replayed, in {verdict.seconds:.1f} s"
    )
    typer.echo(f"{verdict.family} instance {verdict.instance_hash}")
