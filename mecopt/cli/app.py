"""The commands put together."""

from __future__ import annotations

from typing import Annotated

import typer

from mecopt.cli import (
    audit,
    bench,
    bound,
    data,
    export,
    margins,
    report,
    serve,
    solve,
    train,
    verify,
)
from mecopt.cli.shell import LATE, OneLineErrors

app = typer.Typer(
    cls=OneLineErrors,
    name="mecopt",
    add_completion=False,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    rich_markup_mode="markdown",
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"mecopt {version('mecopt')}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """How far is an edge-offloading decision rule from the best possible one, provably?

    Start here:

        mecopt bench comllm --preset paper --seeds 100:102 --policies one-step-oracle,random

    solves two episodes with a proven bound, plays two rules on them, prints the scorecard and
    leaves a report. Every command has --help with an example.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


# What scenarios and policies there are is read when these two are used, not at every start.
LATE["solve"] = (solve.HELP.partition("\n")[0], solve.build)
LATE["bench"] = (bench.HELP, bench.build)
app.command("bound")(bound.bound)
app.command("verify")(verify.verify)
app.command("report")(report.report)
app.add_typer(data.app, name="data")
app.command("audit")(audit.audit)
app.command("train")(train.train)
app.command("margins")(margins.margins)
app.command("export")(export.export)
app.command("serve")(serve.serve)


def main() -> None:
    """Entry point of the ``mecopt`` script."""
    app(prog_name="mecopt")
