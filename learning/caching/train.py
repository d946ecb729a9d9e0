"""Training of T2DRL and of plain PPO on the servers of one caching preset.

PPO is stable-baselines3's with the published settings; what print leaves open is decided in
`Settings` (**D**). A rollout is one whole episode of `servers` servers drawn from training seeds
10000, 10001, ...; for the first rollouts only the critic learns, because a critic that knows
nothing would only blur the actor's first guess. After each rollout the test-time layer's slow
weights also learn to restore masked observations. The weights kept are those that cost least on
the tuning seeds 1000, 1001, ...; test seeds 0..999 are never touched.

Every rollout begins with fresh generators and fresh episodes, so a training that is interrupted and
resumed ends where it would have ended anyway.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import set_random_seed

from learning.caching import policy as policies
from learning.caching import servers
from learning.caching.environment import Draw, ServerBatch
from learning.caching.fast_weights import FastWeights
from learning.caching.network import Agent
from learning.caching.ppo_policy import PairPolicy
from learning.caching.vectors import CachingVecEnv
from learning.runs.folder import OnProgress, TrainingRun
from learning.runs.settings import at_least, positive, share
from mecopt.caching.scenarios import t2drl as caching

#: First seeds of training and of tuning instances.
TRAINING_SEED, TUNING_SEED = 10_000, 1_000


@dataclass(frozen=True)
class Settings:
    """What decides a training, besides its seed.

    Parameters
    ----------
    preset : str
        Key of `mecopt.caching.scenarios.t2drl.PRESETS`, without a coupling.
    changes : mapping
        Overrides of the preset's parameters, by name.
    test_time : bool
        With the test-time layer (`t2drl`) or without (`ppo`).
    layer : bool
        With the feasibility layer or without.
    averages : bool
        With averages of the requests in the observation or without (an ablation).
    rollouts : int
        Of one episode of each of `servers` servers.
    critic_rollouts : int
        The first of them, in which only the critic learns.
    warm_rollouts : int
        Rollouts after those over which the learning rate rises, before it falls to zero: the first
        steps of Adam have the full size whatever the gradient says.
    copies : int
        How many of the servers of a rollout share requests (`GroupCentred`).
    noise : (float, float)
        Standard deviations of score and share at the start; they fall in a straight line to
        `last_noise` times that. White noise evicts and reloads, which costs more than a small
        correction of the rule can gain: exploration has to be fine.

    Raises
    ------
    ValueError
        If a number is out of range, or the servers are no multiple of their copies.
    """

    preset: str = "ten"
    changes: Mapping[str, Any] | None = None
    test_time: bool = True
    layer: bool = True
    averages: bool = True
    rollouts: int = 32
    critic_rollouts: int = 4
    warm_rollouts: int = 6
    servers: int = 160
    copies: int = 4
    epochs: int = 2
    # printed
    learning_rate: float = 3e-4
    discount: float = 0.95
    gae: float = 0.95
    clip: float = 0.2
    value_weight: float = 0.25
    entropy_weight: float = 0.0
    gradient_norm: float = 0.5
    batch: int = 128
    hidden: int = 128
    fast_hidden: int = 32
    fast_heads: int = 4
    # decided here
    eta: float = 1.0
    noise: tuple[float, float] = (0.05, 0.18)
    last_noise: float = 0.4
    restore_steps: int = 32
    tuning_instances: int = 8
    tuning_every: int = 5

    def __post_init__(self) -> None:
        at_least(self, rollouts=1, critic_rollouts=0, warm_rollouts=1, servers=1, copies=1)
        at_least(self, epochs=1, batch=2, hidden=1, fast_hidden=1, fast_heads=1, eta=0)
        at_least(self, restore_steps=1, tuning_instances=1, tuning_every=1, entropy_weight=0)
        positive(self, "learning_rate", "clip", "gradient_norm")
        share(self, "discount", "gae")
        for whole, part in (("servers", "copies"), ("fast_hidden", "fast_heads")):
            if getattr(self, whole) % getattr(self, part):
                raise ValueError(
                    f"{whole} = {getattr(self, whole)} must be a multiple of {part} = "
                    f"{getattr(self, part)}"
                )
        if len(self.noise) != 2 or min(self.noise) <= 0 or self.last_noise <= 0:
            raise ValueError(
                f"noise = {self.noise} must be two numbers > 0, and last_noise = {self.last_noise} "
                "> 0"
            )

    @property
    def name(self) -> str:
        """Name of the policy: `t2drl` or `ppo`."""
        return "t2drl" if self.test_time else "ppo"

    @property
    def agent(self) -> dict[str, Any]:
        """Arguments of `Agent`."""
        fast = {"hidden": self.fast_hidden, "heads": self.fast_heads, "eta": self.eta}
        return {"hidden": self.hidden, "test_time": fast if self.test_time else None}


#: Settings by the names of `mecopt train`; ``--set preset=sticky`` trains for that preset.
RECIPES = {"t2drl": Settings(), "t2drl-ppo": Settings(test_time=False)}


class GroupCentred(BaseCallback):
    """Subtracts from each advantage its mean over the copies of the same episode and slot.

    Copies meet the same requests and explore differently, so what the critic gets wrong about an
    episode is much the same for all of them and cancels. The mean holds the advantage itself, which
    scales the gradient by 1 - 1 / copies and leaves its direction alone.
    """

    def __init__(self, copies: int) -> None:
        super().__init__()
        self.copies = copies

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        if self.copies > 1:
            model = self.model
            assert isinstance(model, PPO)
            groups = model.rollout_buffer.advantages.reshape(model.n_steps, -1, self.copies)
            groups -= groups.mean(axis=2, keepdims=True)


def drawn(settings: Settings, first_seed: int) -> Draw:
    """Episodes of a preset, server by server, from a first seed on."""

    @lru_cache(maxsize=2)
    def instance(seed: int) -> caching.CachingInstance:
        return caching.generate(settings.preset, seed, **(settings.changes or {}))

    per_instance = caching.parameters(settings.preset, **(settings.changes or {})).servers
    return lambda k: (instance(first_seed + k // per_instance), k % per_instance)


def mean_cost(
    agent: Agent, batch: servers.Servers, *, layer: bool = True, averages: bool = True
) -> NDArray[np.float64]:
    """Cost (B,) of the agent's mean actions on a batch of servers."""
    run = ServerBatch(batch, layer=layer, averages=averages)
    fast = None if agent.layer is None else FastWeights(agent.layer, len(run.cost))
    while not run.done:
        run.step(agent.act(run.observe(), fast))
    return run.cost


def train(
    settings: Settings,
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    resume: bool = False,
    on_progress: OnProgress | None = None,
) -> Path:
    """Train into a run folder (`learning.runs.folder`); returns the folder.

    Progress has one row per rollout: `step` (server slots seen), `cost_over_cloud` (with
    exploration), `tuning_cost` (mean actions on the tuning servers; repeated between
    measurements), `explained_variance`, `noise`, `restore_loss`.

    Raises
    ------
    ValueError
        If the preset is unknown or coupled, or the folder holds another training.
    """
    torch.set_num_threads(1)
    run = TrainingRun.open(out, policies.KIND, settings, seed=seed, resume=resume)
    if run.is_whole:
        return run.path
    first = TRAINING_SEED + 10_000_000 * seed
    env, model, rate = _model(settings, first, seed)
    agent: Agent = model.policy.agent
    restorer = None
    if agent.layer is not None:
        restorer = torch.optim.Adam(agent.layer.parameters(), lr=1e-3)
    tuning = _tuning_servers(settings)
    seen: dict[str, Any] = {"layer": settings.layer, "averages": settings.averages}
    if state := run.load_state():
        agent.load_state_dict(state["agent"])
        model.policy.optimizer.load_state_dict(state["optimiser"])
        if restorer is not None:
            restorer.load_state_dict(state["restorer"])
        begun, best, kept, tuned = (state[name] for name in ("step", "best", "kept", "tuned"))
    else:
        begun, kept = 0, _weights(agent)
        best = tuned = float(mean_cost(agent, tuning, **seen).sum())
    per_rollout = settings.servers * tuning.requests.shape[2]
    centred = GroupCentred(settings.copies)
    rollout = begun
    with run.watch([agent.actor, agent.critic], lambda: rollout + 1):
        for rollout in range(begun, settings.rollouts):
            rate[0] = _begin_rollout(settings, agent, rollout)
            set_random_seed(1_000_003 * seed + rollout)
            env.episode = rollout * settings.servers // settings.copies
            model.learn(per_rollout, callback=centred)
            figures = _figures(model, env, agent)
            if restorer is not None:
                figures["restore_loss"] = _restore(model, agent, restorer, settings, seed, rollout)
            done = rollout + 1
            measured = done == settings.rollouts or done % settings.tuning_every == 0
            if measured:
                tuned = float(mean_cost(agent, tuning, **seen).sum())
                if tuned < best:
                    best, kept = tuned, _weights(agent)
            run.record(done * per_rollout, **figures, tuning_cost=tuned)
            if measured:
                body = {
                    "agent": agent.state_dict(),
                    "optimiser": model.policy.optimizer.state_dict(),
                }
                body |= {"best": best, "kept": kept, "tuned": tuned}
                body["restorer"] = None if restorer is None else restorer.state_dict()
                run.save_state(done, body)
            if on_progress is not None:
                on_progress(done, settings.rollouts, {**figures, "tuning_cost": tuned})
    agent.load_state_dict(kept)
    trained = policies.LearnedPolicy(agent, name=settings.name, **seen)
    about = {"preset": settings.preset, "seed": seed, "settings": asdict(settings)}
    policies.save(trained, run.checkpoint, settings.agent, **about)
    first_cost = float(mean_cost(policies.first_guess().agent, tuning, **seen).sum())
    return run.finish(
        {
            "seeds": {"training": first, "tuning": [TUNING_SEED, settings.tuning_instances]},
            "episodes": settings.rollouts * settings.servers // settings.copies,
            "tuning_cost": best,
            "tuning_cost_first_guess": first_cost,
        }
    )


def _tuning_servers(settings: Settings) -> servers.Servers:
    """All servers of the tuning instances."""
    draw = drawn(settings, TUNING_SEED)
    per_instance = caching.parameters(settings.preset, **(settings.changes or {})).servers
    return servers.of_instances([draw(k) for k in range(settings.tuning_instances * per_instance)])


def _weights(agent: Agent) -> dict[str, torch.Tensor]:
    """A copy of the weights."""
    return {name: value.clone() for name, value in agent.state_dict().items()}


def _begin_rollout(settings: Settings, agent: Agent, rollout: int) -> float:
    """Set the exploration noise and which networks learn; the learning rate of the rollout."""
    done = rollout / settings.rollouts
    warm = (rollout + 1 - settings.critic_rollouts) / settings.warm_rollouts
    rising = min(1.0, warm) if warm > 0 else 1.0
    agent.noise.copy_((1 - done * (1 - settings.last_noise)) * torch.tensor(settings.noise))
    for parameter in agent.actor.parameters():
        parameter.requires_grad_(rollout >= settings.critic_rollouts)
    return settings.learning_rate * (1 - done) * rising


def _model(
    settings: Settings, first_seed: int, seed: int
) -> tuple[CachingVecEnv, PPO, list[float]]:
    """Environments, and PPO with the printed settings; its learning rate is read from the list."""
    env = CachingVecEnv(
        drawn(settings, first_seed),
        settings.servers,
        layer=settings.layer,
        averages=settings.averages,
        fast=settings.fast_hidden**2 // settings.fast_heads if settings.test_time else 0,
        copies=settings.copies,
    )
    slots = env.draw(0)[0].requests.shape[2]
    if slots * settings.servers < 2:
        raise ValueError(f"servers = {settings.servers}: one of {slots} slot gives one decision")
    rate = [settings.learning_rate]
    model = PPO(
        PairPolicy,
        env,
        n_steps=slots,
        batch_size=settings.batch,
        n_epochs=settings.epochs,
        learning_rate=lambda _: rate[0],
        gamma=settings.discount,
        gae_lambda=settings.gae,
        clip_range=settings.clip,
        vf_coef=settings.value_weight,
        ent_coef=settings.entropy_weight,
        max_grad_norm=settings.gradient_norm,
        policy_kwargs={"agent": settings.agent, "optimizer_kwargs": {"fused": True, "eps": 1e-5}},
        seed=seed,
        device="cpu",
    )
    env.test_time = model.policy.agent.layer
    return env, model, rate


def _figures(model: PPO, env: CachingVecEnv, agent: Agent) -> dict[str, float]:
    logged = model.logger.name_to_value
    return {
        "cost_over_cloud": float(env.cost_over_cloud.mean()),
        "explained_variance": float(logged["train/explained_variance"]),
        "loss": float(logged["train/loss"]),
        "clip_fraction": float(logged["train/clip_fraction"]),
        "noise": float(agent.noise[0]),
    }


def _restore(
    model: PPO,
    agent: Agent,
    optimiser: torch.optim.Optimizer,
    settings: Settings,
    seed: int,
    rollout: int,
) -> float:
    """A few steps of the layer's slow weights on observations of the rollout; mean loss."""
    assert agent.layer is not None
    rng = np.random.default_rng([seed, rollout])
    pairs = model.rollout_buffer.observations["pairs"]  # flattened to (T B, P, SIZE) by training
    rows = pairs.reshape(-1, *pairs.shape[-2:])
    losses = []
    for _ in range(settings.restore_steps):
        pick = rng.integers(len(rows), size=256)
        losses.append(agent.layer.fit(torch.from_numpy(rows[pick]), optimiser, rng))
    return float(np.mean(losses))
