"""Owners without a resource to themselves: options by floor, time that ends early, graphs tried."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from formulations.offloading.clock import never
from formulations.offloading.decomposition import solve_plans
from formulations.offloading.graph_search import GraphSearch
from formulations.offloading.pricing.blocks import horizon_ns, priced_until
from formulations.offloading.pricing.oracle import Oracle, root_branch
from formulations.offloading.search import candidates
from mecopt.certificates import verify
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.replay import replay
from tests.support.leaves import random_prices
from tests.support.tiny import brute_force, tiny_instance

NS = 10**9


def fork(first: float, second: float) -> Option:
    """Two stages at once, on gpu and cpu, then one on gpu: 1 s."""
    stages = [
        Stage("gpu", first, after=()),
        Stage("cpu", second, after=()),
        Stage("gpu", 1.0, after=(0, 1)),
    ]
    return Option(f"fork {first} {second}", stages)


def two_forks() -> OffloadingInstance:
    """Two owners that fork at time 0 over a gpu and a cpu that they share; no deadlines."""
    options = [fork(2.0, 1.0), fork(1.0, 4.0)]
    return OffloadingInstance.from_tasks(
        [Resource("gpu"), Resource("cpu")],
        [Task(0.0, options, owner="a"), Task(0.0, options, owner="b")],
    )


def test_an_option_behind_the_cheapest_is_found_when_prices_turn() -> None:
    """At no price the first fork costs 2 + 1 = 3 s. A price of 1 on the gpu until 2^31 ns (2.147 s)
    charges it 2 + 0.147 s more; waiting costs as much as it saves. The second costs 4 + 1 and pays
    for its gpu stage of 1 s, which has slack until 4 s: nothing, when it starts after 2.147 s.
    """
    oracle = Oracle(two_forks(), 31)
    prices = np.zeros(oracle.n_rows)
    priced = oracle.price(prices, root_branch(oracle.instance))
    assert priced.value.tolist() == [3 * NS, 3 * NS]
    prices[oracle.rows[0]] = 1.0
    priced = oracle.price(prices, root_branch(oracle.instance))
    assert priced.value == pytest.approx([5 * NS, 5 * NS])
    assert priced.choice.tolist() == [1, 3]


@pytest.mark.parametrize("seed", range(12))
def test_time_may_be_priced_until_any_moment(seed: int) -> None:
    """Whatever the moment, prices prove at most the optimum, and never no plan where one exists."""
    instance = tiny_instance(seed, dag=True, down=False, max_tasks=3)
    least, _ = brute_force(instance)
    rng = np.random.default_rng(seed)
    for share in (0.0, 0.3, 0.7, 1.0):
        until = max(int(instance.release_ns.max()), int(share * horizon_ns(instance)))
        if priced_until(instance, until) != until:
            continue  # somebody has a resource to itself
        oracle = Oracle(instance, 27, until=until)
        prices = random_prices(rng, oracle)
        priced = oracle.price(prices, root_branch(instance))
        value = oracle.safe(prices, oracle.dual_value(prices, priced), priced)
        assert value <= least * 1e9


def test_time_is_priced_until_the_first_schedule_ends() -> None:
    """Both forks on the gpu end at 2 + 2 + 1 + 1 = 6 s; all services together would end at 14 s."""
    instance = two_forks()
    assert horizon_ns(instance) == (1 + 4 + 1) * 2 * NS
    assert priced_until(instance, 6 * NS) == 6 * NS
    result = solve_plans(instance, gap=0.0)
    assert result.termination == "optimal"
    assert result.objective == pytest.approx(brute_force(instance)[0])


@pytest.mark.parametrize("seed", range(20))
def test_proofs_of_shared_graphs_hold(seed: int, tmp_path: Path) -> None:
    """The trusted wing, which reads the same floors in whole numbers, accepts every proof."""
    result = solve_plans(tiny_instance(seed, dag=True, down=False), time_limit=1.0, gap=0.0)
    if result.schedule is not None:
        verify.save(tmp_path / "proof.json", result)
        assert verify.verify(tmp_path / "proof.json").ok


@pytest.mark.parametrize("seed", range(20))
def test_search_over_graphs_says_what_the_replay_says(seed: int) -> None:
    """Scores are those of the replay, and a descent never ends above its start."""
    instance = tiny_instance(seed, dag=True, down=False)
    search = GraphSearch(instance, never())
    everything = candidates(instance)
    rng = np.random.default_rng(seed)
    choice = np.array([rng.integers(-1, n) for n in np.diff(instance.option_ptr)])
    cost = replay(instance, choice).cost_s
    finite = np.isfinite(cost)
    assert search.score(choice).forbidden == (~finite).sum()
    assert search.score(choice).total == pytest.approx(cost[finite].sum() * 1e9, abs=1e-3)
    best = search.descend(choice, everything.movable, everything)
    assert search.score(best) <= search.score(choice)
    kicked = search.kick(best, everything.movable, everything, rng)
    assert len(kicked) == instance.n_tasks


def test_forced_options_cost_their_floor_where_that_is_enough() -> None:
    """The floor of the second fork is 5 s; without prices, where 4 s are enough, that is it."""
    instance = two_forks()
    oracle = Oracle(instance, 31)
    zero = np.zeros(oracle.n_rows)
    least, cost = oracle.forced(zero, root_branch(instance), 0, 4.0 * NS)
    assert least == 3 * NS
    assert cost.tolist() == [3 * NS, 5 * NS]
