"""Many episodes at once: policies that decide in batches are asked for all of them together.

Episodes do not meet, so the schedules are those of one rollout after the other (up to ties that a
batched forward pass rounds differently), at a fraction of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from learning.offloading.states import decision_states as decision_states
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import OnlineSystem
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
    systems = [OnlineSystem(x) for x in instances]
    choices = [np.full(x.n_tasks, -1, dtype=np.int64) for x in instances]
    policy.reset(instances[0])
    for k in range(max(x.n_tasks for x in instances)):
        playing = [i for i, x in enumerate(instances) if k < x.n_tasks]
        seen = []
        for i in playing:
            systems[i].advance(k)
            seen.append(decision_states.of(systems[i].observe(k)))
        batch = decision_states.concat(seen)
        widest = batch.n_servers
        for i, option in zip(playing, policy.decide(batch), strict=True):
            # The drop is the option after the widest state's servers.
            choice = decision_states.to_choice(int(option), widest)
            choices[i][k] = choice
            systems[i].commit(k, choice)
    return [replay(x, choice) for x, choice in zip(instances, choices, strict=True)]
