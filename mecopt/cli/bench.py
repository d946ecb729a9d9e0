"""``mecopt bench`` and ``mecopt report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mecopt.cli import comllm_tables as protocols
from mecopt.cli import shell

if TYPE_CHECKING:
    import pandas as pd

    from mecopt.bench.run_folder import RunFolder
    from mecopt.bench.suite import Suite

#: Keys of the records that ``--json`` writes, besides ``preset``.
RECORD_KEYS = (
    "policy",
    "seed",
    "mean_cost_slots",
    "drop_rate",
    "parse_rate",
    "bound_slots",
    "incumbent_slots",
    "gap_to_bound",
    "gap_to_incumbent",
    "decision_seconds_p50",
)

app = typer.Typer(invoke_without_command=True, rich_markup_mode="markdown")

_POLICIES: Any = typer.Option(
    help="Comma-separated: one-step-oracle, one-step-oracle-drop, priced, priced-duals, "
    "lookahead, random, local, nearest, least-loaded, round-robin; trained: sft, "
    "sft-lookahead, grpo, grpo-lambda0, grpo-lookahead, dqn, ppo, equivariant, mlp.",
    metavar="A,B,...",
)
Policies = Annotated[str, _POLICIES]
OptionalPolicies = Annotated[str | None, _POLICIES]
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
Checkpoints = Annotated[
    list[str] | None,
    typer.Option(
        "--checkpoint",
        help="Trained policy to load; may be given several times. NAME is then a policy.",
        metavar="NAME=FOLDER",
    ),
]
TaskMbit = Annotated[
    str | None, typer.Option(help="Task sizes, in place of the preset's, Mbit.", metavar="A:B")
]
Servers = Annotated[
    int | None, typer.Option(help="Servers, in place of the preset's 6.", metavar="N")
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
    seeds: Annotated[
        str | None,
        typer.Option(help="Seeds A, A+1, ..., B-1 (default 100:108).", metavar="A:B"),
    ] = None,
    policies: OptionalPolicies = None,
    checkpoint: Checkpoints = None,
    servers: Servers = None,
    task_mbit: TaskMbit = None,
    states: Annotated[
        int | None,
        typer.Option(
            help="Score N independent states of one-step-oracle trajectories, not episodes.",
            metavar="N",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of the sample of --states (default 0).", metavar="S")
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(help="Table of the paper, beside ours: II, III, IV, V or VI.", metavar="T"),
    ] = None,
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

        mecopt bench comllm --states 1000 --servers 8 --seed 1 --policies one-step-oracle,sft

    Asks every policy at 1000 independent states, as the paper does, and compares with its one-step
    oracle.

        mecopt bench comllm --table II --out runs/table-II

    Makes the paper's Table II: theirs, ours, difference, and gaps to bounds on episodes.
    """
    from mecopt import checkpoints
    from mecopt.bench.suite import Suite, parse_interval, parse_names, parse_range

    trained = checkpoints.parse(checkpoint or ())
    if states is not None or table is not None:
        if task_mbit is not None:
            raise ValueError(f"task-mbit = {task_mbit} goes with episodes (--seeds)")
        asked = protocols.Asked(preset, policies, trained, servers, states, seed, seeds)
        if table is None:
            protocols.states(asked, json)
        else:
            protocols.table(asked, table, out, json, jobs)
        return
    if seed is not None:
        raise ValueError(f"seed = {seed} goes with --states; episodes take --seeds A:B")
    suite = Suite(
        scenario="comllm",
        presets=parse_names(preset),
        seeds=parse_range("100:108" if seeds is None else seeds),
        policies=parse_names(policies or protocols.COMLLM_POLICIES),
        method=method,
        time_limit_s=time_limit,
        gap=gap,
        servers=servers,
        task_mbit=None if task_mbit is None else parse_interval(task_mbit, "task-mbit"),
        checkpoints=trained,
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
    from mecopt.bench.suite import Suite, parse_names, parse_range, parse_window

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
    checkpoint: Checkpoints = None,
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
    from mecopt import checkpoints
    from mecopt.bench.suite import Suite, parse_names, parse_range

    suite = Suite(
        scenario="caching",
        presets=parse_names(preset),
        seeds=parse_range(seeds),
        policies=parse_names(policies),
        method=method,
        time_limit_s=time_limit,
        gap=gap,
        data_dir=shell.default_data_dir(data_dir),
        checkpoints=checkpoints.parse(checkpoint or ()),
    )
    _bench(suite, out, json, engine, address, jobs)


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


def default_folder(suite: Suite) -> Path:
    """A folder named after the parameters: the same command finds its run again."""
    return Path("runs") / f"{suite.scenario}-{suite.digest}"


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
    from mecopt.bench import pages
    from mecopt.bench.caching import scorecard as scorecard_caching
    from mecopt.bench.families import FAMILIES

    family = FAMILIES[suite.family]
    folder_path = out or default_folder(suite)
    try:
        folder = _run(suite, folder_path, engine, address, jobs)
        _, tables = folder.read()
        if json is not None:
            make_records = scorecard_caching.records if suite.family == "caching" else records
            from mecopt import files

            files.write_json(json, make_records(tables["results"]))
        screen = shell.console()
        screen.print()
        family.print_scorecard(screen, tables, suite)
        typer.echo()
        typer.echo(family.headline(tables))
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
        )
