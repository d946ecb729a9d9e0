"""A benchmark suite: which instances, which policies, which solver settings."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from mecopt.caching.instance import CachingInstance
from mecopt.caching.scenarios import presets
from mecopt.checkpoints import Checkpoint
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.scenarios import comllm

if TYPE_CHECKING:
    from mecopt.offloading.policies.protocol import Policy

#: Slot of scenarios that have none of their own (traces), s; the ``*_slots`` figures use it.
DEFAULT_SLOT_S = 0.1

SCENARIOS = ("comllm", "traces", "caching")
#: Solver routes of each family (`formulations.solve`).
METHODS = {"offloading": ("plans", "milp"), "caching": ("plans", "network", "big-m")}


@dataclass(frozen=True)
class Unit:
    """One unit of work: one instance.

    Parameters
    ----------
    preset : str
        COMLLM or caching preset, or the name of the trace.
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
        ``"comllm"``, ``"traces"`` or ``"caching"``.
    presets : tuple of str
        COMLLM or caching presets, or one trace name.
    seeds : (first, end)
        Seeds first, first + 1, ..., end - 1.
    policies : tuple of str
        Names for `mecopt.offloading.policies.by_name.make` or
        `mecopt.caching.policies.by_name.make`, or of checkpoints.
    method : str
        Solver route, one of `METHODS` of the family.
    time_limit_s : float
        Solver time per instance, s, compilation not counted.
    gap : float
        Relative gap at which the solver may stop.
    window_s : (start, end) or None
        Part of the trace, s; traces only.
    data_dir : str or None
        Folder of the data files; traces and caching preset ``trace`` only.
    servers : int or None
        Servers in place of the preset's; comllm only.
    task_mbit : (least, most) or None
        Task sizes in place of the preset's, Mbit; comllm only.
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
    method: str = "plans"
    time_limit_s: float = 10.0
    gap: float = 1e-4
    window_s: tuple[float, float] | None = None
    data_dir: str | None = None
    servers: int | None = None
    task_mbit: tuple[float, float] | None = None
    checkpoints: tuple[Checkpoint, ...] = ()

    def __post_init__(self) -> None:
        for name in ("presets", "seeds", "policies", "window_s", "task_mbit"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else tuple(value))
        _one_of("scenario", self.scenario, SCENARIOS)
        _one_of("method", self.method, METHODS[self.family])
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
                _one_of("policies", policy, self._policy_names())
        first, end = self.seeds
        if not 0 <= first < end:
            raise ValueError(f"seeds: {first}:{end} is empty or negative, need 0 <= A < B")
        if not self.time_limit_s > 0:
            raise ValueError(f"time_limit_s = {self.time_limit_s} must be > 0")
        if not self.gap >= 0:
            raise ValueError(f"gap = {self.gap} must be >= 0")
        if self.servers is not None and self.servers < 1:
            raise ValueError(f"servers = {self.servers} must be >= 1")
        if self.task_mbit is not None and not 0 < self.task_mbit[0] <= self.task_mbit[1]:
            raise ValueError(f"task_mbit = {self.task_mbit} must satisfy 0 < A <= B")
        if self.scenario != "comllm" and self.changes:
            raise ValueError(f"{next(iter(self.changes))}: only scenario comllm has it")
        if self.scenario == "comllm":
            for preset in self.presets:
                comllm.parameters(preset)
        elif self.scenario == "caching":
            for preset in self.presets:
                presets.check_preset(preset)
        elif len(self.presets) != 1 or self.window_s is None:
            raise ValueError(f"presets: traces take one trace and a window, got {self.presets}")

    @property
    def family(self) -> str:
        """``"offloading"`` or ``"caching"``: what instances, policies and figures look like."""
        return "caching" if self.scenario == "caching" else "offloading"

    def _policy_names(self) -> tuple[str, ...]:
        if self.family == "caching":
            from mecopt.caching.policies import by_name as caching_policies

            return caching_policies.names()
        from mecopt.offloading.policies import by_name as policies

        return policies.names()

    @property
    def units(self) -> tuple[Unit, ...]:
        """Every unit of work, in order."""
        return tuple(Unit(p, s) for p in self.presets for s in range(*self.seeds))

    @property
    def changes(self) -> dict[str, Any]:
        """Parameters of comllm in place of the preset's."""
        changes = {"servers": self.servers, "task_mbit": self.task_mbit}
        return {name: value for name, value in changes.items() if value is not None}

    def instance(self, unit: Unit) -> OffloadingInstance | CachingInstance:
        """Make the instance of a unit.

        Raises
        ------
        ValueError, OSError
            From the scenario: unknown traces, missing or malformed data files.
        """
        if self.scenario == "comllm":
            return comllm.generate(unit.preset, unit.seed, **self.changes)
        if self.scenario == "caching":
            return presets.make(unit.preset, unit.seed, self.data_dir)
        from mecopt.offloading.scenarios import traces

        assert self.window_s is not None
        return traces.generate(
            unit.preset, window=self.window_s, seed=unit.seed, data_dir=self.data_dir
        )

    def policy(self, name: str, unit: Unit) -> Policy:
        """Make an offloading policy for a unit.

        Raises
        ------
        ValueError
            From `mecopt.offloading.policies.by_name.make`.
        """
        from mecopt.offloading.policies import by_name as policies

        preset = unit.preset if self.scenario == "comllm" else None
        return policies.make(
            name,
            preset=preset,
            seed=unit.seed,
            data_dir=self.data_dir,
            checkpoint=self.checkpoint_folder(name),
        )

    def checkpoint_folder(self, name: str) -> str | None:
        """The folder that a policy is to be loaded from, if one was given."""
        return {c.name: c.folder for c in self.checkpoints}.get(name)

    def to_document(self) -> dict[str, Any]:
        """JSON-able fields; the data folder is left out, it does not change the figures."""
        body = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        del body["data_dir"]
        return body

    @property
    def digest(self) -> str:
        """Eight letters that differ between suites; folders are named after them."""
        text = json.dumps(self.to_document(), sort_keys=True)
        return sha256(text.encode()).hexdigest()[:8]

    @classmethod
    def from_document(cls, body: Mapping[str, Any], where: str) -> Suite:
        """Inverse of `to_document`; raises ValueError naming `where`."""
        wanted = {f.name for f in fields(cls)} - {"data_dir"}
        if not wanted <= set(body):
            raise ValueError(f"{where}: field {sorted(wanted - set(body))[0]!r} is missing")
        try:
            trained = tuple(Checkpoint(**c) for c in body["checkpoints"])
            return cls(**{name: body[name] for name in wanted} | {"checkpoints": trained})
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: {error}") from None


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}: unknown {value!r}, one of {', '.join(known)}")


def parse_range(text: str, name: str = "seeds") -> tuple[int, int]:
    """Read ``"A:B"`` as the whole numbers A, A + 1, ..., B - 1.

    Raises
    ------
    ValueError
        If it is malformed, negative or empty.
    """
    left, colon, right = text.partition(":")
    if not (colon and left.strip().isdecimal() and right.strip().isdecimal()):
        raise ValueError(f"{name}: {text!r} is not A:B with whole numbers, for example 100:104")
    first, end = int(left), int(right)
    if first >= end:
        raise ValueError(f"{name}: {text!r} is empty, A must be below B (B itself is left out)")
    return first, end


def parse_interval(text: str, name: str) -> tuple[float, float]:
    """Read ``"A:B"`` as two numbers.

    Raises
    ------
    ValueError
        If it is malformed.
    """
    left, _, right = text.partition(":")
    try:
        return float(left), float(right)
    except ValueError:
        raise ValueError(f"{name}: {text!r} is not A:B, for example 2:10") from None


def parse_window(text: str) -> tuple[float, float]:
    """Read ``"S:E"`` as seconds from the start of a trace.

    Raises
    ------
    ValueError
        If it is malformed or empty.
    """
    left, _, right = text.partition(":")
    try:
        start, end = float(left), float(right)
    except ValueError:
        raise ValueError(f"window: {text!r} is not S:E in seconds, for example 0:600") from None
    if not 0 <= start < end < float("inf"):
        raise ValueError(f"window: {text!r} must satisfy 0 <= S < E")
    return start, end


def parse_names(text: str) -> tuple[str, ...]:
    """Split a comma-separated list, blanks around names dropped."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
