"""Training of the networks of `learning.offloading.policies.networks` on costs of all options.

    >>> from pathlib import Path
    >>> from learning.offloading.training import cost_vectors
    >>> chosen = cost_vectors.RECIPES["equivariant"]
    >>> folder = cost_vectors.train(chosen, Path("run"), seed=0)  # doctest: +SKIP

Of COMLLM, states come from `learning.offloading.training.comllm_examples`: training seeds from
10000 on, mixed over presets, numbers of servers and settings that no preset has. ``instances`` or
``scenario`` name any other instances (`learning.offloading.training.any_instance`). Loss:
cross-entropy between softmax(-label / t) and softmax(-total cost / t), so that near-ties share the
label. In training the options of every state are shuffled (COMLLM's servers), which a
permutation-equivariant network does not notice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from learning.offloading.policies.networks import EquivariantNet, FixedNet, Network, NetworkPolicy
from learning.offloading.states.option_features import BEHIND, PRESENT
from learning.offloading.training import any_instance, comllm_examples, sources
from learning.offloading.training.comllm_examples import LABELS
from learning.offloading.training.cost_examples import Examples
from learning.offloading.training.sources import SourceSettings
from learning.runs.folder import OnProgress, TrainingRun
from learning.runs.settings import at_least, not_empty, one_of, positive
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.scenarios import comllm

#: Cost of an absent option in a label, slots: never chosen, and finite.
_ABSENT = 1e6
#: Share of the steps over which the learning rate rises, and the fewest that have such a share.
_WARM_UP, _FEWEST_STEPS = 0.05, 21


@dataclass(frozen=True)
class Settings(SourceSettings, ABC):
    """What decides the result of a training, besides its seed.

    Parameters
    ----------
    instances, scenario, options
        Other instances than COMLLM's (`SourceSettings`).
    presets : tuple of str
    servers : tuple of int
        Numbers of servers; every pair of preset and number gets the same number of episodes.
    episodes : int
        Episodes per pair, one in five of them played by the one-step oracle that may drop; of
        another scenario, per preset.
    drawn : int
        Further episodes, each with a drawn load, links, speeds and numbers of users and servers.
    states_per_episode : int
        States labelled of each of these episodes.
    states : int
        Labelled states in all, of other instances than COMLLM's.
    labels : str
        ``"values-lookahead"`` (`learning.offloading.rewards.values_lookahead`),
        ``"server-aware"``, ``"lookahead"``, ``"one-step"``, ``"user-values"`` (COMLLM only), or
        ``"hindsight-priced"`` (prices of the very instance).
    hidden : int
        Width of the network.
    steps, batch : int
        Gradient steps, and states per step.
    learning_rate : float
        Peak of a one-cycle schedule of AdamW.
    temperature_slots : float
        Options this close share the label.
    log_every : int
        Steps between rows of progress.

    Raises
    ------
    ValueError
        Unknown labels, or a number that is not positive.
    """

    presets: tuple[str, ...] = tuple(comllm.PRESETS)
    servers: tuple[int, ...] = (6,)
    episodes: int = 60
    drawn: int = 0
    states_per_episode: int = 60
    states: int = 20_000
    labels: str = "server-aware"
    hidden: int = 32
    steps: int = 4000
    batch: int = 256
    learning_rate: float = 3e-3
    temperature_slots: float = 0.2
    log_every: int = 200

    def __post_init__(self) -> None:
        self.check_source()
        one_of(self, labels=LABELS)
        not_empty(self, "presets", "servers")
        at_least(self, drawn=0, states_per_episode=1, states=1)
        at_least(self, hidden=1, steps=1, batch=1, log_every=1)
        positive(self, "learning_rate", "temperature_slots")

    @property
    @abstractmethod
    def kind(self) -> str:
        """Kind of the checkpoint."""

    @abstractmethod
    def network(self, most_options: int) -> Network:
        """The untrained network; `most_options` of a training state, the drop not counted."""


@dataclass(frozen=True)
class EquivariantSettings(Settings):
    """Of `EquivariantNet`: few and many servers beside the published six, and drawn settings."""

    servers: tuple[int, ...] = (3, 6, 6, 11)
    episodes: int = 15
    drawn: int = 120
    hidden: int = 48
    kind = "equivariant"

    def network(self, most_options: int) -> Network:
        return EquivariantNet(self.hidden, BEHIND + 1)


@dataclass(frozen=True)
class FixedSettings(Settings):
    """Of `FixedNet`, the plain baseline, which is wider."""

    servers: tuple[int, ...] = (3, 4, 5, 6, 6, 6)
    episodes: int = 10
    hidden: int = 96
    steps: int = 8000
    kind = "mlp"

    def network(self, most_options: int) -> Network:
        return FixedNet(max(1, most_options - 1), self.hidden, BEHIND + 1)


RECIPES = {
    "equivariant": EquivariantSettings(),
    # The tables of an episode take as long as its states: fewer episodes, more states of each.
    "equivariant-values": EquivariantSettings(
        labels="values-lookahead", episodes=10, drawn=80, states_per_episode=100
    ),
    "mlp": FixedSettings(),
}


# ------------------------------------------------------------------------------------------ data
def collect(settings: Settings, seed: int) -> Examples:
    """Examples of COMLLM's training seeds; equal arguments give equal examples."""
    return comllm_examples.collect(_plan(settings), seed)


def tuning_examples(settings: Settings, seed: int = 0) -> list[Examples]:
    """Examples of COMLLM's tuning seeds, one part per number of servers."""
    return comllm_examples.tuning(_plan(settings), seed)


def _plan(settings: Settings) -> comllm_examples.Plan:
    return comllm_examples.Plan(
        **{f.name: getattr(settings, f.name) for f in fields(comllm_examples.Plan)}
    )


def _examples(
    settings: Settings, seed: int, instances: Sequence[OffloadingInstance] | None
) -> tuple[Examples, list[Examples]]:
    """Examples to learn from, and those on which progress is measured."""
    if instances is None and not settings.any_instance:
        return collect(settings, seed), tuning_examples(settings)
    found = sources.read(settings, seed) if instances is None else instances
    learned, measured = sources.split(found)
    most = -(-settings.states // 10)
    return (
        any_instance.examples(learned, settings.labels, settings.states, seed),
        [any_instance.examples(measured, settings.labels, most, seed + 1)],
    )


def train(
    settings: Settings,
    out: Path,
    *,
    seed: int,
    resume: bool = False,
    on_progress: OnProgress | None = None,
    instances: Sequence[OffloadingInstance] | None = None,
) -> Path:
    """Train, or take an interrupted training up (`learning.recipes`); returns the run folder.

    `instances` are learned from in place of those that the settings name. Rows of progress hold
    ``loss`` (mean over batches since the last row), and ``regret_slots`` and ``agreement`` with the
    label's choice, both on tuning seeds or every fifth instance.

    Raises
    ------
    ValueError
        See `TrainingRun.open` and `TrainingRun.record`.
    """
    parameters = asdict(settings) | {"given": sources.digests(instances)}
    run = TrainingRun.open(out, settings.kind, parameters, seed=seed, resume=resume)
    if run.is_whole:
        return run.path
    torch.set_num_threads(1)  # sums in one order, however many cores there are
    examples, tuning = _examples(settings, seed, instances)
    torch.manual_seed(seed)
    net = settings.network(examples.label.shape[1] - 1)
    rng = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(net.parameters(), lr=settings.learning_rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        settings.learning_rate,
        total_steps=max(settings.steps, _FEWEST_STEPS),
        pct_start=_WARM_UP,
    )
    parts = {"net": net, "optimiser": optimiser, "schedule": schedule}
    step, losses = 0, []
    if kept := run.load_state():
        step = kept["step"]
        rng.set_state(kept["rng"])
        for name, part in parts.items():
            part.load_state_dict(kept[name])
    shuffled_from = 0 if settings.any_instance or instances is not None else 1
    with run.watch([net], lambda: step):
        for options, load, target in batches(
            examples, settings, rng, settings.steps - step, shuffled_from
        ):
            total = net(options, load)
            loss = cross_entropy(total, target, options, settings.temperature_slots)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            step += 1
            losses.append(loss.item())
            if step % settings.log_every == 0 or step == settings.steps:
                figures = {"loss": float(np.mean(losses)), **measure(net, settings.kind, tuning)}
                losses = []
                run.record(step, **figures)
                kept = {name: part.state_dict() for name, part in parts.items()}
                run.save_state(step, kept | {"rng": rng.get_state()})
                if on_progress is not None:
                    on_progress(step, settings.steps, figures)
    about = {"seed": seed, "settings": asdict(settings)}
    NetworkPolicy(net, settings.kind, about).save(run.checkpoint)
    return run.finish({"states": len(examples), **run.rows[-1]})


def batches(
    examples: Examples, settings: Settings, rng: torch.Generator, steps: int, first: int = 1
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Random batches with the options of each state from `first` on shuffled, the drop last."""
    every, load = torch.from_numpy(examples.options), torch.from_numpy(examples.load)
    labels = torch.from_numpy(np.minimum(examples.label, np.float32(_ABSENT)))
    last = labels.shape[1] - 1
    fixed = torch.arange(first).expand(settings.batch, -1)
    drop = torch.full((settings.batch, 1), last)
    for _ in range(steps):
        pick = torch.randint(len(examples), (settings.batch,), generator=rng)
        order = torch.rand(settings.batch, last - first, generator=rng).argsort(dim=1) + first
        order = torch.cat([fixed, order, drop], dim=1)
        options, label = every[pick], labels[pick]
        yield (
            options.gather(1, order[..., None].expand_as(options)),
            load[pick],
            label.gather(1, order),
        )


def cross_entropy(total: Tensor, label: Tensor, options: Tensor, temperature: float) -> Tensor:
    """Mean cross-entropy of softmax(-total / t) to softmax(-label / t), absent options out."""
    absent = options[..., PRESENT] == 0
    wanted = torch.softmax(-label.masked_fill(absent, _ABSENT) / temperature, dim=-1)
    said = torch.log_softmax(-total.masked_fill(absent, _ABSENT) / temperature, dim=-1)
    return -(wanted * said).sum(dim=-1).mean()


def measure(net: Network, kind: str, tuning: list[Examples]) -> dict[str, float]:
    """Regret of the greedy choice against the label's, in slots, and how often they agree."""
    policy = NetworkPolicy(net, kind)
    regret = []
    for part in tuning:
        total = policy.total_costs(part.options, part.load)
        cost = np.minimum(part.label, np.float32(_ABSENT))
        chosen = np.take_along_axis(cost, total.argmin(axis=1)[:, None], axis=1)[:, 0]
        regret.append(chosen - cost.min(axis=1))
    net.train()
    joined = np.concatenate(regret)
    return {"regret_slots": float(joined.mean()), "agreement": float((joined < 1e-6).mean())}
