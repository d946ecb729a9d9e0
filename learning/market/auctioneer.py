"""A learned auctioneer: a small DQN chooses by how many ticks a clock jumps.

Xu et al. (arXiv 2111.03776) and Xu, Niyato, Brinton (arXiv 2501.14205) let deep reinforcement
learning choose the step of the double Dutch auction: long steps save broadcasts, short ones save
welfare. Here the network sees what was said aloud (`mechanisms.double_dutch.adaptive.State`), each
broadcast costs `broadcast_cost`, and the episode ends with the welfare ratio W / W*.

What a learned schedule has to beat is bisection of the broadcast price, which finds the trades of
one-tick clocks in at most floor(log2(N + 1)) + 1 broadcasts (`mechanisms.double_dutch.bisection`),
and what it gives up is truthfulness: a step that reacts to acceptances reacts to reports.

DQN after Mnih et al., Nature 518 (2015), with a double-Q target (van Hasselt et al., AAAI 2016).
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from learning.runs import divergence
from learning.runs.settings import at_least, positive, share
from mechanisms.audit import checks as audit_checks
from mechanisms.double_dutch import adaptive, bisection
from mechanisms.double_dutch import rule as double_dutch
from mechanisms.double_dutch.adaptive import State
from mechanisms.outcome import Outcome
from mecopt.checks import check_seed
from mecopt.market.instance import Market

#: Jumps the auctioneer chooses among, in ticks.
JUMPS = (1, 2, 4, 8, 16, 32)
FEATURES = 9


def features(state: State) -> list[float]:
    """State as numbers of order one: clocks, their gap, who stopped, what was tried last."""
    ticks, buyers, sellers = state.ticks, state.n_buyers, state.n_sellers
    return [
        float(state.turn),
        state.buyer_clock / ticks,
        state.seller_clock / ticks,
        (state.buyer_clock - state.seller_clock) / ticks,
        state.buyers_stopped / buyers,
        state.sellers_stopped / sellers,
        (state.buyers_stopped - state.sellers_stopped) / max(buyers, sellers),
        min(state.last_stopped, 5) / 5,
        float(np.log2(state.last_jump)) / 5,
    ]


def network(hidden: int = 64) -> nn.Sequential:
    """Q(state, jump): (B, FEATURES) -> (B, len(JUMPS))."""
    return nn.Sequential(
        nn.Linear(FEATURES, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, len(JUMPS)),
    )


def greedy(q: nn.Module) -> Callable[[State], int]:
    """Policy that takes the jump with the largest Q."""

    def policy(state: State) -> int:
        with torch.no_grad():
            return JUMPS[int(q(torch.tensor([features(state)])).argmax())]

    return policy


@dataclass(frozen=True)
class Settings:
    """Hyper-parameters of `train`.

    Raises
    ------
    ValueError
        If a number is out of range, or the memory never holds a batch.
    """

    episodes: int = 3000
    broadcast_cost: float = 0.01  # in units of the welfare ratio
    discount: float = 1.0  # episodes are short and must end
    learning_rate: float = 1e-3
    batch: int = 64
    updates_per_episode: int = 8
    memory: int = 20_000
    target_every: int = 50  # episodes
    explore_until: float = 0.5  # share of episodes over which exploration falls to 5 %

    def __post_init__(self) -> None:
        at_least(self, episodes=1, batch=1, updates_per_episode=1, target_every=1, broadcast_cost=0)
        at_least(self, memory=self.batch)
        positive(self, "learning_rate", "explore_until")
        share(self, "discount")


def welfare_ratio(market: Market, outcome: Outcome) -> float:
    """W / W* at the true reports (1 where W* is 0)."""
    best = audit_checks.optimum(market, solver=False).welfare
    worth, spent = audit_checks.unit_gains(market, outcome)
    return (int(worth.sum()) - int(spent.sum())) / best if best else 1.0


def train(
    draw: Callable[[int], Market], *, seed: int = 0, settings: Settings | None = None
) -> tuple[nn.Sequential, pd.DataFrame]:
    """Train an auctioneer on markets ``draw(0), draw(1), ...``.

    Returns
    -------
    network
    progress : DataFrame
        One row per episode: welfare_ratio, broadcasts, reward, explore.

    Raises
    ------
    ValueError
        If the seed is negative, or the training diverges (`learning.runs.divergence`).
    """
    check_seed(seed)
    s = settings or Settings()
    torch.manual_seed(seed)
    rng = random.Random(seed)
    q, target = network(), network()
    target.load_state_dict(q.state_dict())
    optimiser = torch.optim.Adam(q.parameters(), lr=s.learning_rate)
    best = greedy(q)
    memory: deque[tuple[list[float], int, float, list[float] | None]] = deque(maxlen=s.memory)
    rows = []
    episode = 0
    with divergence.watch([q], lambda: episode):
        for episode in range(s.episodes):
            explore = max(0.05, 1 - episode / (s.explore_until * s.episodes))
            market = draw(episode)
            path: list[tuple[list[float], int]] = []

            def policy(state: State, path: list = path, explore: float = explore) -> int:
                jump = rng.choice(JUMPS) if rng.random() < explore else best(state)
                path.append((features(state), JUMPS.index(jump)))
                return jump

            outcome = adaptive.run(market, policy=policy)
            ratio = welfare_ratio(market, outcome)
            for step, (seen, action) in enumerate(path):
                last = step == len(path) - 1
                reward = (ratio if last else 0.0) - s.broadcast_cost
                memory.append((seen, action, reward, None if last else path[step + 1][0]))
            if len(memory) >= s.batch:
                for _ in range(s.updates_per_episode):
                    _update(q, target, optimiser, rng.sample(memory, s.batch), s.discount)
            if episode % s.target_every == 0:
                target.load_state_dict(q.state_dict())
            reward = ratio - s.broadcast_cost * len(path)
            rows.append((ratio, len(path), reward, explore))
    divergence.check(s.episodes, q.named_parameters())
    columns = ["welfare_ratio", "broadcasts", "reward", "explore"]
    return q, pd.DataFrame(rows, columns=columns)


def _update(
    q: nn.Module,
    target: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: list[tuple[list[float], int, float, list[float] | None]],
    discount: float,
) -> None:
    """One gradient step on the double-Q error of a batch."""
    seen = torch.tensor([b[0] for b in batch])  # (B, FEATURES)
    action = torch.tensor([b[1] for b in batch])  # (B,)
    reward = torch.tensor([b[2] for b in batch])  # (B,)
    alive = torch.tensor([b[3] is not None for b in batch])  # (B,)
    after = torch.tensor([b[3] or [0.0] * FEATURES for b in batch])  # (B, FEATURES)
    with torch.no_grad():
        choice = q(after).argmax(dim=1, keepdim=True)
        future = target(after).gather(1, choice).squeeze(1) * alive
    value = q(seen).gather(1, action[:, None]).squeeze(1)
    loss = nn.functional.smooth_l1_loss(value, reward + discount * future)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def compare(q: nn.Module, markets: list[Market], ticks: int = 100) -> pd.DataFrame:
    """Welfare ratio and broadcasts of the learned auctioneer and its rivals, on common markets."""
    fixed = {"alternation": "unit", "pricing": "clamped", "ticks": ticks}
    rivals: dict[str, Callable[[Market], Outcome]] = {
        "learned": lambda m: adaptive.run(m, policy=greedy(q), ticks=ticks),
        "doubling": lambda m: adaptive.run(m, ticks=ticks),
        "one tick": lambda m: double_dutch.run(m, **fixed),  # type: ignore[arg-type]
        "bisection": lambda m: bisection.run(m, ticks=ticks),
    }
    rows = []
    for name, rule in rivals.items():
        outcomes = [rule(market) for market in markets]
        ratio = [welfare_ratio(m, o) for m, o in zip(markets, outcomes, strict=True)]
        rounds = [o.rounds or 0 for o in outcomes]
        rows.append((name, np.mean(ratio), np.min(ratio), np.mean(rounds), np.max(rounds)))
    columns = ["auctioneer", "welfare_ratio", "worst_ratio", "broadcasts", "most_broadcasts"]
    return pd.DataFrame(rows, columns=columns).set_index("auctioneer")
