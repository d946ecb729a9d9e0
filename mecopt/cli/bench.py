"""``mecopt bench``: one command for every scenario of every family."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mecopt.cli import shell
from mecopt.cli.options import bench_options, command, own_options, read_options
from mecopt.cli.outputs import Outputs

if TYPE_CHECKING:
    from mecopt.bench.families import Family, Scenario
    from mecopt.bench.run_folder import RunFolder
    from mecopt.bench.suite import Suite

#: Scenarios whose command does more than run episodes: module with ``OPTIONS`` and ``run``.
_MORE = {"comllm": "mecopt.cli.comllm_tables"}

HELP = "Score policies against proven bounds over seeded instances."


def build() -> typer.Typer:
    """The command group, made from the families that are known when it is called."""
    from mecopt.bench.families import FAMILIES

    app = typer.Typer(
        add_completion=False, invoke_without_command=True, rich_markup_mode="markdown"
    )

    @app.callback()
    def root(context: typer.Context) -> None:
        """Score policies against proven bounds over seeded instances.

        Example:

            mecopt bench comllm --preset paper,busy --seeds 100:108 --policies one-step-oracle,random
        """  # noqa: E501
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    for family in FAMILIES.values():
        for scenario in family.scenarios:
            app.command(scenario.name)(_command(family, scenario))
    return app


def _command(family: Family, scenario: Scenario) -> Any:
    options = bench_options(family, scenario)
    more = import_module(_MORE[scenario.name]) if scenario.name in _MORE else None
    if more is not None:
        options += more.OPTIONS

    def run(**asked: Any) -> None:
        if more is not None and more.run(scenario, asked):
            return
        _bench(_suite(scenario, asked), **{k: asked[k] for k in _RUNNING})

    return command(run, scenario.help, options)


#: Options that say how to run, not what.
_RUNNING = ("out", "json", "engine", "address", "jobs")


def _suite(scenario: Scenario, asked: dict[str, Any]) -> Suite:
    from mecopt import checkpoints
    from mecopt.bench.reading import parse_names, parse_range
    from mecopt.bench.suite import Suite

    def typed(name: str) -> str:
        text: str = scenario.defaults[name] if asked[name] is None else asked[name]
        return text

    own = {name: asked[name] for name in own_options(scenario)}
    return Suite(
        scenario=scenario.name,
        presets=parse_names(typed("preset")),
        seeds=parse_range(typed("seeds")),
        policies=parse_names(typed("policies")),
        method=asked["method"] or "",
        time_limit_s=asked["time_limit"],
        gap=asked["gap"],
        options=read_options(scenario, own),
        data_dir=shell.default_data_dir(asked.get("data_dir")),
        checkpoints=checkpoints.parse(asked["checkpoint"] or ()),
    )


def _bench(
    suite: Suite,
    out: Path | None,
    json: Path | None,
    engine: str,
    address: str | None,
    jobs: int | None,
) -> None:
    from mecopt.bench import pages, scorecard
    from mecopt.bench.run import default_folder

    folder_path = out or default_folder(suite)
    with Outputs({"json": json}, folders={"out": folder_path}) as outputs:
        try:
            folder = _run(suite, folder_path, engine, address, jobs)
            _, tables = folder.read()
            outputs.write_json(scorecard.records(tables["results"], suite.family))
            screen = shell.console()
            screen.print()
            scorecard.print_scorecard(screen, tables, suite.family, suite.scenario)
            typer.echo()
            typer.echo(scorecard.headline(tables, suite.family))
            for note in filter(None, dict.fromkeys(tables["instances"].get("notes", ()))):
                typer.echo(note)
            path = pages.build(folder)
        except KeyboardInterrupt:
            from mecopt.bench.run_folder import resume_command

            again = resume_command(suite, folder_path)
            shell.say_error(f"interrupted; finished instances are kept, resume with: {again}")
            raise typer.Exit(shell.INTERRUPTED) from None
        typer.echo(f"report: {path}")


def _run(suite: Suite, out: Path, engine: str, address: str | None, jobs: int | None) -> RunFolder:
    from mecopt.bench import run as benchmark

    with shell.progress("instances") as bar:
        return benchmark.run(
            suite,
            out,
            engine=engine,
            address=address,
            jobs=jobs,
            on_part=lambda done, total: bar("solving and playing", done, total),
            on_note=shell.say_error,
        )
