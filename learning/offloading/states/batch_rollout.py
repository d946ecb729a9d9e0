"""Many episodes at once: policies that decide in batches are asked for all of them together.

Episodes do not meet, so the schedules are those of one rollout after the other (up to ties that a
batched forward pass rounds differently), at a fraction of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.offloading.states import decision_states as decision_states
from learning.offloading.states.decision_states import States
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation, OnlineSystem
from mecopt.offloading.replay import replay
from mecopt.offloading.schedule import Schedule


def rollout_batch(instances: Sequence[OffloadingInstance], policy: Any) -> list[Schedule]:
    """Play every episode with one policy.

    Parameters
    ----------
    instances : sequence of OffloadingInstance
        Of the form of scenario comllm (`learning.offloading.states.decision_states.of`); presets
        and servers may differ.
    policy : Policy with ``decide(states)``
        Its `reset` sees the first instance only: everything it needs must be in the states.

    Returns
    -------
    list of Schedule
        The core's replay of the decisions, in the order of the instances.
    """
    if not instances:
        return []
    policy.reset(instances[0])
    choices = decide_all(instances, lambda found, worlds: policy.decide(found))
    return [replay(x, choice) for x, choice in zip(instances, choices, strict=True)]


def decide_all(
    instances: Sequence[OffloadingInstance],
    decide: Callable[[States, NDArray[np.int64]], NDArray[np.int64]],
) -> list[NDArray[np.int64]]:
    """Choices of every instance, task after task; neighbours that are one instance are cheapest.

    Parameters
    ----------
    instances : sequence of OffloadingInstance
    decide : callable
        Called once per task with the states of all episodes that have it and with the numbers of
        those episodes; gives the option of each state.
    """
    systems = [OnlineSystem(x) for x in instances]
    choices = [np.full(x.n_tasks, -1, dtype=np.int64) for x in instances]
    for k in range(max(x.n_tasks for x in instances)):
        playing = np.array([i for i, x in enumerate(instances) if k < x.n_tasks])
        found = decision_states.gather(_observed([systems[i] for i in playing], k))
        for i, option in zip(playing, decide(found, playing), strict=True):
            # The drop is the option after the widest state's servers.
            choices[i][k] = decision_states.to_choice(int(option), found.n_servers)
            systems[i].commit(k, int(choices[i][k]))
    return choices


def _observed(systems: Sequence[OnlineSystem], task: int) -> Iterator[Observation]:
    for system in systems:
        system.advance(task)
        yield system.observe(task)
