"""The family contract: what a family of problems brings, and everybody else can count on.

A family is one kind of instance with its replay, rules, solve routes, proofs and figures. Suites,
runs, scorecards, pages, the command line and `mecopt.rollout` know families through this table
only. docs/new_family.md walks through one; `tests/contract` holds every family to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from importlib import import_module
from types import ModuleType
from typing import Any

import pandas as pd

import formulations.methods
from mecopt.bench.columns import Column
from mecopt.certificates import verify as certificates
from mecopt.files import Format
from mecopt.plugins import PolicyNames
from mecopt.result import Instance, Replayed, Result

Tables = Mapping[str, pd.DataFrame]
#: Families of this package; each has its folder here, with a module ``family``.
NAMES = ("offloading", "caching", "accuracy_delay")


def option(
    help: str,
    metavar: str,
    *,
    default: Any = None,
    read: Callable[[str], Any] = str,
    text: Callable[[Any], str] = str,
    flag: str = "",
    bench_only: bool = False,
) -> Any:
    """A field of a scenario's Options: how the command line reads it and writes it back.

    `flag` is the option's name there, without dashes; that of the field unless said. What is
    `bench_only` changes no instance, so that ``mecopt solve`` does not have it.
    """
    metadata = {"help": help, "metavar": metavar, "read": read, "text": text, "flag": flag}
    metadata["bench_only"] = bench_only
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class NoOptions:
    """Options of a scenario that has none of its own."""


@dataclass(frozen=True)
class Scenario:
    """A seeded source of instances of a family, with a command line of its own.

    Parameters
    ----------
    name : str
        The word after ``mecopt bench``.
    help : str
        Text of the command: a line, a blank line, the rest with an example.
    presets : callable
        () -> names of presets.
    generate : callable
        (preset, seed, options, data_dir) -> instance.
    defaults : mapping
        Of ``preset``, ``seeds``, ``policies`` (as typed on the command line), ``time_limit`` and
        ``gap``; and ``solve_preset``, what ``mecopt solve`` takes.
    options : type
        Frozen dataclass of what only this scenario has; each field made by `option`. It checks
        itself.
    check : callable
        (presets, options) -> None, raising ValueError for what cannot be run.
    parameters : callable
        presets -> pairs of (parameters by preset, tag of each parameter).
    tags_note : str
        What the tags mean, as HTML.
    preset_option : str
        What the option for presets is called.
    needs_data : bool
        Whether some preset reads files of the data folder.
    tuned : bool
        Whether policies have numbers of their own for each preset.
    cost_words : str
        What a cost is a sum or mean of, in place of the family's sentence.
    """

    name: str
    help: str
    presets: Callable[[], Sequence[str]]
    generate: Callable[[str, int, Any, str | None], Any]
    defaults: Mapping[str, Any]
    options: type = NoOptions
    check: Callable[[tuple[str, ...], Any], None] = lambda presets, options: None
    parameters: Callable[[Sequence[str]], Sequence[tuple[Mapping[str, Any], Mapping[str, str]]]] = (
        lambda presets: ()
    )
    tags_note: str = ""
    preset_option: str = "preset"
    needs_data: bool = False
    tuned: bool = True
    cost_words: str = ""

    def flags(self) -> dict[str, str]:
        """Field of the options -> name of the option on the command line, ``"task-mbit"``."""
        return {
            f.name: f.metadata["flag"] or f.name.replace("_", "-") for f in fields(self.options)
        }

    def make_options(self, values: Mapping[str, Any]) -> Any:
        """Options from names and values; raises ValueError naming what this scenario has not."""
        known = {f.name: f.default for f in fields(self.options)}
        for name, value in values.items():
            if name not in known and value is not None:
                raise ValueError(
                    f"{name}: scenario {self.name} has no such option"
                    + (f", it has {', '.join(known)}" if known else "")
                )
        # A value that was left out stands for the default.
        given = {n: v for n, v in values.items() if n in known and v is not None}
        missing = [n for n, d in known.items() if d is MISSING and n not in given]
        if missing:
            raise ValueError(f"{missing[0]}: scenario {self.name} needs it")
        return self.options(**given)


def _nothing(*_: Any) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Family:
    """What a family of problems brings. Only the fields without a default are needed.

    Parameters
    ----------
    name : str
        That of its instances (``instance.family``) and of its folders.
    instance : type
        Frozen, checks itself; ``content_hash``, ``save``, ``load``, ``cost_unit``, ``spread``.
    format : Format
        That of files of its instances.
    policies : PolicyNames
    play : callable
        (instance, policy) -> replayed schedule, and figures of the rollout as columns of
        ``results``; those named in `mecopt.bench.columns.DECISIONS` at least.
    reference : str
        The policy that every run plays, for comparison.
    scenarios : sequence of Scenario
    columns : tuple of Column
        The scorecard.
    ranked_by : str
        Column of ``results`` that ranks policies.
    size : (str, str)
        Column of ``instances`` that says how large one is, and the word for it.
    describe : callable
        (result, best schedule, reference schedule) -> the family's columns of ``instances``.
    sources : callable
        Instance -> files that it was made from, name to SHA-256 of the content: a finished unit is
        used again only while they are the same.
    measure : callable
        (schedule, row of ``instances``) -> its columns of ``results``.
    solution : callable
        Schedule or None -> the family's keys of ``mecopt solve --json``.
    save_schedule : callable or None
        (path, schedule) -> None.
    timelines : callable
        (result, schedules by the name to show) -> rows that pictures need; the first instance of
        each preset only.
    complete : callable
        Tables -> tables, with columns that older runs lack and those worked out from others.
    instance_columns : tuple of Column
        Columns of ``instances`` that the table of solves averages.
    pictures : callable
        Tables -> figures by name, beside the common ones.
    template, context : str, callable
        Template of the page, and (tables, suite, pictures) -> what it needs.
    remark : callable
        Tables -> a sentence after the headline.
    cost_words : str
        What a cost is a sum or mean of, one sentence.
    methods : mapping
        Solve routes of a family outside this package, see `formulations.methods.register`.
    certificate : module or None
        Its proofs, see `mecopt.certificates.verify.register`.
    """

    name: str
    instance: type
    format: Format
    policies: PolicyNames[Any]
    play: Callable[[Any, Any], tuple[Replayed, dict[str, Any]]]
    reference: str
    scenarios: Sequence[Scenario]
    columns: tuple[Column, ...]
    ranked_by: str = "cost"
    size: tuple[str, str] = ("size", "parts")
    describe: Callable[[Result, Any, Any], dict[str, Any]] = _nothing
    sources: Callable[[Any], Mapping[str, str]] = _nothing
    measure: Callable[[Any, Mapping[str, Any]], dict[str, Any]] = _nothing
    solution: Callable[[Any], dict[str, Any]] = _nothing
    save_schedule: Callable[[Any, Any], None] | None = None
    timelines: Callable[[Result, Mapping[str, Any]], pd.DataFrame] = lambda result, shown: (
        pd.DataFrame()
    )
    complete: Callable[[Tables], Tables] = lambda tables: tables
    instance_columns: tuple[Column, ...] = ()
    pictures: Callable[[Tables], dict[str, Any]] = _nothing
    template: str = "report.html"
    context: Callable[[Tables, Mapping[str, Any], Mapping[str, bytes]], dict[str, Any]] = _nothing
    remark: Callable[[Tables], str] = lambda tables: ""
    cost_words: str = "Costs are those of whole instances."
    methods: Mapping[str, str] = field(default_factory=dict)
    certificate: ModuleType | None = None

    def scenario(self, name: str) -> Scenario:
        """One of the family's scenarios."""
        return next(s for s in self.scenarios if s.name == name)

    def costs_of(self, scenario: str) -> str:
        """What a cost is in a scenario: its own words, or those of the family."""
        return self.scenario(scenario).cost_words or self.cost_words


#: What every benchmark is asked: fields of `mecopt.bench.suite.Suite`, whose document holds the
#: options of the scenario beside them, and options of the command.
RESERVED = {
    *("scenario", "presets", "seeds", "policies", "method", "time_limit_s", "gap", "options"),
    *("data_dir", "checkpoints", "preset", "checkpoint", "time_limit", "out", "json", "engine"),
    *("address", "jobs"),
}


class _Families(Mapping[str, Family]):
    """Families by name, each imported when first used."""

    def __init__(self) -> None:
        self._others: dict[str, Family] = {}

    def __getitem__(self, name: str) -> Family:
        if name in NAMES:
            family: Family = import_module(f"mecopt.bench.{name}.family").FAMILY
            return family
        return self._others[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*NAMES, *self._others))

    def __len__(self) -> int:
        return len(NAMES) + len(self._others)

    def add(self, family: Family) -> None:
        """Make a family known, with its solve routes and proofs (see `register`)."""
        formulations.methods.register(family.name, family.methods)
        if family.certificate is not None:
            certificates.register(family.certificate)
        self._others[family.name] = family

    def remove(self, name: str) -> None:
        """Forget a family that was added."""
        del self._others[name], formulations.methods.METHODS[name]


FAMILIES = _Families()


def register(family: Family) -> None:
    """Make a family of another package known, for this process.

    Raises
    ------
    ValueError
        If its name, or that of one of its scenarios, is taken by another family, or an option of a
        scenario has the name of one that every benchmark has.
    """
    if not isinstance(family, Family):
        raise ValueError(f"family: {family!r} is not a Family")
    if family.name in NAMES:
        raise ValueError(f"family: {family.name!r} is a family of mecopt")
    for scenario in family.scenarios:
        owner = family_of_scenario(scenario.name)
        if owner is not None and owner.name != family.name:
            raise ValueError(f"scenario: {scenario.name!r} belongs to family {owner.name!r}")
        for option in fields(scenario.options):
            if "read" not in option.metadata:
                raise ValueError(f"scenario {scenario.name}: {option.name} is not made by `option`")
            if option.name in RESERVED:
                raise ValueError(
                    f"scenario {scenario.name}: option {option.name!r} has the name of an option "
                    "that every benchmark has"
                )
    words = [scenario.name for scenario in family.scenarios]
    if len(set(words)) < len(words):
        raise ValueError(f"scenario: {words} has a name twice")
    certificate = family.certificate
    if certificate is not None and family.name != certificate.FAMILY:
        raise ValueError(f"certificate: its FAMILY is {certificate.FAMILY!r}, not {family.name!r}")
    FAMILIES.add(family)


def scenario_names() -> tuple[str, ...]:
    """Every scenario, in the order of families."""
    return tuple(s.name for family in FAMILIES.values() for s in family.scenarios)


def family_of_scenario(name: str) -> Family | None:
    """The family that has a scenario; None when no family has."""
    for family in FAMILIES.values():
        if any(s.name == name for s in family.scenarios):
            return family
    return None


def family_of(instance: Instance) -> Family:
    """The family of an instance.

    Raises
    ------
    ValueError
        If it is no instance, or of a family that nobody registered.
    """
    return FAMILIES[formulations.methods.family_of(instance)]
