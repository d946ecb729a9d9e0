"""The benchmark: solve and roll out over seeded instances, fanned out with joblib.

One unit of work is one instance: make it, bound it and find the best schedule, roll out every
policy, replay everything. Each finished unit is written to the run folder at once, so a run that
is interrupted resumes where it stopped.
"""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from time import perf_counter
from typing import Any

import pandas as pd
from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError

from mecopt.bench.caching import rows as benchmark_caching
from mecopt.bench.incumbent import BrokenBound as BrokenBound
from mecopt.bench.incumbent import best_schedule, check_bound, columns
from mecopt.bench.run_folder import RunFolder, resume_command
from mecopt.bench.suite import DEFAULT_SLOT_S, Suite, Unit
from mecopt.caching.instance import CachingInstance
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.metrics import performance_ratio, run_policy
from mecopt.offloading.schedule import Schedule
from mecopt.result import Result
from mecopt.statistics import gap_to_bound, gap_to_incumbent

ENGINES = ("loky", "ray")
#: The policy that PR compares with; rolled out even when the suite does not name it.
REFERENCE = "one-step-oracle"

#: Packages whose versions can change a figure.
PACKAGES = (
    "mecopt",
    "numpy",
    "numba",
    "highspy",
    "pyomo",
    "pandas",
    "joblib",
    "matplotlib",
    "torch",
    "transformers",
)


@cache
def _warm(family: str) -> None:
    """Compile or load a family's kernels once per process, outside every clock."""
    import formulations

    formulations.warm_up(family)


def run_unit(suite: Suite, unit: Unit) -> dict[str, Any]:
    """Do one unit of work.

    Returns
    -------
    dict
        Lists of rows under the names of `mecopt.bench.run_folder.TABLES`, JSON-able.

    Raises
    ------
    BrokenBound
        If any schedule costs less than the bound.
    """
    import formulations

    _warm(suite.family)
    begin = perf_counter()
    instance = suite.instance(unit)
    result = formulations.solve(
        instance,
        method=suite.method,
        time_limit=suite.time_limit_s,
        gap=suite.gap,
        seed=unit.seed,
    )
    if isinstance(instance, CachingInstance):
        tables = benchmark_caching.rows(suite, unit, instance, result)
    else:
        tables = _rows(suite, unit, instance, result)
    tables["instances"][0]["unit_seconds"] = perf_counter() - begin
    return tables


def _rows(suite: Suite, unit: Unit, instance: OffloadingInstance, result: Result) -> dict[str, Any]:
    """Tables of a solved offloading instance, policies rolled out."""
    schedules: dict[str, Schedule] = {}
    measured: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys([*suite.policies, REFERENCE]):
        schedules[name], figures = run_policy(instance, suite.policy(name, unit))
        measured[name] = {**figures, "policy": name}
    best_name, best = best_schedule(result, schedules)
    check_bound(unit, result, best)

    where: dict[str, Any] = {"preset": unit.preset, "seed": unit.seed}
    slot_s = float(instance.meta.get("slot_s", DEFAULT_SLOT_S))
    row = _instance_row(instance, result, best_name, best.objective, slot_s)
    row["oracle_cost_s"] = schedules[REFERENCE].mean_cost_s
    results = [
        {**where, **_policy_row(measured[name], row, schedules[name], result.bound, best.objective)}
        for name in suite.policies
    ]
    timelines = pd.DataFrame()
    if unit.seed == suite.seeds[0]:
        shown = {"best known": best, suite.policies[0]: schedules[suite.policies[0]]}
        timelines = pd.concat([s.timeline().assign(schedule=name) for name, s in shown.items()])
    return {
        "results": results,
        "instances": [{**where, **row}],
        "progress": columns(result.progress, where),
        "timelines": columns(timelines, where),
    }


def _instance_row(
    instance: OffloadingInstance, result: Result, best_name: str, best: float, slot_s: float
) -> dict[str, Any]:
    n = instance.n_tasks
    return {
        "instance_hash": instance.content_hash,
        "n_tasks": n,
        "n_resources": instance.n_resources,
        "slot_s": slot_s,
        "bound_s": result.bound / n,
        "incumbent_s": best / n,
        "incumbent_from": best_name,
        "solver_objective_s": result.objective / n,
        "gap": gap_to_bound(best, result.bound),
        "bound_kind": str(result.bound_kind),
        "termination": str(result.termination),
        "method": result.method,
        "seconds": result.seconds,
    }


def _policy_row(
    measured: dict[str, Any], row: dict[str, Any], schedule: Schedule, bound: float, best: float
) -> dict[str, Any]:
    slot_s = row["slot_s"]
    return {
        "policy": measured["policy"],
        "instance_hash": row["instance_hash"],
        "mean_cost_slots": schedule.mean_cost_s / slot_s,
        "mean_cost_ms": schedule.mean_cost_s * 1e3,
        "drop_rate": measured["drop_rate"],
        "parse_rate": measured["parse_rate"],
        "bound_slots": row["bound_s"] / slot_s,
        "incumbent_slots": row["incumbent_s"] / slot_s,
        "gap_to_bound": gap_to_bound(schedule.objective, bound),
        "gap_to_incumbent": gap_to_incumbent(schedule.objective, best),
        "pr": performance_ratio(row["oracle_cost_s"], schedule.mean_cost_s),
        "backlog_fairness": measured["backlog_fairness"],
        "assignment_fairness": measured["assignment_fairness"],
        "decision_seconds_p50": measured["decision_seconds_p50"],
        "decision_seconds_p99": measured["decision_seconds_p99"],
        "decision_wall_seconds_p50": measured["decision_wall_seconds_p50"],
        "mean_cost_charged_ms": measured["mean_cost_charged_s"] * 1e3,
    }


# -------------------------------------------------------------------- fan-out
def _attempt(suite: Suite, unit: Unit) -> tuple[Unit, dict[str, Any] | None, Exception | None]:
    """`run_unit`, with what went wrong as a value: one bad unit must not cost the others."""
    try:
        return unit, run_unit(suite, unit), None
    except Exception as error:
        return unit, None, error


@contextmanager
def _engine(engine: str, address: str | None, jobs: int) -> Iterator[None]:
    """The joblib backend to fan out with; the calls are the same for both."""
    if engine == "loky":
        with parallel_config(backend="loky", n_jobs=jobs, inner_max_num_threads=1):
            yield
        return
    import ray
    from joblib import register_parallel_backend
    from ray.util.joblib.ray_backend import RayBackend

    class StreamingRayBackend(RayBackend):
        """Ray's joblib backend, handing results over as they finish."""

        supports_return_generator = True

    register_parallel_backend("ray", StreamingRayBackend)
    started = not ray.is_initialized()
    if started:
        ray.init(
            address=address,
            num_cpus=None if address else jobs,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    try:
        with parallel_config(backend="ray", n_jobs=jobs):
            yield
    finally:
        if started:
            ray.shutdown()


def run(
    suite: Suite,
    out: str | os.PathLike[str],
    *,
    engine: str = "loky",
    address: str | None = None,
    jobs: int | None = None,
    on_part: Callable[[int, int], None] = lambda done, total: None,
) -> RunFolder:
    """Run a suite, or what is missing of it, and leave a whole run folder (without pictures).

    Parameters
    ----------
    suite : Suite
    out : path
        The run folder; made when it is not there.
    engine : str
        ``"loky"`` (processes on this machine) or ``"ray"``.
    address : str, optional
        Ray cluster to join; a local Ray is started without one.
    jobs : int, optional
        Units at a time; one per core unless said.
    on_part : callable
        Called with (finished units, all units) at the start and after each unit.

    Raises
    ------
    ValueError
        Unusable arguments, or a folder with other parameters or contents.
    OSError
        If the folder cannot be written; finished units stay, the run can be resumed.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine: unknown {engine!r}, one of {', '.join(ENGINES)}")
    if address and engine != "ray":
        raise ValueError(f"address: {address!r} needs engine 'ray'")
    jobs = jobs if jobs is not None else os.cpu_count() or 1
    if jobs < 1:
        raise ValueError(f"jobs = {jobs} must be >= 1")
    begin = perf_counter()
    folder = RunFolder.open(out, suite)
    missing = folder.missing(suite)
    if folder.is_whole and not missing:
        on_part(len(suite.units), len(suite.units))
        return folder
    folder.unmark()
    folder.log(f"{len(missing)} of {len(suite.units)} instances to do, {jobs} at a time, {engine}")
    if missing:
        _fan_out(suite, folder, missing, engine, address, min(jobs, len(missing)), on_part)
    tables = folder.read_parts(suite)
    folder.finish(tables, _manifest(suite, out, tables, perf_counter() - begin))
    folder.log("complete")
    return folder


def _fan_out(
    suite: Suite,
    folder: RunFolder,
    missing: Sequence[Unit],
    engine: str,
    address: str | None,
    jobs: int,
    on_part: Callable[[int, int], None],
) -> None:
    total = len(suite.units)
    done = total - len(missing)
    on_part(done, total)
    failed: list[tuple[Unit, Exception]] = []
    with _engine(engine, address, jobs):
        parallel = Parallel(return_as="generator_unordered", batch_size=1)
        finished = parallel(delayed(_attempt)(suite, unit) for unit in missing)
        try:
            for unit, part, error in finished:
                if part is None:
                    assert error is not None
                    failed.append((unit, error))
                    folder.log(f"{unit.key} failed: {error!r}")
                    continue
                folder.write_part(unit, part)
                done += 1
                folder.log(f"{unit.key} done in {part['instances'][0]['unit_seconds']:.1f} s")
                on_part(done, total)
        except TerminatedWorkerError:
            folder.log("a worker process was killed")
            raise OSError(
                "a worker process was killed (out of memory?); finished instances are kept, run "
                "the same command again, perhaps with fewer jobs"
            ) from None
    if failed:
        unit, error = failed[0]
        error.add_note(f"{len(failed)} of {total} instances failed, first {unit.key}")
        raise error


def _manifest(
    suite: Suite, out: str | os.PathLike[str], tables: dict[str, pd.DataFrame], seconds: float
) -> dict[str, Any]:
    instances = tables["instances"]
    return {
        "suite": suite.to_document(),
        "seeds": list(range(*suite.seeds)),
        "instance_hashes": {
            f"{preset}-{seed}": digest
            for preset, seed, digest in zip(
                instances["preset"], instances["seed"], instances["instance_hash"], strict=True
            )
        },
        "versions": {name: _version(name) for name in PACKAGES}
        | {"python": platform.python_version()},
        "machine": {
            "system": platform.platform(),
            "processor": _processor(),
            "cores": os.cpu_count(),
        },
        "command": resume_command(suite, out),
        "wall_seconds": seconds,
        "unit_seconds": float(instances["unit_seconds"].sum()),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            for line in info:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
