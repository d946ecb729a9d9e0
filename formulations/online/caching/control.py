"""[measured]: the luck that a rule had in an episode, a figure of mean zero."""

from __future__ import annotations

import numpy as np

from formulations.online.caching.alone import Values
from formulations.online.caching.worlds import world_of
from mecopt.caching.plan import CachingPlan


def luck_of(values: Values, plan: CachingPlan) -> float:
    """[luck] of all pairs and slots in the states that a rule's decisions led to.

    It has mean zero under every rule that cannot see the future, if the plan's requests are drawn
    as the system draws them.
    """
    luck = world_of(values, plan.instance.requests).luck
    states = luck.shape[2]
    before = np.where(plan.a, plan.kappa, states - 1).reshape(-1, plan.instance.n_slots)
    entered = np.full_like(before, states - 1)
    entered[:, 1:] = before[:, :-1]
    return float(np.take_along_axis(luck, entered[:, :, None], axis=2).sum())
