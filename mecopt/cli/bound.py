"""``mecopt bound``: how low the cost of any rule can be, with and without sight of the future."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mecopt.cli import shell
from mecopt.cli.outputs import Outputs

if TYPE_CHECKING:
    from mecopt.bench.offloading.online import Bounds


def bound(
    online: Annotated[
        bool, typer.Option("--online", help="Bound rules that cannot see the future, too.")
    ] = False,
    scenario: Annotated[
        str, typer.Option(help="comllm: the scenario must draw its tasks.", metavar="NAME")
    ] = "comllm",
    preset: Annotated[
        str, typer.Option(help="A preset of the scenario.", metavar="NAME")
    ] = "paper",
    seeds: Annotated[
        str, typer.Option(help="Draws of servers A, ..., B-1.", metavar="A:B")
    ] = "100:104",
    method: Annotated[
        str,
        typer.Option(help="users-and-servers, or users-alone (quicker, lower).", metavar="NAME"),
    ] = "users-and-servers",
    replicates: Annotated[
        int, typer.Option(help="Independent solves per draw of servers, at least 2.", metavar="N")
    ] = 8,
    samples: Annotated[
        int, typer.Option(help="Tasks sampled per slot of a solve.", metavar="N")
    ] = 61,
    time_limit: Annotated[
        float, typer.Option(help="For the clairvoyant bound of a draw.", metavar="SECONDS")
    ] = 10.0,
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
    clairvoyant_bound_slots (slots of cost per task), method, worlds and seconds.
    """
    from formulations.dual.stopping import check_stopping
    from formulations.online import METHODS
    from mecopt import checks
    from mecopt.bench.families import scenario_names
    from mecopt.bench.offloading.online import bounds
    from mecopt.bench.reading import parse_range
    from mecopt.offloading.scenarios import comllm

    checks.known("scenario", scenario, scenario_names())
    if scenario != "comllm":
        raise ValueError(
            f"scenario: {scenario} has no generator with a known distribution of tasks, only comllm"
        )
    comllm.parameters(preset)
    drawn = range(*parse_range(seeds))
    checks.known("method", method, METHODS)
    checks.whole("replicates", replicates, 2)
    checks.whole("samples", samples, 1)
    check_stopping(time_limit, 0.0, drawn.start)
    if save is not None and not online:
        raise ValueError(f"save: {str(save)!r} needs --online")
    with Outputs({"json": json, "save": save}) as outputs:
        shell.warm_up()
        with shell.progress("steps") as show:
            found = bounds(
                preset,
                drawn,
                method=method,
                replicates=replicates,
                samples=samples,
                with_online=online,
                time_limit_s=time_limit,
                on_progress=show,
            )
        typer.echo(summary(preset, len(drawn), found))
        outputs.write_json({"scenario": scenario, "preset": preset, "seeds": seeds} | record(found))
        if found.online is not None:
            outputs.write("save", found.online.save, "online bound: {path}")


def record(found: Bounds) -> dict[str, object]:
    """The figures for ``--json``."""
    of_online: dict[str, object] = {}
    if found.online is not None:
        of_online = {
            "online_bound_slots": found.online.estimate_per_task_slots,
            "online_bound_lower_95_slots": found.online.lower_95_per_task_slots,
            "method": found.online.method,
            "worlds": found.online.worlds,
            "relaxed": list(found.online.relaxed),
        }
    return {
        **of_online,
        "clairvoyant_bound_slots": found.clairvoyant_slots,
        "clairvoyant_interval_slots": list(found.clairvoyant_interval),
        "seconds": found.seconds,
    }


def summary(preset: str, draws: int, found: Bounds) -> str:
    """The bounds in a few lines."""
    word = "draw" if draws == 1 else "draws"
    lines = [f"{preset}, {draws} {word} of servers; slots of cost per task"]
    low, high = found.clairvoyant_interval
    of = "" if low != low else f"  ({low:.4f} to {high:.4f})"
    lines.append(f"  knowing the future  {found.clairvoyant_slots:.4f}{of}")
    if found.online is not None:
        estimate, lower = found.online.estimate_per_task_slots, found.online.lower_95_per_task_slots
        lines.append(
            f"  any online rule     {estimate:.4f}  (at least {lower:.4f} with 95 % confidence; "
            f"{found.online.method}, {found.online.worlds} worlds)"
        )
        price = estimate / found.clairvoyant_slots - 1
        lines.append(f"  price of not knowing the future about {100 * price:.2f} %, or more")
    lines.append(f"  {found.seconds:.1f} s")
    return "\n".join(lines)
