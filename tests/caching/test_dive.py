"""Dives: pairs settled one after another fit, and a known schedule is never made worse."""

from __future__ import annotations

import time

import numpy as np
import pytest

from formulations.caching.blocks import Blocks, build
from formulations.caching.dive import Dive, resettle
from formulations.caching.search import Search
from formulations.caching.windows import Guide, state_of, total_cost
from mecopt.caching import CachingInstance, Forwarding, Pair, replay
from mecopt.caching.scenarios import t2drl as caching


def free(blocks: Blocks) -> Guide:
    """Prices of nothing."""
    return Guide(np.zeros(blocks.n_choices), np.zeros(len(blocks.requests)))


def dived(x: CachingInstance, seed: int = 0) -> Dive:
    blocks = build(x)
    dive = Dive(blocks, free(blocks), np.random.default_rng(seed))
    dive.settle(range(x.n_pairs))
    return dive


def test_neighbours_share_a_context() -> None:
    """A request a slot on both sides of a line of two, one hop 0.1, a load 5, cloud 4 each.

    Edge costs nothing once resident. Two contexts: 10. One, the other side's three requests
    forwarded: 5 + 0.3 = 5.3. Cloud: 24.
    """
    pair = Pair(
        "only",
        memory_gb=1,
        energy_j=10,
        thoughts=1,
        accuracy=1.0,
        cloud_cost=4.0,
        switch_cost=5.0,
        vanish=0,
        kappa_max=1,
    )
    x = CachingInstance.from_pairs(
        np.ones((2, 1, 3), dtype=int),
        [pair],
        capacity_gb=[1, 1],
        energy_budget_j=[100, 100],
        coupling=Forwarding([0.1]),
    )
    dive = dived(x)
    assert total_cost(dive.blocks, dive.state) == pytest.approx(5.3)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_settled_fits(seed: int) -> None:
    """The core accepts the schedule and finds the same cost."""
    x = caching.generate("forwarding", seed, agents=6, servers=3, slots=12)
    dive = dived(x, seed)
    picked, flow = dive.schedule()
    shape = x.requests.shape
    flows = np.moveaxis(flow.reshape(*shape, 3), -1, 1)
    plan = replay(x, (picked > 0).reshape(shape), flows)
    assert plan.objective == pytest.approx(total_cost(dive.blocks, dive.state))


def test_kept_pairs_keep_their_plans() -> None:
    x = caching.generate("forwarding", 1, agents=4, servers=3, slots=10)
    first = dived(x)
    picked, flow = first.schedule()
    again = Dive(first.blocks, first.guide, np.random.default_rng(1))
    again.keep([0, 2], picked, flow)
    again.settle([1, 3])
    old, new = (p.reshape(3, 4, 10) for p in (picked, again.schedule()[0]))
    assert np.array_equal(old[:, [0, 2]], new[:, [0, 2]])


def test_a_schedule_is_never_made_worse() -> None:
    x = caching.generate("forwarding", 2, agents=5, servers=3, slots=10)
    dive = dived(x)
    search = Search(dive.blocks, *dive.schedule(), seed=0)
    before = search.objective
    resettle(search, time.perf_counter() + 1.0, -np.inf)
    assert search.objective <= before
    state = state_of(dive.blocks, search.picked, search.flow)
    assert state.memory_left.min() >= 0 and state.energy_left.min() >= 0 and state.free.min() >= 0
