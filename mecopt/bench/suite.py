"""A benchmark suite: which instances, which policies, which solver settings."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from typing import Any

import numpy as np

from formulations import methods
from formulations.dual.stopping import check_stopping
from mecopt import checks
from mecopt.bench.families import Family, Scenario, family_of_scenario, scenario_names
from mecopt.checkpoints import Checkpoint


@dataclass(frozen=True)
class Unit:
    """One unit of work: one instance.

    Parameters
    ----------
    preset : str
        Preset of the scenario, or the name of the trace.
    seed : int
    """

    preset: str
    seed: int

    @property
    def key(self) -> str:
        """Name of the unit, also of its file in the run folder."""
        return re.sub(r"[^A-Za-z0-9._-]", "_", f"{self.preset}-{self.seed}")


@dataclass(frozen=True)
class Suite:
    """Everything that determines the figures of a run (and nothing that does not).

    Parameters
    ----------
    scenario : str
        A scenario of some family (`mecopt.bench.families`).
    presets : tuple of str
        Presets of the scenario, or one trace name.
    seeds : (first, end)
        Seeds first, first + 1, ..., end - 1.
    policies : tuple of str
        Names that the family's policies have, or of checkpoints.
    method : str
        Solver route; the family's certified one unless said.
    time_limit_s : float
        Solver time per instance, s, compilation not counted.
    gap : float
        Relative gap at which the solver may stop.
    options : mapping or dataclass
        What only this scenario has, such as ``window_s`` of traces.
    data_dir : str or None
        Folder of the data files.
    checkpoints : tuple of Checkpoint
        Trained policies to load from folders.

    Raises
    ------
    ValueError
        Names the argument and the value that cannot be used.
    """

    scenario: str
    presets: tuple[str, ...]
    seeds: tuple[int, int]
    policies: tuple[str, ...]
    method: str = ""
    time_limit_s: float = 10.0
    gap: float = 1e-4
    options: Any = field(default_factory=dict)
    data_dir: str | None = None
    checkpoints: tuple[Checkpoint, ...] = ()

    def __post_init__(self) -> None:
        for name in ("presets", "policies"):
            object.__setattr__(self, name, _words(name, getattr(self, name)))
        object.__setattr__(self, "seeds", _ends(self.seeds))
        checks.known("scenario", self.scenario, scenario_names())
        if not self.method:
            object.__setattr__(self, "method", methods.certified(self.family.name))
        checks.known("method", self.method, methods.names(self.family.name))
        if isinstance(self.options, Mapping):
            options = self.its_scenario.make_options(self.options)
            object.__setattr__(self, "options", options)
        if not isinstance(self.options, self.its_scenario.options):
            raise ValueError(
                f"options = {self.options!r} are not those of scenario {self.scenario}"
            )
        for name, values in (("presets", self.presets), ("policies", self.policies)):
            if not values:
                raise ValueError(f"{name}: is empty")
            for value in values:
                if values.count(value) > 1:
                    raise ValueError(f"{name}: {value!r} is given twice")
        trained = [c.name for c in self.checkpoints]
        for name in trained:
            if name not in self.policies:
                raise ValueError(f"checkpoint: {name!r} is not among the policies")
        for policy in self.policies:
            if policy not in trained:
                checks.known("policies", policy, self.family.policies.names())
        first, end = self.seeds
        if not 0 <= first < end:
            raise ValueError(f"seeds: {first}:{end} is empty or negative, need 0 <= A < B")
        check_stopping(self.time_limit_s, self.gap, first)
        object.__setattr__(self, "time_limit_s", float(self.time_limit_s))
        object.__setattr__(self, "gap", float(self.gap))
        self.its_scenario.check(self.presets, self.options)

    @property
    def family(self) -> Family:
        """The family of the scenario: what instances, policies and figures look like."""
        family = family_of_scenario(self.scenario)
        if family is None:
            raise ValueError(f"scenario: no family has {self.scenario!r} in this process")
        return family

    @property
    def its_scenario(self) -> Scenario:
        """The scenario itself."""
        return self.family.scenario(self.scenario)

    @property
    def units(self) -> tuple[Unit, ...]:
        """Every unit of work, in order."""
        return tuple(Unit(p, s) for p in self.presets for s in range(*self.seeds))

    def instance(self, unit: Unit) -> Any:
        """Make the instance of a unit.

        Raises
        ------
        ValueError, OSError
            From the scenario: unknown traces, missing or malformed data files.
        """
        return self.its_scenario.generate(unit.preset, unit.seed, self.options, self.data_dir)

    def policy(self, name: str, unit: Unit) -> Any:
        """Make a policy for a unit.

        Raises
        ------
        ValueError
            If the name is unknown or a checkpoint cannot be used.
        """
        return self.family.policies.make(
            name,
            preset=unit.preset if self.its_scenario.tuned else None,
            seed=unit.seed,
            data_dir=self.data_dir,
            checkpoint={c.name: c.folder for c in self.checkpoints}.get(name),
        )

    def to_document(self) -> dict[str, Any]:
        """JSON-able fields, the scenario's own options among them.

        The data folder is left out, it does not change the figures.
        """
        body = asdict(self) | asdict(self.options)
        del body["data_dir"], body["options"]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in body.items()}

    @property
    def digest(self) -> str:
        """Eight letters that differ between suites; folders are named after them."""
        text = json.dumps(self.to_document(), sort_keys=True)
        return sha256(text.encode()).hexdigest()[:8]

    @classmethod
    def from_document(cls, body: Mapping[str, Any], where: str) -> Suite:
        """Inverse of `to_document`; raises ValueError naming `where`."""
        common = {f.name for f in fields(cls)} - {"data_dir", "options"}
        if not common <= set(body):
            raise ValueError(f"{where}: field {sorted(common - set(body))[0]!r} is missing")
        own = {name: value for name, value in body.items() if name not in common}
        try:
            trained = tuple(Checkpoint(**c) for c in body["checkpoints"])
            asked = {name: body[name] for name in common} | {"checkpoints": trained}
            return cls(**asked, options=own)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: {error}") from None


def _words(name: str, value: Any) -> tuple[str, ...]:
    """Names as a tuple; paths of files count as names."""
    if isinstance(value, str | type) or not isinstance(value, Iterable):
        raise ValueError(f"{name} = {value!r} must be names, as a list or tuple")
    words = tuple(os.fspath(word) if isinstance(word, os.PathLike) else word for word in value)
    for word in words:
        if not isinstance(word, str):
            raise ValueError(f"{name}: {word!r} is not a name")
    return words


def _ends(seeds: Any) -> tuple[int, int]:
    """First seed and the one after the last, from such a pair or a range."""
    if isinstance(seeds, range) and seeds.step == 1:
        return seeds.start, seeds.stop
    if not isinstance(seeds, tuple | list) or len(seeds) != 2:
        raise ValueError(f"seeds = {seeds!r} must be (first, end), the end left out")
    for value in seeds:
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise ValueError(f"seeds = {seeds!r} must be whole numbers")
    return int(seeds[0]), int(seeds[1])
