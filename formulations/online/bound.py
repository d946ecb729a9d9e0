"""The result: independent samples whose mean is a lower bound, and what they were made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import metadata
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mecopt import checks, files

FORMAT = files.Format("mecopt.online-bound", version=1, finite=True)
#: Part of a value that rounding of floats may cost.
FLOATS = 1e-10
#: Units of figures.
SLOTS, COST = "slots", "cost"
#: One-sided 95 % quantiles of Student's t for 1, 2, ..., 30 degrees of freedom.
_STUDENT = (
    *(6.3138, 2.9200, 2.3534, 2.1319, 2.0151, 1.9432, 1.8946, 1.8596, 1.8332, 1.8125),
    *(1.7959, 1.7823, 1.7710, 1.7614, 1.7531, 1.7459, 1.7397, 1.7341, 1.7292, 1.7248),
    *(1.7208, 1.7172, 1.7139, 1.7109, 1.7082, 1.7057, 1.7034, 1.7012, 1.6992, 1.6973),
)


#: Packages on which figures depend.
_PACKAGES = ("mecopt", "numpy", "numba", "highspy")


def versions() -> dict[str, str]:
    """Versions of the packages on which figures depend, for a bound's provenance."""
    return {name: metadata.version(name) for name in _PACKAGES}


def generated_by(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What a bound's provenance says of the generator of its episode."""
    return {
        "scenario": meta["scenario"],
        "preset": meta["preset"],
        "parameters": dict(meta["parameters"]),
    }


def student_95(degrees: int) -> float:
    """One-sided 95 % quantile of Student's t (beyond 30 degrees of freedom that of 30)."""
    checks.whole("degrees", degrees, 1)
    return _STUDENT[min(degrees, len(_STUDENT)) - 1]


def _texts(given: Any) -> tuple[str, ...]:
    return checks.names("relaxed", given)


def _object(given: Any) -> Mapping[str, Any]:
    checks.mapping("provenance", given)
    return dict(given)


@dataclass(frozen=True, eq=False)
class OnlineBound(files.Saved):
    """A lower bound on the expected cost of every rule that cannot see the future.

    Parameters
    ----------
    sample_slots : (R,) float64
        Independent figures per episode, in slots of cost unless `unit` says otherwise. The mean of
        each is at most the least expected cost of a rule; one figure where nothing was sampled.
    expected_tasks : float
        Tasks of an episode, expected.
    slot_s : float
        Length of a slot, s.
    method : str
        Which bound.
    worlds : int
        Sampled worlds; 0 where the distribution is finite and the bound has no sampling error.
    seconds : float
        Wall time.
    relaxed : tuple of str
        What rules may do here that the system does not allow.
    provenance : mapping
        Parameters, seeds, versions.
    unit : str
        What figures are in: ``"slots"``, or ``"cost"`` where costs have no unit (caching; a task
        is a request there).

    Raises
    ------
    ValueError
        Names the field and the value of whatever is malformed.
    """

    sample_slots: NDArray[np.float64]
    expected_tasks: float
    slot_s: float
    method: str
    worlds: int
    seconds: float
    relaxed: tuple[str, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    unit: str = SLOTS

    format: ClassVar = FORMAT
    texts: ClassVar = ("method", "unit")
    readers: ClassVar = {"relaxed": _texts, "provenance": _object}

    def __post_init__(self) -> None:
        sample = np.asarray(self.sample_slots, dtype=np.float64)
        if sample.ndim != 1 or not sample.size:
            raise ValueError(f"sample_slots must be a list of numbers, has shape {sample.shape}")
        checks.refuse(~np.isfinite(sample), "sample_slots", sample, "must be finite")
        object.__setattr__(self, "sample_slots", checks.frozen(sample, np.float64))
        for name in ("expected_tasks", "slot_s", "seconds"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real):
                raise ValueError(f"{name} = {value!r} must be a number")
            if name != "seconds" and not 0 < float(value) < np.inf:
                raise ValueError(f"{name} = {value!r} must be > 0")
        checks.whole("worlds", self.worlds)
        if self.worlds == 0 and sample.size != 1:
            raise ValueError(f"worlds = 0 with {sample.size} samples: nothing was sampled")
        if not 0 <= self.seconds < np.inf:
            raise ValueError(f"seconds = {self.seconds!r} must be >= 0")
        if not isinstance(self.method, str):
            raise ValueError(f"method = {self.method!r} must be a text")
        checks.known("unit", self.unit, (SLOTS, COST))
        object.__setattr__(self, "relaxed", _texts(self.relaxed))
        object.__setattr__(self, "provenance", _object(self.provenance))

    @property
    def estimate_slots(self) -> float:
        """Mean of the samples, per episode (in `unit`)."""
        mean = float(self.sample_slots.mean())
        return mean - FLOATS * abs(mean)

    @property
    def lower_95_slots(self) -> float:
        """One-sided 95 % confidence bound, per episode (in `unit`).

        Raises
        ------
        ValueError
            With a single sampled figure: one world has no interval.
        """
        if self.worlds == 0:
            return self.estimate_slots
        size = self.sample_slots.size
        if size < 2:
            raise ValueError("sample_slots: one figure has no interval, sample at least two")
        error = float(self.sample_slots.std(ddof=1)) / np.sqrt(size)
        return self.estimate_slots - student_95(size - 1) * error

    @property
    def estimate_per_task_slots(self) -> float:
        return self.estimate_slots / self.expected_tasks

    @property
    def lower_95_per_task_slots(self) -> float:
        return self.lower_95_slots / self.expected_tasks

    @classmethod
    def from_document(cls, body: Mapping[str, Any], where: str = "instance") -> Self:
        """See `mecopt.files.Saved.from_document`; older files do not say that they count slots."""
        known = {"unit": SLOTS, **body} if isinstance(body, Mapping) else body
        return super().from_document(known, where)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of everything but the seconds."""
        body = [self.expected_tasks, self.slot_s, self.method, self.worlds, list(self.relaxed)]
        body += [] if self.unit == SLOTS else [self.unit]
        text = json.dumps([FORMAT.head, *body, self.provenance], sort_keys=True, default=list)
        return hashlib.sha256(text.encode() + self.sample_slots.tobytes()).hexdigest()


def mean(bounds: Sequence[OnlineBound]) -> OnlineBound:
    """The bound on the mean cost over several systems, such as draws of servers.

    Figure r of the result is the mean of figure r of each; they stay independent.

    Raises
    ------
    ValueError
        Without bounds, or when they differ in method, slot or number of figures.
    """
    if not bounds:
        raise ValueError("bounds: is empty")
    first = bounds[0]
    for name in ("method", "slot_s", "relaxed", "unit"):
        if any(getattr(b, name) != getattr(first, name) for b in bounds):
            raise ValueError(f"bounds: {name} differs")
    if len({b.sample_slots.size for b in bounds}) > 1:
        raise ValueError("bounds: the number of figures differs")
    return replace(
        first,
        sample_slots=np.mean([b.sample_slots for b in bounds], axis=0),
        expected_tasks=float(np.mean([b.expected_tasks for b in bounds])),
        worlds=sum(b.worlds for b in bounds),
        seconds=sum(b.seconds for b in bounds),
        provenance={"mean_of": [b.provenance for b in bounds]},
    )
