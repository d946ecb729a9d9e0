"""``mecopt export``: trained agents for machines without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mecopt.cli import shell
from mecopt.cli.outputs import Outputs


def export(
    policy: Annotated[
        str, typer.Option(help="Trained agents: a folder, or the name of shipped ones.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the exported agents.", metavar="FOLDER")],
    prior: Annotated[
        str | None,
        typer.Option(
            help="What LeDRL's agents are told there, in place of the prior of their training: "
            "rule or language.",
            metavar="NAME",
        ),
    ] = None,
) -> None:
    """Export trained agents of failing nodes as ONNX.

    Example:

        mecopt export --policy mappo --out runs/mappo-onnx

        mecopt serve --policy runs/mappo-onnx

    They decide with onnxruntime (extra serve), without torch, in rollouts, benchmarks
    (--checkpoint NAME=FOLDER) and the server. The scores of both are compared on random decisions.
    """
    from learning.collaboration import zoo
    from mecopt import extras

    shipped = zoo.shipped(policy) if policy in zoo.NAMES else None
    with Outputs({}, folders={"out": out}), extras.needed("export:", "export"):
        from learning.collaboration.export import difference
        from learning.collaboration.export import export as write

        folder = shipped or policy
        with shell.status("tracing the network"):
            found = write(folder, out, prior=prior)
            worst = difference(folder, found)
    typer.echo(f"{found}: scores differ by {worst:.0e} at most from those of torch")
