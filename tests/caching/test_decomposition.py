"""Plan decomposition of caching: bounds below every plan, replayed schedules, telling prices."""

from __future__ import annotations

import numpy as np
import pytest

import formulations
from formulations.caching.blocks import build, choice_places, to_choices
from formulations.caching.coupling import Coupling
from formulations.caching.oracle import LinkOracle, Pricer, RowOracle
from formulations.caching.search import Search
from formulations.caching.windows import state_of, total_cost
from mecopt.caching import CachingInstance, Pair, replay
from mecopt.caching.policies.simple import Myopic
from mecopt.caching.rollout import rollout
from mecopt.caching.scenarios import t2drl as caching
from mecopt.result import BoundKind, Termination
from tests.support.tiny_caching import KINDS, brute_force, tiny_instance

SMALL = {"agents": 6, "servers": 2, "slots": 12}


def two_models(budget_j: float) -> CachingInstance:
    """Two pairs of which one fits, one slot; warm from the first request on.

    Edge costs nothing but accuracy 1 x 0.5 / (1 x 0.5) = 1 a request; the cloud 4 (a) and 3 (b).
    """
    pairs = [
        Pair(
            name,
            memory_gb=1,
            energy_j=10,
            thoughts=1,
            accuracy=0.5,
            cloud_cost=cloud,
            vanish=0,
            kappa_max=1,
            beta=float(np.exp(-0.5)),
        )  # fmt: skip
        for name, cloud in (("a", 4.0), ("b", 3.0))
    ]
    return CachingInstance.from_pairs(
        [[[1], [1]]], pairs, capacity_gb=[1], energy_budget_j=[budget_j]
    )


def test_the_pair_that_saves_more_is_resident() -> None:
    """a at the edge: 2.5 x 0.5 / 0.5 = 2.5, b in the cloud: 3. The other way: 2.5 + 4."""
    result = formulations.solve(two_models(100), time_limit=60)
    assert result.objective == pytest.approx(5.5)
    assert result.bound == pytest.approx(5.5)
    assert result.termination is Termination.OPTIMAL
    assert result.bound_kind is BoundKind.CERTIFIED
    assert result.schedule is not None
    assert result.schedule.a[0, :, 0].tolist() == [True, False]


def test_without_energy_everything_goes_to_the_cloud() -> None:
    """No choice serves a request."""
    result = formulations.solve(two_models(0), time_limit=60)
    assert result.objective == pytest.approx(7.0)
    assert result.bound == pytest.approx(7.0)


def test_memory_has_a_price_where_it_is_short() -> None:
    """b would save 3 - 2.5 = 0.5 with a GB more: prices per GB lie between that and a's 1.5."""
    prices = formulations.solve(two_models(100), time_limit=60).prices
    assert 0.4e-3 <= prices.memory[0, 0] <= 1.6e-3
    table = prices.table()
    assert list(table.columns) == ["server", "slot", "memory_per_gb", "energy_per_kj"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_interval_holds_the_optimum(kind: str, seed: int) -> None:
    """Brute force lies in it, the objective is the replay of the decision.

    One server is solved to optimality however long that takes; coupled ones may keep a gap.
    """
    x = tiny_instance(seed, **KINDS[kind])
    best = brute_force(x).objective
    limit = 600 if x.coupling is None else 0.7
    result = formulations.solve(x, time_limit=limit, gap=1e-6, seed=seed)
    assert result.bound <= best + 1e-9
    assert result.objective >= best - 1e-9
    assert result.schedule is not None
    again = replay(x, result.schedule.a, result.schedule.flow)
    assert again.objective == result.objective
    if x.coupling is None:
        assert result.objective == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("preset", ["ten", "backhaul", "forwarding"])
@pytest.mark.parametrize("seed", range(3))
def test_any_prices_bound_every_plan(preset: str, seed: int) -> None:
    """Random prices, of either relaxation, against the myopic plan."""
    x = caching.generate(preset, seed, **SMALL)
    cost = rollout(x, Myopic()).objective
    blocks = build(x)
    pricer, coupling = Pricer(blocks), Coupling(blocks)
    rng = np.random.default_rng(seed)
    coupled = np.minimum(rng.exponential(size=len(coupling.capacity)), coupling.upper)
    rows = RowOracle(blocks, pricer, coupling)
    prices = np.concatenate([rng.exponential(size=2 * rows.n_rows), coupled])
    assert rows.dual_value(prices, rows.price(prices)) <= cost
    links = LinkOracle(blocks, pricer, coupling)
    prices = np.concatenate([rng.normal(size=blocks.n_choices), coupled])
    assert links.dual_value(prices, links.price(prices)) <= cost


@pytest.mark.parametrize("preset", ["ten", "backhaul", "forwarding"])
def test_links_start_where_rows_end(preset: str) -> None:
    """At prices of memory and energy alone, slot blocks can only raise the bound."""
    x = caching.generate(preset, 1, **SMALL)
    blocks = build(x)
    pricer, coupling = Pricer(blocks), Coupling(blocks)
    rows, links = (kind(blocks, pricer, coupling) for kind in (RowOracle, LinkOracle))
    rng = np.random.default_rng(0)
    prices = rng.exponential(size=len(rows.capacity))
    prices[2 * rows.n_rows :] = np.minimum(prices[2 * rows.n_rows :], coupling.upper)
    low = rows.dual_value(prices, rows.price(prices))
    same = np.concatenate([rows.charge(prices), prices[2 * rows.n_rows :]])
    assert links.dual_value(same, links.price(same)) >= low - 1e-9


@pytest.mark.parametrize("preset", ["ten", "backhaul", "forwarding"])
def test_search_keeps_its_books(preset: str) -> None:
    """What annealing says it costs is what the core's replay finds, couplings included."""
    x = caching.generate(preset, 2, **SMALL)
    start = rollout(x, Myopic())
    blocks = build(x)
    flow = np.ascontiguousarray(np.moveaxis(start.flow, 1, -1).reshape(-1, 3))
    search = Search(blocks, to_choices(start.a, start.x), flow, seed=5)
    assert search.objective == pytest.approx(start.objective)
    search.run(0.3, np.inf, 0.0, heat=0.3)
    assert search.objective < start.objective
    shape = (x.n_servers, x.n_pairs, x.n_slots)
    plan = replay(
        x,
        (search.picked > 0).reshape(shape),
        np.moveaxis(search.flow.reshape(*shape, 3), -1, 1),
    )
    assert plan.objective == pytest.approx(search.objective)
    state = state_of(blocks, search.picked, search.flow)
    assert total_cost(blocks, state) == pytest.approx(search.objective)
    assert (state.memory_left >= 0).all()
    assert (state.energy_left >= 0).all()


def test_forwarding_reaches_the_neighbours_requests() -> None:
    """A choice may serve what is born next door, and pays the hop."""
    x = caching.generate("forwarding", 0, agents=2, servers=3, slots=4)
    blocks = build(x)
    place, served = choice_places(blocks)
    most = np.zeros(len(blocks.first) - 1, dtype=np.int64)
    np.maximum.at(most, place, served)
    near = x.requests.copy()
    near[1:] += x.requests[:-1]
    near[:-1] += x.requests[1:]
    assert (most <= near.ravel()).all()
    assert (most > x.requests.ravel()).any()


def test_ten_is_closed() -> None:
    """A shortened `ten` to 1e-4, well below the myopic policy, with progress recorded."""
    x = caching.generate("ten", 3, servers=1, slots=30)
    result = formulations.solve(x, time_limit=600)
    assert result.gap <= 1e-4
    assert result.termination is Termination.OPTIMAL
    assert result.objective < rollout(x, Myopic()).objective
    assert result.progress.bound.is_monotonic_increasing
    assert result.progress.objective.is_monotonic_decreasing
    assert result.method == "plans"


def test_time_is_up_at_once() -> None:
    """Without time the myopic plan and a valid bound are returned."""
    x = caching.generate("ten", 0, **SMALL)
    result = formulations.solve(x, time_limit=0)
    assert result.termination is Termination.TIME_LIMIT
    assert result.bound <= result.objective == rollout(x, Myopic()).objective
