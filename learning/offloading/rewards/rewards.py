r"""Rewards of single decisions: LACS as printed, and what every reward of this package is.

COMLLM (Yang, Cheng, Zhang, arXiv 2604.07148) rewards a decision a in state s by

.. math::

    \text{[lacs]}\quad r(s, a) = -\bigl(J(a) + \lambda\, C_\text{impact}(s, a)\bigr),

J(a) = cost of the task given the work committed now (the drop cost when late), and C_impact made of
:math:`c_i(s \oplus a)`, i = 1..K, what the one-step oracle pays for sampled future task i in the
state after a. K = 3, :math:`\lambda` = 0.3 and sizes of the current task x U[0.5, 1.5] are printed
(P). Whose the sampled tasks are and when they are released is not. Here (D) they belong to the
user of the current task, over the same links, `spacing_slots` apart, each in the queue of those
before it.

With releases two slots apart, the printed mean :math:`C_\text{impact} = \frac1K \sum_i c_i` weighs
a sampled task by 0.1 and teaches little; :math:`C_\text{impact} = \sum_i c_i`, :math:`\lambda` for
each sampled task, is the default (D). ``average=True`` is the mean, best with each task alone 1.5
slots after the decision. `benchmarks/learning/rewards.py` compares the readings on tuning seeds.

All options of a state are costed at once, so a reward is a pure function of the answer and a row of
costs (`reward_of_answer`), and group advantages can be exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from learning.offloading.states import decision_states as states
from learning.offloading.states.decision_states import States
from learning.offloading.states.option_features import scale_of
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.policies.protocol import Policy

#: What an answer that names no valid option costs beyond a drop, slots (D): 25 where a drop is 20.
UNPARSABLE_EXTRA_SLOTS = 5.0


class Reward(Protocol):
    """A reward of decisions: minus a cost in slots of every option of a state."""

    @property
    def name(self) -> str:
        """Name of the reward in tables."""

    def reset(self, instance: OffloadingInstance) -> None:
        """Called once per instance, before its first state."""

    def cost_slots(self, observation: Observation) -> NDArray[np.float64]:
        """(n + 1,) cost of each option in slots, the drop last; infinite where absent."""


def slot_ns(instance: OffloadingInstance) -> float:
    """Slot in which rewards are counted, ns: the one its meta names (``slot_s``, s).

    Any other instance is given a tenth of what costs of its tasks are usually divided by
    (`learning.offloading.states.option_features.Scale`): of a deadline, where there are deadlines.
    A scenario of COMLLM has deadlines of ten slots, so that both are of one size.
    """
    if "slot_s" in instance.meta:
        return float(instance.meta["slot_s"]) * 1e9
    return float(np.median(scale_of(instance).cost_ns)) / 10


def own_cost_slots(observation: Observation, slot: float) -> NDArray[np.float64]:
    """(n + 1,) J(a): cost of each option given the work committed now, the drop last, slots."""
    reachable = np.isfinite(observation.latency_s)
    cost = np.where(reachable, observation.cost_s, np.inf)
    return np.append(cost, observation.drop_cost_s) * 1e9 / slot


# ------------------------------------------------------------------------------------ collection
def collect(
    instances: Iterable[OffloadingInstance],
    reward: Reward,
    behaviour: str | Policy = "one-step-oracle",
    *,
    per_instance: int | None = None,
    seed: int = 0,
) -> tuple[States, NDArray[np.float64]]:
    """States of a behaviour's trajectories (`learning.offloading.states.decision_states.visit`),
    and their costs.

    Returns
    -------
    states : States
    cost : (B, J + 2) float64
        Slots; option order of `learning.offloading.states.decision_states`, infinite where absent.

    Raises
    ------
    ValueError
        No instances, or a reward that is NaN (`check_costs`).
    """
    rows: list[NDArray[np.float64]] = []

    def costed() -> Iterator[Observation]:
        current = None
        for observation in states.visit(instances, behaviour, per_instance=per_instance, seed=seed):
            if observation.instance is not current:
                current = observation.instance
                reward.reset(current)
            rows.append(reward.cost_slots(observation))
            yield observation

    found = states.gather(costed())
    cost = np.full((len(found), found.n_servers + 2), np.inf)
    for i, row in enumerate(rows):
        cost[i, : len(row) - 1] = row[:-1]
        cost[i, -1] = row[-1]
    check_costs(cost, reward.name)
    return found, cost


def check_costs(cost: NDArray[np.float64], name: str = "cost") -> None:
    """Refuse costs that cannot be learned from.

    Raises
    ------
    ValueError
        No rows, a NaN, minus infinity, or a state without a possible option.
    """
    if cost.ndim != 2 or len(cost) == 0:
        raise ValueError(f"{name}: shape {cost.shape}, needs (states, options) with states")
    bad = np.argwhere(np.isnan(cost) | np.isneginf(cost))
    if len(bad):
        b, a = (int(i) for i in bad[0])
        raise ValueError(f"{name}: cost of option {a} of state {b} is {cost[b, a]}")
    hopeless = np.flatnonzero(~np.isfinite(cost).any(axis=1))
    if len(hopeless):
        raise ValueError(f"{name}: state {hopeless[0]} has no possible option")


# ------------------------------------------------------------------------- rewards of answers
def unparsable_cost_slots(cost: Sequence[float]) -> float:
    """Cost of an answer that names no valid option: it does nothing, as a drop, and costs more.

    Where dropping is forbidden it costs more than the dearest option.

    Parameters
    ----------
    cost : sequence of float
        Of the options, the drop last; slots.
    """
    drop = cost[-1] if np.isfinite(cost[-1]) else max(c for c in cost if np.isfinite(c))
    return float(drop) + UNPARSABLE_EXTRA_SLOTS


def reward_of_answer(answer: str, options: Sequence[str], cost: Sequence[float]) -> float:
    """Reward of one answer, slots.

    Parameters
    ----------
    answer : str
        What the model said, without surrounding blanks.
    options : sequence of str
        The valid answers, the drop last.
    cost : sequence of float
        Cost of each of them.

    Raises
    ------
    ValueError
        If a cost is NaN: TRL takes a reward that is NaN for one that was not given, and goes on.

    >>> reward_of_answer("s03", ["s00", "s03", "drop"], [4.5, 2.25, 20.0])
    -2.25
    >>> reward_of_answer("s07", ["s00", "s03", "drop"], [4.5, 2.25, 20.0])
    -25.0
    """
    if any(np.isnan(cost)):
        raise ValueError(f"cost = {list(cost)} holds a NaN, answer {answer!r} has no reward")
    found = {text: value for text, value in zip(options, cost, strict=True) if np.isfinite(value)}
    said = answer.strip()
    return -float(found[said] if said in found else unparsable_cost_slots(cost))


@dataclass(frozen=True)
class Spread:
    """How far rewards differ within groups of answers to the same state.

    Parameters
    ----------
    mean_slots : float
        Mean over groups of the largest minus the least reward, slots.
    share_without : float
        Share of groups whose answers all earn the same (no gradient).
    """

    mean_slots: float
    share_without: float


def spread(rewards: NDArray[np.float64]) -> Spread:
    """Spread of (groups, answers) rewards.

    >>> spread(np.array([[-3.0, -5.0], [-2.0, -2.0]]))
    Spread(mean_slots=1.0, share_without=0.5)
    """
    width = np.ptp(rewards, axis=1)
    return Spread(float(width.mean()), float((width <= 1e-9).mean()))
