"""``mecopt bench`` and ``mecopt report``."""

from __future__ import annotations

from hashlib import sha256
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mecopt.cli import shell

if TYPE_CHECKING:
    import pandas as pd

    from mecopt.runfolder import RunFolder
    from mecopt.suite import Suite

#: Keys of the records that ``--json`` writes, besides ``preset``.
RECORD_KEYS = (
    "policy",
    "seed",
    "mean_cost_slots",
    "drop_rate",
    "bound_slots",
    "incumbent_slots",
    "gap_to_bound",
    "gap_to_incumbent",
    "decision_seconds_p50",
)

app = typer.Typer(invoke_without_command=True, rich_markup_mode="markdown")

COMLLM_POLICIES = (
    "one-step-oracle,one-step-oracle-drop,priced,lookahead,nearest,least-loaded,random"
)

Policies = Annotated[
    str,
    typer.Option(
        help="Comma-separated: one-step-oracle, one-step-oracle-drop, priced, lookahead, random, "
        "local, nearest, least-loaded, round-robin.",
        metavar="A,B,...",
    ),
]
Seeds = Annotated[str, typer.Option(help="Seeds A, A+1, ..., B-1. Take 8 or more.", metavar="A:B")]
Method = Annotated[str, typer.Option(help="Solver route: plans or milp.", metavar="NAME")]
TimeLimit = Annotated[float, typer.Option(help="Solver seconds per instance.", metavar="SECONDS")]
Gap = Annotated[float, typer.Option(help="The solver may stop at this relative gap.")]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Run folder; an interrupted run resumes there. Default: runs/, named after the "
        "parameters.",
        metavar="FOLDER",
    ),
]
Json = Annotated[
    Path | None, typer.Option(help="Write one record per policy and seed.", metavar="FILE")
]
Engine = Annotated[str, typer.Option(help="loky (this machine) or ray.", metavar="NAME")]
Address = Annotated[
    str | None, typer.Option(help="Ray cluster to join, with --engine ray.", metavar="HOST:PORT")
]
Jobs = Annotated[int | None, typer.Option(help="Instances at a time (default: cores).")]


@app.callback()
def root(context: typer.Context) -> None:
    """Score policies against proven bounds over seeded instances.

    Example:

        mecopt bench comllm --preset paper,busy --seeds 100:108 --policies one-step-oracle,random
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("comllm")
def bench_comllm(
    preset: Annotated[
        str,
        typer.Option(
            help="Comma-separated: paper, busy, large, slow-servers, very-slow-servers, "
            "uneven-links.",
            metavar="P,Q,...",
        ),
    ] = "paper",
    seeds: Seeds = "100:108",
    policies: Policies = COMLLM_POLICIES,
    method: Method = "plans",
    time_limit: TimeLimit = 10.0,
    gap: Gap = 1e-4,
    out: Out = None,
    json: Json = None,
    engine: Engine = "loky",
    address: Address = None,
    jobs: Jobs = None,
) -> None:
    """Benchmark on COMLLM episodes: 6 users, 6 servers, 100 slots (arXiv 2604.07148).

    Example:

        mecopt bench comllm --preset paper --seeds 100:108 --policies one-step-oracle,priced,random

    Solves every episode, rolls out every policy, prints the scorecard and writes tables, pictures
    and a report to the run folder.
    """
    from mecopt.suite import Suite, parse_names, parse_range

    suite = Suite(
        scenario="comllm",
        presets=parse_names(preset),
        seeds=parse_range(seeds),
        policies=parse_names(policies),
        method=method,
        time_limit_s=time_limit,
        gap=gap,
    )
    _bench(suite, out, json, engine, address, jobs)


@app.command("traces")
def bench_traces(
    trace: Annotated[
        str,
        typer.Option(
            help="azure-code, azure-conv or another trace that `mecopt data` lists.",
            metavar="NAME",
        ),
    ] = "azure-conv",
    window: Annotated[
        str, typer.Option(help="Part of the trace in seconds.", metavar="S:E")
    ] = "0:600",
    seeds: Seeds = "0:1",
    policies: Policies = "one-step-oracle,one-step-oracle-drop,nearest,least-loaded,random",
    method: Method = "plans",
    time_limit: TimeLimit = 60.0,
    gap: Gap = 1e-3,
    data_dir: Annotated[
        Path | None, typer.Option(help="Data folder (default: MECOPT_DATA).", metavar="DIR")
    ] = None,
    out: Out = None,
    json: Json = None,
    engine: Engine = "loky",
    address: Address = None,
    jobs: Jobs = None,
) -> None:
    """Benchmark on real LLM requests over the edge sites of Melbourne.

    Example:

        mecopt bench traces --trace azure-conv --window 0:600 --policies one-step-oracle,random

    The seed places users and devices. Traces have no slots; the *_slots figures of the JSON are in
    units of 0.1 s.
    """
    from mecopt.suite import Suite, parse_names, parse_range, parse_window

    suite = Suite(
        scenario="traces",
        presets=(trace,),
        seeds=parse_range(seeds),
        policies=parse_names(policies),
        method=method,
        time_limit_s=time_limit,
        gap=gap,
        window_s=parse_window(window),
        data_dir=shell.default_data_dir(data_dir),
    )
    _bench(suite, out, json, engine, address, jobs)


@app.command("caching")
def bench_caching(
    preset: Annotated[
        str,
        typer.Option(
            help="Comma-separated: base, ten, sticky, fast, big, backhaul, forwarding, "
            "base-backhaul, base-forwarding, trace.",
            metavar="P,Q,...",
        ),
    ] = "ten",
    seeds: Seeds = "0:8",
    policies: Annotated[
        str,
        typer.Option(
            help="Comma-separated: cloud, fifo, lfu, least-age and their -sensible versions, "
            "myopic, rolling, rolling-rates (told the true rates), priced, ppo, t2drl.",
            metavar="A,B,...",
        ),
    ] = "cloud,fifo-sensible,lfu-sensible,least-age-sensible,myopic,rolling,priced",
    method: Annotated[
        str, typer.Option(help="Solver route: plans, network or big-m.", metavar="NAME")
    ] = "plans",
    time_limit: TimeLimit = 90.0,
    gap: Gap = 1e-4,
    data_dir: Annotated[
        Path | None, typer.Option(help="Data folder, preset trace only.", metavar="DIR")
    ] = None,
    out: Out = None,
    json: Json = None,
    engine: Engine = "loky",
    address: Address = None,
    jobs: Jobs = None,
) -> None:
    """Benchmark on edge caches of models: 5 servers, 100 slots (T2DRL, arXiv 2501.14205).

    Example:

        mecopt bench caching --preset ten --seeds 0:8 --policies cloud,lfu-sensible,myopic,rolling

    Bounds every episode, rolls out every policy, prints the scorecard and writes tables, pictures
    and a report to the run folder. Costs are sums over servers and slots.
    """
    from mecopt.suite import Suite, parse_names, parse_range

    suite = Suite(
        scenario="caching",
        presets=parse_names(preset),
        seeds=parse_range(seeds),
        policies=parse_names(policies),
        method=method,
        time_limit_s=time_limit,
        gap=gap,
        data_dir=shell.default_data_dir(data_dir),
    )
    _bench(suite, out, json, engine, address, jobs)


def report(
    folder: Annotated[Path, typer.Argument(help="Run folder of a benchmark.", metavar="FOLDER")],
    growth: Annotated[
        Path | None,
        typer.Option(help="Growth measurement to show (benchmarks/growth.py).", metavar="FILE"),
    ] = None,
) -> None:
    """Draw the pictures and write the page of a finished run again; nothing is recomputed.

    Example:

        mecopt report runs/demo --growth benchmarks/results/growth.json
    """
    from mecopt import files
    from mecopt import report as page
    from mecopt.runfolder import RunFolder

    run = RunFolder(folder)
    if growth is not None:
        run.read()  # refuse an unfinished run before anything is written
        page.read_growth(growth)
        files.write_bytes(run.path / page.GROWTH, growth.read_bytes())
    path = page.build(run)
    typer.echo(f"report: {path}")


def default_folder(suite: Suite) -> Path:
    """A folder named after the parameters: the same command finds its run again."""
    digest = sha256(dumps(suite.to_document(), sort_keys=True).encode()).hexdigest()[:8]
    return Path("runs") / f"{suite.scenario}-{digest}"


def records(results: pd.DataFrame) -> list[dict[str, Any]]:
    """One record per policy and seed, for ``--json``."""
    rows = results[["preset", *RECORD_KEYS]].to_dict("records")
    return [{str(key): value for key, value in row.items()} for row in rows]


def _bench(
    suite: Suite,
    out: Path | None,
    json: Path | None,
    engine: str,
    address: str | None,
    jobs: int | None,
) -> None:
    from mecopt import report as page
    from mecopt import scorecard_caching
    from mecopt.families import FAMILIES

    family = FAMILIES[suite.family]
    folder_path = out or default_folder(suite)
    try:
        folder = _run(suite, folder_path, engine, address, jobs)
        _, tables = folder.read()
        if json is not None:
            make_records = scorecard_caching.records if suite.family == "caching" else records
            shell.write_json(json, make_records(tables["results"]))
        screen = shell.console()
        screen.print()
        family.print_scorecard(screen, tables, suite)
        typer.echo()
        typer.echo(family.headline(tables))
        path = page.build(folder)
    except KeyboardInterrupt:
        from mecopt.runfolder import resume_command

        again = resume_command(suite, folder_path)
        shell.say_error(f"interrupted; finished instances are kept, resume with: {again}")
        raise typer.Exit(shell.INTERRUPTED) from None
    typer.echo(f"report: {path}")


def _run(suite: Suite, out: Path, engine: str, address: str | None, jobs: int | None) -> RunFolder:
    from mecopt import benchmark

    screen = Console(stderr=True)
    columns = (
        TextColumn("solving and playing"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("instances"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("", total=len(suite.units))

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        return benchmark.run(suite, out, engine=engine, address=address, jobs=jobs, on_part=show)
