"""The learned auctioneer: it learns something, is seeded, and is measured against bisection."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from learning.market import auctioneer
from mecopt.market import scenarios as markets

TINY = auctioneer.Settings(episodes=60, batch=16, updates_per_episode=2)


def draw(seed):
    return markets.generate("balanced", seed, n=5)


def test_training_is_seeded():
    """Equal seeds give equal weights."""
    first, _ = auctioneer.train(draw, seed=1, settings=TINY)
    second, _ = auctioneer.train(draw, seed=1, settings=TINY)
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_free_broadcasts_and_dear_ones():
    """A dear broadcast teaches longer jumps than a free one: fewer broadcasts."""
    rounds = {}
    for cost in (0.0, 0.2):
        settings = auctioneer.Settings(episodes=250, broadcast_cost=cost)
        q, progress = auctioneer.train(draw, seed=0, settings=settings)
        rounds[cost] = progress["broadcasts"].tail(60).mean()
    assert rounds[0.2] < rounds[0.0]


def test_bisection_is_the_rival_to_beat():
    """Bisection has the welfare of one-tick clocks in at most floor(log2(101)) + 1 = 7 rounds."""
    q, _ = auctioneer.train(draw, settings=TINY)
    table = auctioneer.compare(q, [draw(1000 + s) for s in range(20)])
    assert np.isclose(*table.loc[["one tick", "bisection"], "welfare_ratio"])
    assert table.loc["bisection", "most_broadcasts"] <= 7 < table.loc["one tick", "broadcasts"]
