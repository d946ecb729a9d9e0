"""``mecopt data``: which data files a scenario needs, whether they are right, where from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from mecopt.cli import shell
from mecopt.cli.outputs import try_folder

app = typer.Typer(invoke_without_command=True, rich_markup_mode="markdown")

DataDir = Annotated[
    Path | None,
    typer.Option(help="Data folder (default: MECOPT_DATA, else ../shared/data).", metavar="DIR"),
]


@app.callback()
def root(context: typer.Context, data_dir: DataDir = None) -> None:
    """List the data files that scenarios read, with licence and source.

    Examples:

        mecopt data
        mecopt data verify
        mecopt data fetch azure-conv

    Scenario comllm needs no data, nor do the presets of caching but `trace`. No data file is part
    of the package.
    """
    context.obj = data_dir
    if context.invoked_subcommand is not None:
        return
    from mecopt import data

    files = data.describe(data_dir)
    screen = shell.console()
    for scenario in files["scenario"].unique():
        title = f"scenario {scenario}, in {data.resolve_data_dir(data_dir)}"
        table = Table(title=title, title_justify="left", box=None)
        for name in ("name", "here", "rows", "licence", "what for"):
            table.add_column(name, justify="right" if name == "rows" else "left")
        for f in files[files["scenario"] == scenario].to_dict("records"):
            here = "yes" if f["present"] else "no, fetch" if f["fetchable"] else "no"
            table.add_row(f["name"], here, f"{f['rows']:,}", f["licence"], f["what_for"])
        screen.print(table)
    typer.echo(
        "\nScenario comllm needs no data, nor do the presets of caching but trace. "
        "Get what has an original: mecopt data fetch"
    )


@app.command("verify")
def verify(context: typer.Context, data_dir: DataDir = None) -> None:
    """Read every data file and compare its SHA-256 with the known content.

    Example:

        mecopt data verify --data-dir ~/mecopt-data

    Exit status 0 when every file is as known, 1 when one is missing, differs or is malformed.
    """
    from mecopt import data

    files = data.verify(data_dir or context.obj)
    for f in files.to_dict("records"):
        typer.echo(f"{f['name']}: {f['status']}")
    if (files["status"] != "ok").any():
        raise typer.Exit(1)


@app.command("fetch")
def fetch(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(help="Names from `mecopt data`; all unless said.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Download data files at the cited commits, convert them and check their SHA-256.

    Example:

        mecopt data fetch azure-conv azure-code --data-dir ~/mecopt-data
    """
    from mecopt import data

    folder = data.resolve_data_dir(data_dir or context.obj)
    try_folder("data-dir", folder)
    try:
        data.fetch(names or (), folder, progress=typer.echo)
    except KeyboardInterrupt:
        shell.say_error(
            f"interrupted; the files listed are in {folder}, the same command fetches the rest"
        )
        raise typer.Exit(shell.INTERRUPTED) from None
