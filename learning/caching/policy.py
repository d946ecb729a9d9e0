"""A trained agent as a caching policy, and its checkpoint folder.

A checkpoint holds ``agent.safetensors`` (weights only, nothing executable) and ``mecopt.json``
(kind, name, preset, arguments of `Agent`, whether the feasibility layer is on and averages of the
requests are observed).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from learning import zoo
from learning.caching import features, servers
from learning.caching.actions import scores_and_shares
from learning.caching.fast_weights import FastWeights
from learning.caching.network import Agent
from learning.runs import folder as training_run
from mecopt import checkpoints
from mecopt.caching.instance import CachingInstance
from mecopt.caching.observation import CachingObservation

KIND = "t2drl"
WEIGHTS = "agent.safetensors"
#: Presets with shipped checkpoints.
PRESETS = ("ten", "sticky")


@dataclass
class LearnedPolicy:
    """T2DRL (or plain PPO) on all servers of an instance at once.

    Parameters
    ----------
    agent : Agent
    name : str
    layer : bool
        With the feasibility layer or without.
    averages : bool
        With averages of the requests in the observation or without.
    learns : bool
        False keeps the fast weights at W_0 throughout (an ablation of the layer's learning).
    seed : int
        Of the masks of the test-time layer.

    Attributes
    ----------
    restore_loss : list of (N,) arrays
        Error of the test-time layer per slot of the last episode, before its step; empty without.
    """

    agent: Agent
    name: str = "t2drl"
    layer: bool = True
    averages: bool = True
    learns: bool = True
    seed: int = 0
    restore_loss: list[NDArray[np.float32]] = field(default_factory=list, repr=False)

    def reset(self, instance: CachingInstance) -> None:
        """Empty servers, and fast weights back at W_0."""
        n = len(instance.server_names)
        self._batch = servers.of_instances([(instance, server) for server in range(n)])
        self._state = servers.start(self._batch, averages=self.averages)
        self._fast = None
        if self.agent.layer is not None:
            self._fast = FastWeights(self.agent.layer, n, seed=self.seed)
            self._fast.eta *= self.learns
        self.restore_loss = []

    def act(self, observation: CachingObservation) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """What is resident (N, P), and requests served (N, P)."""
        batch, state, t = self._batch, self._state, observation.slot
        batch.requests[:, :, t] = observation.requests
        state.resident[:] = observation.resident
        state.kappa[:] = observation.kappa
        servers.see(batch, t, state)
        rows = features.observations(batch, t, state)
        score, share = scores_and_shares(self.agent.act(rows, self._fast))
        if self._fast is not None:
            self.restore_loss.append(self._fast.loss)
        a = np.zeros(batch.memory.shape, dtype=bool)
        x = np.zeros(batch.memory.shape, dtype=np.int64)
        servers.decide(batch, t, state, score, share, self.layer, a, x)
        return a, x


def first_guess(name: str = "first-guess", *, averages: bool = True) -> LearnedPolicy:
    """The rule an untrained network starts from: its corrections are zero."""
    agent = Agent(hidden=1)
    with torch.no_grad():
        agent.actor.last.weight.zero_()
    return LearnedPolicy(agent, name=name, averages=averages)


def save(policy: LearnedPolicy, folder: Path, arguments: dict[str, Any], **provenance: Any) -> None:
    """Write a checkpoint folder; `arguments` are those the agent was made with."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.contiguous() for name, value in policy.agent.state_dict().items()}
    save_file(weights, folder / WEIGHTS)
    about = {"layer": policy.layer, "averages": policy.averages, "agent": arguments}
    training_run.describe_checkpoint(folder, KIND, name=policy.name, **about, **provenance)


def load(folder: str | os.PathLike[str]) -> LearnedPolicy:
    """The policy of a checkpoint folder, or of a run folder that holds one.

    Raises
    ------
    ValueError
        If there is no T2DRL checkpoint, or its weights do not fit its description.
    """
    where = checkpoints.find(folder)
    about = training_run.checkpoint_description(where)
    if about.get("kind") != KIND:
        raise ValueError(f"{folder}: kind = {about.get('kind')!r} is no {KIND!r} checkpoint")
    agent = Agent(**about["agent"])
    try:
        agent.load_state_dict(load_file(where / WEIGHTS))
    except RuntimeError as error:
        raise ValueError(f"{folder}: weights do not fit ({str(error).splitlines()[0]})") from None
    averages = about.get("averages", True)  # older checkpoints do not say
    return LearnedPolicy(agent.eval(), name=about["name"], layer=about["layer"], averages=averages)


@dataclass
class Shipped:
    """The shipped checkpoint of an instance's own preset; of `ten` where there is none.

    Parameters
    ----------
    name : str
        `t2drl` or `ppo`.
    preset : str or None
        Preset whose checkpoint is loaded whatever the instance says.
    seed : int
        Of the masks of the test-time layer.
    """

    name: str
    preset: str | None = None
    seed: int = 0

    def reset(self, instance: CachingInstance) -> None:
        """Load the checkpoint and start it."""
        own = self.preset or str(instance.meta.get("preset"))
        self._policy = shipped(self.name, own if own in PRESETS else PRESETS[0])
        self._policy.seed = self.seed
        self._policy.reset(instance)

    def act(self, observation: CachingObservation) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Decide as the loaded policy does."""
        return self._policy.act(observation)


def shipped(name: str = "t2drl", preset: str = "ten") -> LearnedPolicy:
    """The checkpoint that comes with the package: `t2drl` or `ppo`, for `ten` or `sticky`.

    Raises
    ------
    ValueError
        If there is none of that name and preset.
    """
    folder = zoo.shipped("caching", preset, name)
    if folder is None:
        raise ValueError(f"checkpoint: none is shipped for {name!r} on {preset!r}")
    return load(folder)
