"""``mecopt solve``: a schedule and a proven bound for one instance of any family."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mecopt.cli import shell
from mecopt.cli.options import DataDir, command, own_options, read_options, text_option
from mecopt.cli.outputs import Outputs

if TYPE_CHECKING:
    from mecopt.bench.families import Family, Scenario
    from mecopt.result import Result

HELP = """Find a schedule and a proven lower bound for one instance.

    Example:

        mecopt solve --preset busy --seed 3 --json result.json --certificate proof.json

    The JSON holds objective and bound (sums of cost over tasks, in seconds), gap (relative),
    termination, method, seconds, instance_hash, choice (option index per task, -1 = dropped) and
    bound_kind.

        mecopt solve --scenario caching --preset ten --seed 0 --json result.json

    Here objective and bound are sums of cost over servers and slots, and cost_split takes the
    place of choice.

        mecopt solve --plan plan.json --nodes nodes.json --picture schedule.png

    Places the calls of one task graph on a small network of your own.
    """


_PROOF = "certificate: {path} (check it with: mecopt verify {path})"


def build() -> typer.Typer:
    """The command, made from the families that are known when it is called."""
    from formulations import methods
    from mecopt.bench.families import FAMILIES

    families = list(FAMILIES.values())
    scenarios = [scenario for family in families for scenario in family.scenarios]
    routes = "; ".join(f"{f.name}: {', '.join(methods.names(f.name))}" for f in families)
    presets = "; ".join(
        f"{s.name}: {', '.join(s.presets())}" for s in scenarios if s.preset_option == "preset"
    )
    first = scenarios[0].name
    options: dict[str, tuple[Any, Any]] = {
        "scenario": (
            text_option(f"{', '.join(s.name for s in scenarios)} ({first} by default).", "NAME"),
            None,
        ),
        "preset": (text_option(f"{presets}.", "NAME"), None),
        "seed": (
            Annotated[int | None, typer.Option(help="Seed of the instance (default 0).")],
            None,
        ),
    }
    for scenario in scenarios:
        if scenario.preset_option != "preset":
            of = f"{', '.join(scenario.presets())} or another, with --scenario {scenario.name}."
            options[scenario.preset_option] = (text_option(of, "NAME"), None)
        options |= {
            name: (kind, None) for name, kind in own_options(scenario, solving=True).items()
        }
    options |= {
        "data_dir": (DataDir, None),
        "instance": (_path("Solve this instance file instead."), None),
        "plan": (_path("Place the calls of this task graph instead, with --nodes."), None),
        "nodes": (
            text_option(
                "Machines and links for --plan; or how many nodes, with --scenario ledrl.",
                "FILE|N",
            ),
            None,
        ),
        "method": (text_option(f"{routes} (the first by default).", "NAME"), None),
        "time_limit": (
            Annotated[
                float | None,
                typer.Option(help="Seconds, compilation not counted.", metavar="SECONDS"),
            ],
            None,
        ),
        "gap": (Annotated[float, typer.Option(help="Stop at this relative gap.")], 1e-4),
        "json": (_path("Write the result (- for the standard output)."), None),
        "save_instance": (_path("Write the instance (.gz compresses)."), None),
        "save_schedule": (_path("Write the best schedule."), None),
        "certificate": (_path("Write a proof that `mecopt verify` can check."), None),
        "picture": (_path("Draw the schedule of --plan (PNG)."), None),
        "verbose": (
            Annotated[bool, typer.Option("--verbose", help="Show the solver at work.")],
            False,
        ),
    }
    app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    app.command("solve")(command(solve, HELP, [(n, kind, d) for n, (kind, d) in options.items()]))
    return app


def _path(help: str) -> Any:
    return Annotated[Path | None, typer.Option(help=help, metavar="FILE")]


def solve(
    *,
    instance: Path | None,
    plan: Path | None,
    nodes: str | None,
    method: str | None,
    time_limit: float | None,
    gap: float,
    json: Path | None,
    save_instance: Path | None,
    save_schedule: Path | None,
    certificate: Path | None,
    picture: Path | None,
    verbose: bool,
    data_dir: Path | None,
    **made: Any,
) -> None:
    """Do what the command line asks for; `made` says which instance to make."""
    from formulations import methods
    from formulations.dual.stopping import check_stopping
    from mecopt.bench.families import family_of
    from mecopt.cli import own_graph
    from mecopt.face import load_instance

    seed = 0 if made["seed"] is None else made["seed"]
    check_stopping(time_limit, gap, seed)
    machines = None
    if nodes is not None and (plan is not None or not _has_option(made["scenario"], "nodes")):
        machines, nodes = Path(nodes), None
    made["nodes"] = nodes
    is_own = own_graph.is_asked(plan, machines, picture)
    if instance is not None:
        _refuse(made, "instance", but="scenario")
    if is_own:
        _refuse({**made, "instance": instance}, "plan")
    written = {
        "json": json,
        "save-instance": save_instance,
        "save-schedule": save_schedule,
        "certificate": certificate,
        "picture": picture,
    }
    reads = {"instance": instance, "plan": plan, "nodes": machines}
    with Outputs(written, reads=reads) as outputs:
        if is_own:
            problem = own_graph.read(plan, machines)
        else:
            problem = load_instance(instance) if instance is not None else _generate(made, data_dir)
        family = family_of(problem)
        if instance is not None and made["scenario"] is not None:
            _check_scenario(made["scenario"], family, instance)
        certified = methods.certified(family.name)
        known = methods.names(family.name)
        method = method or certified
        if method not in known:
            raise ValueError(f"method: unknown {method!r}, one of {', '.join(known)}")
        if certificate is not None and method != certified:
            raise ValueError(
                f"certificate: the bound of method {method} is solver-claimed and cannot be "
                f"certified; use --method {certified}"
            )
        if save_schedule is not None and family.save_schedule is None:
            raise ValueError(f"save-schedule: family {family.name} has no such files")
        outputs.write("save-instance", problem.save)
        shell.warm_up(family.name)
        typer.echo(repr(problem))
        for note in getattr(problem, "meta", {}).get("notes", ()):
            typer.echo(note)
        asked = {"time_limit": time_limit, "gap": gap, "seed": seed, "verbose": verbose}
        result = _solved(problem, method, asked)
        typer.echo(result.summary())
        _write(result, outputs, own_graph.show(result) if is_own else {})
        if is_own:
            outputs.write("picture", lambda path: own_graph.draw(path, result), "picture: {path}")
    if result.termination == "interrupted":
        raise typer.Exit(shell.INTERRUPTED)


def _has_option(scenario: str | None, option: str) -> bool:
    """Whether a scenario has an option of its own of this name."""
    from mecopt.bench.families import family_of_scenario

    family = None if scenario is None else family_of_scenario(scenario)
    return family is not None and option in family.scenario(str(scenario)).flags()


def _refuse(asked: Mapping[str, Any], chosen: str, but: str = "") -> None:
    """Raise ValueError for what says which instance to make beside the option that does."""
    for name, value in asked.items():
        if value is not None and name != but:
            value = str(value) if isinstance(value, Path) else value
            raise ValueError(f"{name}: {value!r} cannot be combined with --{chosen}")


def _check_scenario(name: str, family: Family, instance: Path) -> None:
    """Refuse the name of a scenario whose instances are not like the one in the file."""
    from mecopt.bench.families import family_of_scenario

    named = family_of_scenario(name)
    if named is None or named.name != family.name:
        raise ValueError(
            f"scenario: {instance} holds an instance of {family.name}, not of {name!r}"
        )


def _solved(problem: Any, method: str, asked: Mapping[str, Any]) -> Result:
    """The result, of what was found by then when somebody presses Ctrl-C."""
    import formulations
    from formulations.dual import interrupt

    def heard() -> None:
        shell.say_error("stopping with what is found so far; Ctrl-C again gives it up")

    with interrupt.keeping(heard):
        # A spinner and a solver that prints would write over each other.
        if asked["verbose"]:
            return formulations.solve(problem, method=method, **asked)
        with shell.status("solving"):
            return formulations.solve(problem, method=method, **asked)


def _generate(asked: Mapping[str, Any], data_dir: Path | None) -> Any:
    from mecopt.bench.families import family_of_scenario, scenario_names

    names = scenario_names()
    name = asked["scenario"] or names[0]
    family = family_of_scenario(name)
    if family is None:
        raise ValueError(f"scenario: unknown {name!r}, one of {', '.join(names)}")
    scenario = family.scenario(name)
    _refuse_others(scenario, asked)
    own: dict[str, str | None] = {
        option: asked[option] for option in own_options(scenario, solving=True)
    }
    preset = asked[scenario.preset_option] or scenario.defaults["solve_preset"]
    options = scenario.make_options(read_options(scenario, own))
    scenario.check((preset,), options)
    seed = 0 if asked["seed"] is None else asked["seed"]
    return scenario.generate(preset, seed, options, shell.default_data_dir(data_dir))


def _refuse_others(scenario: Scenario, asked: Mapping[str, Any]) -> None:
    """Raise ValueError for options of other scenarios."""
    from mecopt.bench.families import FAMILIES

    mine = {scenario.preset_option, *own_options(scenario, solving=True), "scenario", "seed"}
    for other in (s for family in FAMILIES.values() for s in family.scenarios):
        for option, flag in {other.preset_option: other.preset_option, **other.flags()}.items():
            value = asked.get(option)
            if value is None or option in mine:
                continue
            if option == "preset":
                raise ValueError(
                    f"preset: {value!r} is of other scenarios, for {scenario.name} use "
                    f"--{scenario.preset_option}"
                )
            raise ValueError(f"{flag}: {value!r} needs --scenario {other.name}")


def result_record(result: Result) -> dict[str, Any]:
    """The keys of ``mecopt solve --json``."""
    from mecopt.bench.families import family_of

    return {
        "objective": result.objective,
        "bound": result.bound,
        "gap": result.gap,
        "termination": str(result.termination),
        "method": result.method,
        "seconds": result.seconds,
        "instance_hash": result.instance.content_hash,
        "bound_kind": str(result.bound_kind),
        **family_of(result.instance).solution(result.schedule),
    }


def _write(result: Result, outputs: Outputs, more: Mapping[str, Any]) -> None:
    from mecopt.bench.families import family_of
    from mecopt.certificates import verify

    def save_schedule(path: Path) -> None:
        if result.schedule is None:
            raise ValueError(f"save-schedule: no schedule was found ({result.termination})")
        save = family_of(result.instance).save_schedule
        assert save is not None
        save(path, result.schedule)

    outputs.write_json({**result_record(result), **more}, "result: {path}")
    outputs.write("save-schedule", save_schedule, "schedule: {path}")
    outputs.write("certificate", lambda path: verify.save(path, result), _PROOF)
