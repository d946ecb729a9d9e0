"""``mecopt.bench(...)``: a benchmark asked for in Python."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from mecopt import checkpoints as checkpoint_files
from mecopt.bench.families import family_of_scenario, scenario_names
from mecopt.bench.reading import parse_names, parse_range
from mecopt.bench.run import default_folder, run
from mecopt.bench.run_folder import RunFolder
from mecopt.bench.suite import Suite


def bench(
    scenario: str,
    *,
    preset: str | tuple[str, ...] | None = None,
    seeds: tuple[int, int] | None = None,
    policies: tuple[str, ...] | list[str] | None = None,
    method: str = "",
    time_limit: float | None = None,
    gap: float | None = None,
    out: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    checkpoints: Mapping[str, str | os.PathLike[str]] | None = None,
    jobs: int | None = None,
    **options: Any,
) -> RunFolder:
    """Score policies against proven bounds over seeded instances, as ``mecopt bench`` does.

    Parameters
    ----------
    scenario : str
        For example ``"comllm"``, ``"traces"`` or ``"caching"``.
    preset : str or tuple of str, optional
        The scenario's default unless said; so are all that follow.
    seeds : (first, end), optional
    policies : sequence of str, optional
    method : str
        Solver route; the certified one unless said.
    time_limit : float, optional
        Solver seconds per instance.
    gap : float, optional
    out : path, optional
        Run folder; an interrupted run goes on there. ``runs/``, named after the parameters, unless
        said.
    data_dir : path, optional
    checkpoints : mapping, optional
        Policy name -> folder of a trained policy.
    jobs : int, optional
        Instances at a time; one per core unless said.
    **options
        What only the scenario has, such as ``servers`` or ``window_s``.

    Returns
    -------
    RunFolder
        ``read()`` gives manifest and tables; ``mecopt report FOLDER`` or
        `mecopt.bench.pages.build` writes the page.

    Raises
    ------
    ValueError
        Names the argument and the value that cannot be used.
    """
    family = family_of_scenario(scenario) if isinstance(scenario, str) else None
    if family is None:
        raise ValueError(f"scenario: unknown {scenario!r}, one of {', '.join(scenario_names())}")
    of = family.scenario(scenario)
    presets = preset if preset is not None else of.defaults["preset"]
    trained = {} if checkpoints is None else checkpoints
    if not isinstance(trained, Mapping):
        raise ValueError(f"checkpoints = {checkpoints!r} must map names to folders")
    rules = policies if policies is not None else parse_names(of.defaults["policies"])
    suite = Suite(
        scenario=scenario,
        presets=parse_names(presets) if isinstance(presets, str) else presets,
        seeds=parse_range(of.defaults["seeds"]) if seeds is None else seeds,
        policies=parse_names(rules) if isinstance(rules, str) else rules,  # type: ignore[arg-type]
        method=method,
        time_limit_s=of.defaults["time_limit"] if time_limit is None else time_limit,
        gap=of.defaults["gap"] if gap is None else gap,
        options=options,
        data_dir=None if data_dir is None else os.fspath(data_dir),
        checkpoints=checkpoint_files.parse(f"{n}={os.fspath(f)}" for n, f in trained.items()),
    )
    return run(suite, out or default_folder(suite), jobs=jobs)
