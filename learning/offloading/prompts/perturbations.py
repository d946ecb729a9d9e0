"""Perturbed prompts: the same decision told differently (COMLLM, arXiv 2604.07148, Table VI).

A decision should not depend on the order in which servers are listed, on what they are called, on
units, on wording, or on the last digits of what was measured.

| perturbation | what changes |
|---|---|
| shuffled | servers are listed in random order |
| renamed | servers keep their places, names are drawn from the whole pool |
| noise | waits, rates and speeds are off by 2 % (normal, D); the cost is that of the true state |
| units | times in ms rather than slots; in natural language also kB and MB/s |
| wording | other sentences that say the same; natural language only |

The first and third change numbers and hold for every policy that decides states; the others change
text and hold for policies that read it (those with ``scores(states, naming, units, wording)``).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.offloading.prompts import forms_compact_natural as prompts
from learning.offloading.states import decision_states as decision_states
from learning.offloading.states.decision_states import OneByOne, States
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.metrics import parse_rate

#: Relative standard deviation of `noise` (D).
NOISE = 0.02


@dataclass(frozen=True)
class Perturbation:
    """One way to tell a decision differently.

    Parameters
    ----------
    name : str
    shuffle : bool
        List servers in random order.
    rename : bool
        Draw names from the whole pool.
    noise : float
        Relative standard deviation of what is measured.
    units : str
        `learning.offloading.prompts.forms_compact_natural.UNITS`.
    wording : int
        `learning.offloading.prompts.forms_compact_natural.INSTRUCTIONS`.
    """

    name: str
    shuffle: bool = False
    rename: bool = False
    noise: float = 0.0
    units: str = "slots"
    wording: int = 0

    @property
    def of_text(self) -> bool:
        """Whether only a policy that reads text can notice."""
        return self.rename or self.units != "slots" or self.wording != 0


ALL = (
    Perturbation("shuffled", shuffle=True),
    Perturbation("renamed", rename=True),
    Perturbation("noise", noise=NOISE),
    Perturbation("units", units="ms"),
    Perturbation("wording", wording=1),
)


def of(policy: Any) -> tuple[Perturbation, ...]:
    """The perturbations that a policy can meet."""
    if not hasattr(policy, "decide"):
        return ()
    reads = hasattr(policy, "scores")
    words = getattr(policy, "reads_words", False)
    return tuple(p for p in ALL if (reads or not p.of_text) and (words or p.wording == 0))


@dataclass
class Perturbed(OneByOne):
    """A policy whose every state is told differently.

    Parameters
    ----------
    policy : Policy with ``decide(states)``
    change : Perturbation
    seed : int
        Of orders, names and noise.
    """

    policy: Any
    change: Perturbation
    seed: int = 0
    name: str = field(init=False)
    _rng: np.random.Generator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.name = f"{self.policy.name}, {self.change.name}"
        self._rng = np.random.default_rng(self.seed)

    @property
    def parse_rate(self) -> float:
        """Share of valid answers of the policy."""
        return parse_rate(self.policy)

    def reset(self, instance: OffloadingInstance) -> None:
        """Begin the random draws anew, and the policy."""
        self._rng = np.random.default_rng(self.seed)
        self.policy.reset(instance)

    def decide(self, states: States) -> NDArray[np.int64]:
        """(B,) option index in the order of the true states."""
        change, order = self.change, None
        if change.noise:
            states = noisy(states, change.noise, self._rng)
        if change.shuffle:
            order = np.argsort(self._rng.random(states.present.shape), axis=1)
            states = reordered(states, order)
        if change.of_text:
            naming = prompts.in_order(states)
            if change.rename:
                naming = _renamed(naming, self._rng)
            score = self.policy.scores(states, naming, units=change.units, wording=change.wording)
            option = np.asarray(score).argmax(axis=1)
        else:
            option = np.asarray(self.policy.decide(states))
        return option if order is None else _told_back(option, order)


def noisy(states: States, sigma: float, rng: np.random.Generator) -> States:
    """What is measured, off by a relative error; the task itself is known."""

    def off(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values * np.maximum(0.0, 1.0 + sigma * rng.standard_normal(values.shape))

    measured = (
        *("uplink_wait_slots", "device_wait_slots", "server_ghz", "rate_mbps", "wait_slots"),
        "behind_slots",
    )
    changed: dict[str, Any] = {name: off(getattr(states, name)) for name in measured}
    return replace(states, **changed)


def reordered(states: States, order: NDArray[np.int64]) -> States:
    """Servers in another order: column j of the result is column ``order[:, j]``."""
    rows = np.arange(len(states))[:, None]
    columns = ("server_ghz", "rate_mbps", "wait_slots", "behind_slots", "present")
    changed: dict[str, Any] = {name: getattr(states, name)[rows, order] for name in columns}
    return replace(states, **changed)


def _told_back(option: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Options of reordered states as options of the states themselves."""
    j = order.shape[1]
    server = (option >= 1) & (option <= j)
    rows = np.flatnonzero(server)
    out = option.copy()
    out[rows] = 1 + order[rows, option[rows] - 1]
    return out


def _renamed(naming: prompts.Naming, rng: np.random.Generator) -> prompts.Naming:
    """The same lines under names drawn from the whole pool."""
    batch, lines = naming.name.shape
    drawn = 1 + np.argsort(rng.random((batch, prompts.N_NAMES)), axis=1)[:, :lines]
    return prompts.Naming(naming.order, np.where(naming.name > 0, drawn, 0))
