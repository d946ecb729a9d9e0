"""``mecopt bound``: how low the cost of any rule can be, with and without sight of the future."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from mecopt.cli import shell
from mecopt.cli.outputs import Outputs

if TYPE_CHECKING:
    from formulations.online import OnlineBound
    from mecopt.bench.online import Bounds


class _Drawn(NamedTuple):
    """A scenario that draws what is to come."""

    module: str  # with METHODS, check_preset and bounds
    preset: str
    seeds: str
    samples: int | None  # tasks of a slot, or futures, where they are sampled
    time_limit: float
    unit: str  # slots (of cost per task), or cost (per episode)


_SCENARIOS = {
    "comllm": _Drawn("mecopt.bench.offloading.online", "paper", "100:104", 61, 10, "slots"),
    "caching": _Drawn("mecopt.bench.caching.online", "ten", "100:104", None, 10, "cost"),
    "traces": _Drawn("mecopt.bench.offloading.online_traces", "azure-conv", "0:1", 8, 20, "slots"),
}


def bound(
    online: Annotated[
        bool, typer.Option("--online", help="Bound rules that cannot see the future, too.")
    ] = False,
    scenario: Annotated[
        str,
        typer.Option(help="comllm, caching or traces (resampled windows).", metavar="NAME"),
    ] = "comllm",
    preset: Annotated[
        str | None,
        typer.Option(help="A preset of the scenario; of traces a trace.", metavar="NAME"),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(help="Seconds of a trace to resample (traces: 0:600).", metavar="S:E"),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            help="Draws of servers or sites A, ..., B-1 (100:104; traces: 0:1).", metavar="A:B"
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="users-and-servers (caching: pairs-and-servers), users-alone (pairs-alone), which "
            "is lower, or penalised-options (for traces the only one).",
            metavar="NAME",
        ),
    ] = None,
    replicates: Annotated[
        int, typer.Option(help="Sampled worlds per draw of servers, at least 2.", metavar="N")
    ] = 8,
    samples: Annotated[
        int | None,
        typer.Option(help="Tasks sampled per slot of a world (comllm: 61).", metavar="N"),
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(help="For a clairvoyant bound (10; traces: 20).", metavar="SECONDS"),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where traces and sites are.", metavar="FOLDER")
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(help="Write the figures (- for the standard output).", metavar="FILE"),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Write the online bound with its samples.", metavar="FILE")
    ] = None,
) -> None:
    """Bound the mean cost of every rule, in expectation over the tasks of a scenario.

    Example:

        mecopt bound --online --preset paper --seeds 100:104 --json bound.json

    The clairvoyant bound holds for schedules that know all tasks in advance, the online bound for
    every rule that decides each task at its release: what lies between the two is the price of not
    knowing the future. The JSON holds online_bound_slots, online_bound_lower_95_slots,
    clairvoyant_bound_slots (slots of cost per task; _cost in place of _slots for caching, cost per
    episode), method, worlds and seconds. A trace is resampled by the rates and sizes of a window,
    with slots of 0.1 s.
    """
    from formulations.dual.stopping import check_stopping
    from mecopt import checks
    from mecopt.bench.families import scenario_names
    from mecopt.bench.reading import parse_range, parse_window

    if scenario in scenario_names() and scenario not in _SCENARIOS:
        raise ValueError(
            f"scenario: {scenario} has no generator with a known distribution of tasks, only "
            f"{', '.join(_SCENARIOS)} have"
        )
    checks.known("scenario", scenario, _SCENARIOS)
    drawn_by = _SCENARIOS[scenario]
    of = import_module(drawn_by.module)
    preset = preset or drawn_by.preset
    of.check_preset(preset)
    seeds = seeds or drawn_by.seeds
    drawn = range(*parse_range(seeds))
    more: dict[str, Any] = {}
    if scenario == "traces":
        more = {"window": parse_window(window or "0:600"), "data_dir": data_dir}
    elif window is not None or data_dir is not None:
        given = "window" if window is not None else "data-dir"
        raise ValueError(f"{given}: only traces have one, scenario is {scenario!r}")
    time_limit = drawn_by.time_limit if time_limit is None else time_limit
    method = method or of.METHODS[0]
    checks.known("method", method, of.METHODS)
    checks.whole("replicates", replicates, 2)
    if samples is not None:
        checks.whole("samples", samples, 1)
    check_stopping(time_limit, 0.0, drawn.start)
    if save is not None and not online:
        raise ValueError(f"save: {str(save)!r} needs --online")
    with Outputs({"json": json, "save": save}) as outputs:
        shell.warm_up()
        with shell.progress("steps") as show:
            found = of.bounds(
                preset,
                drawn,
                method=method,
                replicates=replicates,
                samples=drawn_by.samples if samples is None else samples,
                with_online=online,
                time_limit_s=time_limit,
                on_progress=show,
                **more,
            )
        typer.echo(summary(preset, found, drawn_by.unit))
        finished = f"{drawn.start}:{drawn.start + found.draws}"
        about = {"scenario": scenario, "preset": preset, "seeds": finished}
        outputs.write_json(about | record(found, drawn_by.unit))
        if found.online is not None:
            outputs.write("save", found.online.save, "online bound: {path}")
    if found.draws < len(drawn):
        shell.say_error(f"interrupted; the figures are those of seeds {finished}")
        raise typer.Exit(shell.INTERRUPTED)


def record(found: Bounds, unit: str) -> dict[str, object]:
    """The figures for ``--json``, their names ending in the unit."""
    of_online: dict[str, object] = {}
    if found.online is not None:
        estimate, lower = _figures(found.online)
        of_online = {
            f"online_bound_{unit}": estimate,
            f"online_bound_lower_95_{unit}": lower,
            "method": found.online.method,
            "worlds": found.online.worlds,
            "relaxed": list(found.online.relaxed),
        }
    return {
        **of_online,
        f"clairvoyant_bound_{unit}": found.clairvoyant_slots,
        f"clairvoyant_interval_{unit}": list(found.clairvoyant_interval),
        "seconds": found.seconds,
    }


def _figures(online: OnlineBound) -> tuple[float, float]:
    """Estimate and confidence bound: slots per task, or cost per episode."""
    per = online.expected_tasks if online.unit == "slots" else 1.0
    return online.estimate_slots / per, online.lower_95_slots / per


def summary(preset: str, found: Bounds, unit: str) -> str:
    """The bounds in a few lines."""
    word = "draw" if found.draws == 1 else "draws"
    what = "slots of cost per task" if unit == "slots" else "cost per episode"
    lines = [f"{preset}, {found.draws} {word}; {what}"]
    low, high = found.clairvoyant_interval
    of = "" if low != low else f"  ({low:.4f} to {high:.4f})"
    lines.append(f"  knowing the future  {found.clairvoyant_slots:.4f}{of}")
    if found.online is not None:
        estimate, lower = _figures(found.online)
        lines.append(
            f"  any online rule     {estimate:.4f}  (at least {lower:.4f} with 95 % confidence; "
            f"{found.online.method}, {found.online.worlds} worlds)"
        )
        price = estimate / found.clairvoyant_slots - 1
        lines.append(f"  price of not knowing the future about {100 * price:.2f} %, or more")
    lines.append(f"  {found.seconds:.1f} s")
    return "\n".join(lines)
