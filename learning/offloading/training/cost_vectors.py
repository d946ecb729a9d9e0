"""Training of the networks of `learning.offloading.policies.networks` on costs of all options.

    >>> from pathlib import Path
    >>> from learning.offloading.training import cost_vectors
    >>> chosen = cost_vectors.RECIPES["equivariant"]
    >>> folder = cost_vectors.train(chosen, Path("run"), seed=0)  # doctest: +SKIP

States come from trajectories of `user-values` (most) and of the one-step oracle that may drop (so
that the network has seen fuller queues than its own), on training seeds from 10000 on, mixed over
presets and numbers of servers. Loss: cross-entropy between softmax(-label / t) and
softmax(-total cost / t) with t = 0.2 slot, so that near-ties share the label. In training the
servers of every state are shuffled, which a permutation-equivariant network does not notice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from learning import seeds
from learning.offloading.policies.networks import EquivariantNet, FixedNet, Network, NetworkPolicy
from learning.offloading.rewards import user_values
from learning.offloading.states import decision_states as states
from learning.offloading.states import option_features
from learning.offloading.states.option_features import PRESENT
from learning.runs.folder import OnProgress, TrainingRun
from learning.runs.settings import at_least, not_empty, one_of, positive
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.scenarios import comllm

#: Cost of an absent option in a label, slots: never chosen, and finite.
_ABSENT = 1e6
LABELS = ("user-values", "one-step")
#: Share of the steps over which the learning rate rises, and the fewest that have such a share.
_WARM_UP, _FEWEST_STEPS = 0.05, 21
#: Tuning instances per preset on which progress is measured.
_TUNING_INSTANCES = 2


@dataclass(frozen=True)
class Settings(ABC):
    """What decides the result of a training, besides its seed.

    Parameters
    ----------
    presets : tuple of str
    servers : tuple of int
        Numbers of servers; every pair of preset and number gets the same number of episodes.
    episodes : int
        Episodes per pair, one in five of them played by the one-step oracle that may drop.
    labels : str
        ``"user-values"`` (`learning.offloading.rewards.user_values`) or ``"one-step"``.
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

    presets: tuple[str, ...] = ("paper", "busy", "large")
    servers: tuple[int, ...] = (6,)
    episodes: int = 60
    labels: str = "user-values"
    hidden: int = 32
    steps: int = 4000
    batch: int = 256
    learning_rate: float = 3e-3
    temperature_slots: float = 0.2
    log_every: int = 200

    def __post_init__(self) -> None:
        one_of(self, labels=LABELS)
        not_empty(self, "presets", "servers")
        at_least(self, episodes=1, hidden=1, steps=1, batch=1, log_every=1)
        positive(self, "learning_rate", "temperature_slots")

    @property
    @abstractmethod
    def kind(self) -> str:
        """Kind of the checkpoint."""

    @abstractmethod
    def network(self) -> Network:
        """The untrained network."""


@dataclass(frozen=True)
class EquivariantSettings(Settings):
    """Of `EquivariantNet`: few and many servers beside the published six."""

    servers: tuple[int, ...] = (3, 6, 6, 11)
    episodes: int = 20
    kind = "equivariant"

    def network(self) -> Network:
        return EquivariantNet(self.hidden)


@dataclass(frozen=True)
class FixedSettings(Settings):
    """Of `FixedNet`, the plain baseline, which is wider."""

    servers: tuple[int, ...] = (3, 4, 5, 6, 6, 6)
    episodes: int = 15
    hidden: int = 96
    steps: int = 8000
    kind = "mlp"

    def network(self) -> Network:
        return FixedNet(max(self.servers), self.hidden)


RECIPES = {"equivariant": EquivariantSettings(), "mlp": FixedSettings()}


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled states as tensors: rows (B, A, columns), load (B, 3), label (B, A) in slots."""

    options: Tensor
    load: Tensor
    label: Tensor

    def __len__(self) -> int:
        return len(self.options)


def collect(settings: Settings, seed: int) -> Examples:
    """Examples of training seeds; equal arguments give equal examples."""
    rng = np.random.default_rng([3, seed])
    parts = []
    for preset in settings.presets:
        for servers in settings.servers:
            drawn = seeds.FIRST_TRAINING + rng.choice(10**6, settings.episodes, replace=False)
            seeds.check(drawn, "train")
            episodes = [comllm.generate(preset, int(s), servers=servers) for s in drawn]
            parts.append(_examples(episodes[::5], "one-step-oracle-drop", settings.labels))
            rest = [x for i, x in enumerate(episodes) if i % 5]
            if rest:
                parts.append(_examples(rest, user_values.UserValues(), settings.labels))
    return _joined(parts)


def tuning_examples(settings: Settings) -> list[Examples]:
    """Examples of tuning seeds, one part per number of servers."""
    first = seeds.PARTS["tune"][0]
    parts = []
    drawn = range(first, first + _TUNING_INSTANCES)
    for servers in settings.servers:
        of_presets = []
        for preset in settings.presets:
            episodes = [comllm.generate(preset, s, servers=servers) for s in drawn]
            of_presets.append(_examples(episodes, user_values.UserValues(), settings.labels))
        parts.append(_joined(of_presets))
    return parts


def _examples(
    episodes: list[OffloadingInstance], behaviour: str | user_values.UserValues, labels: str
) -> Examples:
    given = states.collect(episodes, behaviour)
    options, load = option_features.of_states(given)
    cost = given.one_step_cost_slots
    if labels == "user-values":  # all episodes have the parameters of the first
        grid = user_values.solve(user_values.parameters_of(episodes[0]))
        cost = user_values.cost_vectors(given, grid)
    cost = np.minimum(cost, _ABSENT).astype(np.float32)
    return Examples(torch.from_numpy(options), torch.from_numpy(load), torch.from_numpy(cost))


def _joined(parts: list[Examples]) -> Examples:
    """One after the other, absent servers before the drop row."""
    widest = max(p.label.shape[1] for p in parts)

    def pad(t: Tensor, value: float) -> Tensor:
        missing = widest - t.shape[1]
        filler = torch.full((len(t), missing, *t.shape[2:]), value)
        return torch.cat([t[:, :-1], filler, t[:, -1:]], dim=1)

    return Examples(
        torch.cat([pad(p.options, 0.0) for p in parts]),
        torch.cat([p.load for p in parts]),
        torch.cat([pad(p.label, _ABSENT) for p in parts]),
    )


def train(
    settings: Settings,
    out: Path,
    *,
    seed: int,
    resume: bool = False,
    on_progress: OnProgress | None = None,
) -> Path:
    """Train, or take an interrupted training up (`learning.recipes`); returns the run folder.

    Rows of progress hold ``loss`` (mean over batches since the last row), and ``regret_slots`` and
    ``agreement`` with the label's choice, both on tuning seeds.

    Raises
    ------
    ValueError
        See `TrainingRun.open` and `TrainingRun.record`.
    """
    run = TrainingRun.open(out, settings.kind, settings, seed=seed, resume=resume)
    if run.is_whole:
        return run.path
    torch.set_num_threads(1)  # sums in one order, however many cores there are
    torch.manual_seed(seed)
    net = settings.network()
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
    examples, tuning = collect(settings, seed), tuning_examples(settings)
    with run.watch([net], lambda: step):
        for options, load, target in batches(examples, settings, rng, settings.steps - step):
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
    examples: Examples, settings: Settings, rng: torch.Generator, steps: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Random batches with the servers of each state shuffled."""
    n_servers = examples.label.shape[1] - 2
    for _ in range(steps):
        pick = torch.randint(len(examples), (settings.batch,), generator=rng)
        order = torch.rand(settings.batch, n_servers, generator=rng).argsort(dim=1) + 1
        first, last = torch.zeros_like(order[:, :1]), torch.full_like(order[:, :1], n_servers + 1)
        order = torch.cat([first, order, last], dim=1)
        options, label = examples.options[pick], examples.label[pick]
        yield (
            options.gather(1, order[..., None].expand_as(options)),
            examples.load[pick],
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
        total = policy.total_costs(part.options.numpy(), part.load.numpy())
        cost = part.label.numpy()
        chosen = np.take_along_axis(cost, total.argmin(axis=1)[:, None], axis=1)[:, 0]
        regret.append(chosen - cost.min(axis=1))
    net.train()
    joined = np.concatenate(regret)
    return {"regret_slots": float(joined.mean()), "agreement": float((joined < 1e-6).mean())}
