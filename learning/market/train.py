"""Training an auctioneer: policy gradient on many simulated auctions, every jump tried.

    >>> from pathlib import Path
    >>> from learning.market import train
    >>> folder = train.train(train.Settings(), Path("run"), seed=0)  # doctest: +SKIP

Xu et al. (arXiv 2111.03776) and Xu, Niyato, Brinton (arXiv 2501.14205) let deep reinforcement
learning choose the step of the double Dutch auction: long steps save broadcasts, short ones save
welfare. The reward has their two parts, welfare and the cost of announcing, in one currency: an
auction costs what it leaves of its own market's optimum, plus `broadcast_cost` an announcement.

Each state's jumps are all tried on the market that is hidden behind it, every one is played to the
end by the policy as it is, and the policy moves towards those that end better than its own mean: a
group-relative policy gradient whose group is complete. Two jumps of one state differ by some
thousandths, markets by some tenths; so jumps are compared on one market, and nothing is
bootstrapped: the maximum over values that are wrong by a hundredth favours whoever takes more
steps. (DQN did: seeds 0 to 4 of one training took 7 to 22 broadcasts, best and second jump of a
state differed by 0.003 on the median, and the rounding of another processor was enough for 39.)

Torch computes on one thread: equal settings and seeds give equal weights on one machine. Another
processor rounds differently, and the weights part; the figures stay within the spread over seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from learning import seeds
from learning.market import environment
from learning.market.policy import FEATURES, FILE, KIND, features
from learning.runs import divergence
from learning.runs.folder import OnProgress, TrainingRun, describe_checkpoint
from learning.runs.settings import at_least, not_empty, one_of, positive
from mecopt.market import scenarios

#: Markets that a training draws from; those of every training, so that seeds differ in the rest.
MARKETS = range(seeds.FIRST_TRAINING, seeds.FIRST_TRAINING + 20_000)
#: Kinds of markets with one unit a trader, of one good, and as many traders as were asked for.
KINDS = ("balanced", "five-to-one", "low-values", "lattice", "two-classes")
#: Length of the running mean of the weights, in steps.
_MEMORY_STEPS = 300


@dataclass(frozen=True)
class Settings:
    """What decides the result of a training, besides its seed.

    Parameters
    ----------
    kind : str
        Markets (`mecopt.market.scenarios`), of one good.
    traders : int
        Buyers (and, but in ``five-to-one``, sellers).
    ticks : int
        Of the grid.
    jumps : tuple of int
        Ticks that a clock can jump by.
    broadcast_cost : float
        Price of an announcement in shares of the mean optimum.
    steps : int
        Gradient steps.
    auctions : int
        Auctions side by side: states per step.
    learning_rate : float
        Of Adam, falling to zero along a cosine.
    entropy : float
        Weight of the policy's entropy, in shares of the mean optimum, falling to zero in a line.
    hidden : int
    log_every : int

    Raises
    ------
    ValueError
        If a number is out of range, or the kind is unknown.
    """

    kind: str = "two-classes"
    traders: int = 20
    ticks: int = 100
    jumps: tuple[int, ...] = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
    broadcast_cost: float = 0.002
    steps: int = 5_000
    auctions: int = 48
    learning_rate: float = 3e-3
    entropy: float = 0.002
    hidden: int = 64
    log_every: int = 500

    def __post_init__(self) -> None:
        one_of(self, kind=KINDS)
        not_empty(self, "jumps")
        at_least(self, traders=1, ticks=1, steps=1, auctions=1, hidden=1, log_every=1)
        at_least(self, broadcast_cost=0, entropy=0)
        positive(self, "learning_rate")
        if min(self.jumps) < 1:
            raise ValueError(f"jumps = {self.jumps} must be at least one tick each")


def network(settings: Settings) -> nn.Sequential:
    """Score of every jump: (B, FEATURES) -> (B, jumps)."""
    width = settings.hidden
    return nn.Sequential(
        nn.Linear(FEATURES, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, len(settings.jumps)),
    )


def train(
    settings: Settings,
    out: Path,
    *,
    seed: int,
    resume: bool = False,
    on_progress: OnProgress | None = None,
) -> Path:
    """Train an auctioneer (`learning.recipes`); an interrupted training begins again.

    Raises
    ------
    ValueError
        If the folder holds something else.
    learning.runs.divergence.TrainingDiverged
        If a weight or an output of the network is not finite.
    """
    run = TrainingRun.open(out, KIND, settings, seed=seed, resume=resume)
    if run.is_whole:
        return run.path
    torch.set_num_threads(1)
    draw = partial(scenarios.generate, settings.kind, n=settings.traders)
    markets = environment.make_pool(draw, MARKETS, ticks=settings.ticks)
    mean = _fit(settings, markets, run, seed, on_progress)
    run.checkpoint.mkdir(parents=True, exist_ok=True)
    save_file({n: w.contiguous() for n, w in mean.state_dict().items()}, run.checkpoint / FILE)
    told = {"kind_of_markets": settings.kind, "traders": settings.traders}
    describe_checkpoint(
        run.checkpoint, KIND, jumps=list(settings.jumps), ticks=settings.ticks,
        broadcast_cost=settings.broadcast_cost, **told,
    )  # fmt: skip
    return run.finish({})


def _fit(
    s: Settings,
    markets: environment.Pool,
    run: TrainingRun,
    seed: int,
    on_progress: OnProgress | None,
) -> nn.Sequential:
    """The running mean of the network at the end of its training."""
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 17])
    q, mean = network(s), network(s)
    mean.load_state_dict(q.state_dict())
    optimiser = torch.optim.Adam(q.parameters(), lr=s.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, s.steps)
    jumps = np.array(s.jumps)
    at = environment.begin(rng.integers(len(markets.best), size=s.auctions))
    costs: list[float] = []
    step = 0
    with divergence.watch([q], lambda: step):
        for step in range(1, s.steps + 1):
            score = q(torch.from_numpy(features(environment.state(markets, at))))  # (S, A)
            chance = torch.softmax(score, dim=1)
            to, ended = environment.after(
                markets, at.of(np.repeat(np.arange(s.auctions), len(jumps))),
                np.tile(jumps, s.auctions),
            )  # fmt: skip
            cost = _played(markets, to, ended, q, jumps, s.broadcast_cost, rng)
            cost = cost.reshape(s.auctions, -1)
            _improve(q, mean, optimiser, score, cost, s.entropy * (1 - step / s.steps))
            schedule.step()
            action = _draw(chance.detach().numpy(), rng)
            chosen = np.arange(s.auctions) * len(jumps) + action
            at, over = to.of(chosen), np.flatnonzero(ended[chosen])
            fresh = environment.begin(rng.integers(len(markets.best), size=len(over)))
            for field, new in zip(at, fresh, strict=True):
                field[over] = new
            costs.append(float((chance.detach().numpy() * cost).sum(axis=1).mean()))
            if step % s.log_every == 0 or step == s.steps:
                run.check_weights(step, q.named_parameters())
                figures = {"cost_to_go": float(np.mean(costs))}
                run.record(step, **figures)
                if on_progress is not None:
                    on_progress(step, s.steps, figures)
                costs = []
    return mean


def _played(
    markets: environment.Pool,
    at: environment.Position,
    ended: NDArray[np.bool_],
    q: nn.Sequential,
    jumps: NDArray[np.int64],
    broadcast_cost: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """(N,) cost of auctions played to the end by the policy, an announcement before included."""
    cost = np.full(len(ended), broadcast_cost)
    which = np.arange(len(ended))
    while True:
        cost[which[ended]] += environment.lost(markets, at.of(ended))
        which, at = which[~ended], at.of(~ended)
        if not len(which):
            return cost
        with torch.no_grad():
            score = q(torch.from_numpy(features(environment.state(markets, at))))
            chance = torch.softmax(score, dim=1).numpy()
        at, ended = environment.after(markets, at, jumps[_draw(chance, rng)])
        cost[which] += broadcast_cost


def _draw(chance: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.int64]:
    """One action (N,) by its chance (N, A)."""
    below = chance.cumsum(axis=1) < rng.random(len(chance), dtype=np.float32)[:, None]
    return np.minimum(below.sum(axis=1), chance.shape[1] - 1)


def _improve(
    q: nn.Sequential,
    mean: nn.Sequential,
    optimiser: torch.optim.Optimizer,
    score: Tensor,
    cost: NDArray[np.float64],
    entropy: float,
) -> None:
    """One gradient step of the policy, and one of its running mean."""
    chance, log = torch.softmax(score, dim=1), torch.log_softmax(score, dim=1)
    better = torch.from_numpy(-cost.astype(np.float32))  # (S, A)
    better = better - (chance.detach() * better).sum(dim=1, keepdim=True)
    gain = (chance * better).sum(dim=1) - entropy * (chance * log).sum(dim=1)
    loss = -gain.mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    with torch.no_grad():
        for kept, new in zip(mean.parameters(), q.parameters(), strict=True):
            kept.lerp_(new, 1 / _MEMORY_STEPS)
