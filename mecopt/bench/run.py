"""The benchmark: solve and roll out over seeded instances, fanned out with joblib.

One unit of work is one instance: make it, bound it and find the best schedule, roll out every
policy, replay everything. Each finished unit is written to the run folder at once, so a run that
is interrupted resumes where it stopped.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError

from mecopt import checks, extras
from mecopt.bench import identity, provenance, resume
from mecopt.bench.families import FAMILIES, NAMES, Family
from mecopt.bench.run_folder import RunFolder, resume_command, tables_of
from mecopt.bench.suite import Suite, Unit
from mecopt.bench.unit import run_unit

ENGINES = ("loky", "ray")


def default_folder(suite: Suite) -> Path:
    """A folder named after the parameters: the same suite finds its run again."""
    return Path("runs") / f"{suite.scenario}-{suite.digest}"


def _attempt(
    suite: Suite, unit: Unit, family: Family | None = None
) -> tuple[Unit, dict[str, Any] | None, Exception | None]:
    """`run_unit`, with what went wrong as a value: one bad unit must not cost the others.

    `family` comes with its suite when it was registered in the process that asks.
    """
    try:
        if family is not None and family.name not in FAMILIES:
            FAMILIES.add(family)
        return unit, run_unit(suite, unit), None
    except Exception as error:
        return unit, None, error


@contextmanager
def _engine(engine: str, address: str | None, jobs: int) -> Iterator[tuple[type[Exception], ...]]:
    """The joblib backend to fan out with, the same calls for both; errors of a worker that is lost.

    Those are a killed process, or a node that has gone.
    """
    if engine == "loky":
        with parallel_config(backend="loky", n_jobs=jobs, inner_max_num_threads=1):
            yield (TerminatedWorkerError,)
        return
    from joblib import register_parallel_backend

    with extras.needed("engine: 'ray'", "distributed"):
        import ray
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
    lost = ray.exceptions
    cores = int(ray.cluster_resources().get("CPU", 1))  # a pool of more workers never starts
    try:
        with parallel_config(backend="ray", n_jobs=max(1, min(jobs, cores))):
            yield lost.RayActorError, lost.NodeDiedError, lost.WorkerCrashedError
    finally:
        if started:
            ray.shutdown()


def _warn(line: str) -> None:
    if not line.startswith(resume.NOTHING):
        warnings.warn(line, stacklevel=4)


def run(
    suite: Suite,
    out: str | os.PathLike[str],
    *,
    engine: str = "loky",
    address: str | None = None,
    jobs: int | None = None,
    on_part: Callable[[int, int], None] = lambda done, total: None,
    on_note: Callable[[str], None] = _warn,
) -> RunFolder:
    """Run a suite, or what is missing of it, and leave a whole run folder (without pictures).

    A finished unit is kept while everything that it was made from is the same
    (`mecopt.bench.identity`), and computed again otherwise.

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
    on_note : callable
        Told in a line which finished units are computed again and why, or that nothing is to do;
        the first is a warning unless said.

    Raises
    ------
    ValueError
        Unusable arguments, a folder with other parameters or contents, a damaged part, or workers
        that are not like this process.
    OSError
        If the folder cannot be written; finished units stay, the run can be resumed.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine: unknown {engine!r}, one of {', '.join(ENGINES)}")
    if address and engine != "ray":
        raise ValueError(f"address: {address!r} needs engine 'ray'")
    jobs = jobs if jobs is not None else os.cpu_count() or 1
    checks.whole("jobs", jobs, 1)
    begin = perf_counter()
    folder = RunFolder.open(out, suite)
    common = identity.of_run(suite)
    identity.check_code(identity.packages_of(common))
    missing, notes = resume.to_do(folder, suite, common)
    for note in notes:
        folder.log(note)
        on_note(note)
    if folder.is_whole and not missing:
        on_part(len(suite.units), len(suite.units))
        on_note(resume.when_finished(folder))
        return folder
    folder.unmark()
    folder.log(f"{len(missing)} of {len(suite.units)} instances to do, {jobs} at a time, {engine}")
    if missing:
        with_jobs = min(jobs, len(missing))
        _fan_out(suite, folder, missing, common, engine, address, with_jobs, on_part)
    parts = folder.read_parts(suite)
    resume.check_one_source(suite, parts)
    tables = tables_of(parts)
    folder.finish(tables, _manifest(suite, out, tables, perf_counter() - begin))
    folder.log("complete")
    return folder


def _fan_out(
    suite: Suite,
    folder: RunFolder,
    missing: Sequence[Unit],
    common: Mapping[str, str],
    engine: str,
    address: str | None,
    jobs: int,
    on_part: Callable[[int, int], None],
) -> None:
    total = len(suite.units)
    done = total - len(missing)
    on_part(done, total)
    failed: list[tuple[Unit, Exception]] = []
    registered = None if suite.family.name in NAMES else suite.family
    with _engine(engine, address, jobs) as lost:
        parallel = Parallel(return_as="generator_unordered", batch_size=1)
        try:
            finished = parallel(delayed(_attempt)(suite, unit, registered) for unit in missing)
            for unit, part, error in finished:
                if part is not None:
                    error = resume.other_worker(part["identity"], common)
                if part is None or error is not None:
                    assert error is not None
                    failed.append((unit, error))
                    folder.log(f"{unit.key} failed: {error!r}")
                    continue
                folder.write_part(unit, part | {"identity": part["identity"] | common})
                done += 1
                folder.log(f"{unit.key} done in {part['instances'][0]['unit_seconds']:.1f} s")
                on_part(done, total)
        except lost as reason:
            folder.log(f"a worker was lost: {reason!r}")
            raise OSError(
                "a worker was lost (out of memory, or its machine is gone); finished instances are "
                "kept, run the same command again, perhaps with fewer jobs"
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
        "versions": provenance.versions(),
        "machine": provenance.machine(),
        "command": resume_command(suite, out),
        "wall_seconds": seconds,
        "unit_seconds": float(instances["unit_seconds"].sum()),
    }
