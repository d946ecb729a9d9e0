"""``mecopt solve`` and ``mecopt verify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mecopt.cli import shell

if TYPE_CHECKING:
    from mecopt.caching import CachingInstance
    from mecopt.offloading.instance import OffloadingInstance
    from mecopt.result import Result


def solve(
    scenario: Annotated[
        str | None, typer.Option(help="comllm (default), traces or caching.", metavar="NAME")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="COMLLM preset: paper (default), busy, large, slow-servers, very-slow-servers, "
            "uneven-links; caching preset: base (default), ten, sticky, fast, big, backhaul, "
            "forwarding, base-backhaul, base-forwarding, trace.",
            metavar="NAME",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the instance (default 0).")] = None,
    trace: Annotated[
        str | None, typer.Option(help="Trace of scenario traces, e.g. azure-conv.", metavar="NAME")
    ] = None,
    window: Annotated[
        str | None, typer.Option(help="Part of the trace in seconds.", metavar="S:E")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Data folder (default: MECOPT_DATA).", metavar="DIR")
    ] = None,
    instance: Annotated[
        Path | None, typer.Option(help="Solve this instance file instead.", metavar="FILE")
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="plans (plan decomposition, certified bounds), milp (compact model for HiGHS, "
            "small instances); caching: plans, network or big-m (both for HiGHS).",
            metavar="NAME",
        ),
    ] = "plans",
    time_limit: Annotated[
        float | None, typer.Option(help="Seconds, compilation not counted.", metavar="SECONDS")
    ] = None,
    gap: Annotated[float, typer.Option(help="Stop at this relative gap.")] = 1e-4,
    json: Annotated[Path | None, typer.Option(help="Write the result.", metavar="FILE")] = None,
    save_instance: Annotated[
        Path | None, typer.Option(help="Write the instance (.gz compresses).", metavar="FILE")
    ] = None,
    save_schedule: Annotated[
        Path | None, typer.Option(help="Write the best schedule.", metavar="FILE")
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(help="Write a proof that `mecopt verify` can check.", metavar="FILE"),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the solver at work.")] = False,
) -> None:
    """Find a schedule and a proven lower bound for one instance.

    Example:

        mecopt solve --preset busy --seed 3 --json result.json --certificate proof.json

    The JSON holds objective and bound (sums of cost over tasks, in seconds), gap (relative),
    termination, method, seconds, instance_hash, choice (option index per task, -1 = dropped) and
    bound_kind.

        mecopt solve --scenario caching --preset ten --seed 0 --json result.json

    Here objective and bound are sums of cost over servers and slots, and cost_split takes the
    place of choice.
    """
    _check(time_limit, gap)
    made: dict[str, Any] = {
        "scenario": scenario,
        "preset": preset,
        "seed": seed,
        "trace": trace,
        "window": window,
    }
    if instance is not None:
        for name, value in made.items():
            if value is not None:
                raise ValueError(f"{name}: {value!r} cannot be combined with --instance")
    problem = _load(instance) if instance is not None else _generate(**made, data_dir=data_dir)
    _check_method(problem, method, certificate)
    if save_instance is not None:
        problem.save(save_instance)

    import formulations

    shell.warm_up(problem.family)
    typer.echo(repr(problem))
    # A spinner and a solver that prints would write over each other.
    if verbose:
        result = formulations.solve(
            problem, method=method, time_limit=time_limit, gap=gap, seed=seed or 0, verbose=True
        )
    else:
        with shell.status("solving"):
            result = formulations.solve(
                problem, method=method, time_limit=time_limit, gap=gap, seed=seed or 0
            )
    typer.echo(result.summary())
    _write(result, json, save_schedule, certificate)


def _check_method(
    problem: OffloadingInstance | CachingInstance, method: str, certificate: Path | None
) -> None:
    from mecopt.bench.suite import METHODS

    known = METHODS[problem.family]
    if method not in known:
        raise ValueError(f"method: unknown {method!r}, one of {', '.join(known)}")
    if certificate is not None and method != "plans":
        raise ValueError(
            f"certificate: the bound of method {method} is solver-claimed and cannot be "
            "certified; use --method plans"
        )


def _check(time_limit: float | None, gap: float) -> None:
    if time_limit is not None and not time_limit > 0:
        raise ValueError(f"time-limit = {time_limit} must be > 0")
    if not gap >= 0:
        raise ValueError(f"gap = {gap} must be >= 0")


def _load(path: Path) -> OffloadingInstance | CachingInstance:
    from mecopt.caching import instance as caching
    from mecopt.offloading.instance import OffloadingInstance

    if caching.FORMAT.claimed_by(path):
        return caching.CachingInstance.load(path)
    return OffloadingInstance.load(path)


def _generate(
    *,
    scenario: str | None,
    preset: str | None,
    seed: int | None,
    trace: str | None,
    window: str | None,
    data_dir: Path | None,
) -> OffloadingInstance | CachingInstance:
    if scenario != "traces":
        for name, value in (("trace", trace), ("window", window)):
            if value is not None:
                raise ValueError(f"{name}: {value!r} needs --scenario traces")
    if scenario == "caching":
        from mecopt.caching.scenarios import presets

        return presets.make(preset or "base", seed or 0, data_dir)
    if scenario in (None, "comllm"):
        from mecopt.offloading.scenarios import comllm

        return comllm.generate(preset or "paper", seed or 0)
    if scenario == "traces":
        if preset is not None:
            raise ValueError(f"preset: {preset!r} belongs to scenario comllm, use --trace")
        from mecopt.bench.suite import parse_window
        from mecopt.offloading.scenarios import traces

        return traces.generate(
            trace or "azure-conv",
            window=parse_window(window or "0:600"),
            seed=seed or 0,
            data_dir=data_dir,
        )
    raise ValueError(f"scenario: unknown {scenario!r}, one of comllm, traces, caching")


def result_record(result: Result) -> dict[str, Any]:
    """The keys of ``mecopt solve --json``."""
    from mecopt.caching import CachingInstance

    schedule = result.schedule
    record = {
        "objective": result.objective,
        "bound": result.bound,
        "gap": result.gap,
        "termination": str(result.termination),
        "method": result.method,
        "seconds": result.seconds,
        "instance_hash": result.instance.content_hash,
        "bound_kind": str(result.bound_kind),
    }
    if isinstance(result.instance, CachingInstance):
        record["cost_split"] = None if schedule is None else schedule.cost_split
        record["edge_share"] = None if schedule is None else schedule.edge_share
    else:
        record["choice"] = None if schedule is None else schedule.choice.tolist()
    return record


def _write(
    result: Result, json: Path | None, save_schedule: Path | None, proof: Path | None
) -> None:
    if json is not None:
        from mecopt import files

        files.write_json(json, result_record(result))
        typer.echo(f"result: {json}")
    if save_schedule is not None:
        from mecopt.caching import CachingPlan, plan_file
        from mecopt.offloading import schedule_file

        if result.schedule is None:
            raise ValueError(f"save-schedule: no schedule was found ({result.termination})")
        if isinstance(result.schedule, CachingPlan):
            plan_file.save(save_schedule, result.schedule)
        else:
            schedule_file.save(save_schedule, result.schedule)
        typer.echo(f"schedule: {save_schedule}")
    if proof is not None:
        from mecopt.certificates import verify as certificate

        certificate.save(proof, result)
        typer.echo(f"certificate: {proof} (check it with: mecopt verify {proof})")


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
