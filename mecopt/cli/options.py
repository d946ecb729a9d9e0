"""Options of commands that take a scenario, built from what the scenario says of itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mecopt.bench.families import Family, Scenario

Seeds = Annotated[str, typer.Option(help="Seeds A, A+1, ..., B-1. Take 8 or more.", metavar="A:B")]
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
    Path | None,
    typer.Option(
        help="Write one record per policy and seed (- for the standard output).", metavar="FILE"
    ),
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
Jobs = Annotated[int | None, typer.Option(help="Instances at a time (default: cores).")]
DataDir = Annotated[
    Path | None, typer.Option(help="Data folder (default: MECOPT_DATA).", metavar="DIR")
]


def text_option(help: str, metavar: str, *names: str) -> Any:
    """An option that takes text, left out by default."""
    return Annotated[str | None, typer.Option(*names, help=help, metavar=metavar)]


def own_options(scenario: Scenario, *, solving: bool = False) -> dict[str, Any]:
    """Annotations of the options that only this scenario has, by name in Python.

    Those of instances alone for `solving`.
    """
    flags = scenario.flags()
    return {
        f.name: text_option(f.metadata["help"], f.metadata["metavar"], f"--{flags[f.name]}")
        for f in fields(scenario.options)
        if not (solving and f.metadata["bench_only"])
    }


def read_options(scenario: Scenario, asked: Mapping[str, str | None]) -> dict[str, Any]:
    """What was typed for the scenario's own options, read; what was left out stays away."""
    readers = {f.name: f.metadata["read"] for f in fields(scenario.options)}
    return {name: readers[name](text) for name, text in asked.items() if text is not None}


def bench_options(family: Family, scenario: Scenario) -> list[tuple[str, Any, Any]]:
    """(name, annotation, default) of every option of ``mecopt bench SCENARIO``, in order."""
    from formulations import methods

    defaults = scenario.defaults
    presets = ", ".join(scenario.presets())
    several = scenario.preset_option == "preset"
    flag = f"--{scenario.preset_option}"
    preset = text_option(
        f"Comma-separated: {presets}." if several else f"{presets} or another that `mecopt data` "
        "lists.",
        "P,Q,..." if several else "NAME",
        flag,
    )  # fmt: skip
    policies = text_option(f"Comma-separated: {', '.join(family.policies.names())}.", "A,B,...")
    routes = ", ".join(methods.names(family.name))
    out = [("preset", preset, None)]
    out += [(name, kind, None) for name, kind in own_options(scenario).items()]
    out += [
        (
            "seeds",
            text_option(f"Seeds A, A+1, ..., B-1 (default {defaults['seeds']}).", "A:B"),
            None,
        ),
        ("policies", policies, None),
        ("checkpoint", Checkpoints, None),
        ("method", text_option(f"Solver route: {routes} (the first by default).", "NAME"), None),
        ("time_limit", TimeLimit, defaults["time_limit"]),
        ("gap", Gap, defaults["gap"]),
    ]
    if scenario.needs_data:
        out.append(("data_dir", DataDir, None))
    return [
        *out,
        ("out", Out, None),
        ("json", Json, None),
        ("engine", Engine, "loky"),
        ("address", Address, None),
        ("jobs", Jobs, None),
    ]


def command(
    run: Callable[..., None], help: str, options: list[tuple[str, Any, Any]]
) -> Callable[..., None]:
    """A function that typer can read: `run` takes what was typed by keyword."""

    def made(**asked: Any) -> None:
        run(**asked)

    keyword = inspect.Parameter.KEYWORD_ONLY
    made.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(n, keyword, default=d, annotation=a) for n, a, d in options]
    )
    made.__annotations__ = {name: annotation for name, annotation, _ in options}
    made.__doc__ = help
    return made
