"""[shared]: users alone plus what they give up for sharing servers, never above the best rule."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from formulations.online import exact, regret_kernel, servers, values
from formulations.online.episodes import Episode
from formulations.online.route import bound_of, online_bound
from formulations.online.tasks import System, Tasks, finite_system
from formulations.online.values import Grid
from mecopt.offloading.scenarios import comllm
from tests.support.tiny_online import tiny_system


def world_of(system: System, kinds: np.ndarray) -> Episode:
    """The world in which user u releases a task of type ``kinds[t, u]`` in slot t, -1 for none."""
    tasks = system.draw(1, np.random.default_rng(0))
    arrived = np.full(kinds.shape, -1)
    arrived[kinds >= 0] = np.arange((kinds >= 0).sum())
    of = kinds[kinds >= 0]
    return Episode(arrived, tasks.upload[of], tasks.compute[of], tasks.local[of])


def solved(system: System, grid: Grid = Grid(8, 8)) -> values.Values:  # noqa: B008
    tasks = values.sampled(system, 1, np.random.default_rng(0))
    return values.solve(system, tasks, grid, keep=True)


def expected_bound(system: System, of: values.Values, evaluations: int = 8) -> float:
    """[shared] with every world in it, weighted with its probability: no sampling error."""
    return of.bound_slots + sum(
        chance * servers.least_regret(of, world, evaluations)
        for chance, world, _ in exact.worlds(system)
    )


def test_two_users_at_one_server_by_hand():
    """Both upload 1 and compute 1/2; one waits 1/2 (or goes local, 2 for 1.5): 3 + 1/2."""
    tasks = Tasks([1.0], [[1.0]], [[0.5]], [2.0])
    system = finite_system(
        tasks, users=2, slots=1, arrival_probability=1.0, deadline_slots=2, drop_cost_slots=5
    )
    found = expected_bound(system, solved(system), 100)
    assert found == pytest.approx(3.5, abs=0.05)
    assert found <= exact.best_cost_slots(system) + 1e-9


def test_never_above_the_best_online_rule():
    """200 random systems, every world of each: no sampling error, so no exception at all."""
    gained = []
    for seed in range(200):
        system = tiny_system(3 * seed + 1)  # one type of task: 64 worlds
        of, best = solved(system), exact.best_cost_slots(system)
        found = expected_bound(system, of, 4)
        assert of.bound_slots - 1e-9 <= found <= best + 1e-9, seed
        gained.append((found - of.bound_slots) / max(best - of.bound_slots, 1e-9))
    assert np.mean(gained) > 0.2  # of what users alone leave


def test_a_wrong_penalty_is_caught():
    """Tables that are too low after the first slot make penalties whose mean is not zero.

    The bound then exceeds what the best rule costs on some system: the test above can fail.
    """
    caught = 0
    for seed in range(8):
        system = tiny_system(3 * seed + 1)
        of = solved(system)
        of.tables[1:] *= 0.5
        of.tables[1:-1, 0, 0] -= 1.0
        caught += expected_bound(system, of, 4) > exact.best_cost_slots(system) + 1e-6
    assert caught


def test_a_known_world_is_bounded_by_every_schedule_in_it():
    """The dual at random prices is below the least regret, found by trying all decisions."""
    rng = np.random.default_rng(3)
    for seed in range(25):
        system = tiny_system(3 * seed + 1)
        of = solved(system)
        kinds = np.where(rng.random((system.slots, system.users)) < 0.8, 0, -1)
        world = world_of(system, kinds)
        if not len(world.local):
            continue
        oracle = servers.World(of, world)
        least = least_by_enumeration(system, of, kinds)
        for _ in range(5):
            prices = rng.uniform(0, 2, len(oracle.capacity)) * (rng.random() < 0.8)
            assert oracle.dual_value(prices, oracle.price(prices)) <= least + 1e-9


def least_by_enumeration(system: System, of: values.Values, kinds: np.ndarray) -> float:
    """Least cost - luck over all decisions in a world, less users x V_0."""
    from formulations.online.control import luck

    released = [(t, u, kinds[t, u], 0) for t, u in np.argwhere(kinds >= 0)]
    history = np.array(released).T.copy()
    world, best = world_of(system, kinds), np.inf
    for decisions in product(range(system.servers + 2), repeat=len(released)):
        history[3] = decisions
        cost = exact.replayed_cost_slots(system, history)
        choice = np.where(history[3] == system.servers + 1, -1, history[3])
        arrays = (world.arrived, world.upload, world.compute, world.local, choice)
        lucky = luck(of.tables, 8, 8, *arrays, system.drop_cost_slots, system.deadline_slots)
        best = min(best, cost - lucky)
    return best - of.bound_slots


def test_the_best_start_is_found():
    """Against 20,000 starts on a grid: price 3, 0, 1, 0 in buckets of 1/2, service 0.3."""
    until = np.cumsum([0.0, 3.0, 0.0, 1.0, 0.0]) * 0.5
    for first in (0.0, 0.1, 0.45, 0.9, 1.3):
        begin, found = regret_kernel.best_start(until, 0.5, first, 2.0, 0.3)
        starts = np.linspace(first, 2.0, 20_001)
        every = [
            s + regret_kernel.paid(until, s + 0.3, 0.5) - regret_kernel.paid(until, s, 0.5)
            for s in starts
        ]
        assert found == pytest.approx(min(every), abs=2e-3)
        assert found <= min(every) + 1e-12
        assert begin >= first


def test_few_labels_stay_valid(monkeypatch):
    """With room for three labels a slot the bound is lower, or the same."""
    system = tiny_system(4)
    world = world_of(system, np.zeros((system.slots, system.users), dtype=int))
    of = solved(system)
    whole = servers.least_regret(of, world)
    monkeypatch.setattr(servers, "_MOST", 3)
    assert servers.least_regret(of, world) <= whole + 1e-9


def test_sharing_servers_raises_the_bound():
    """On slow servers by about 1 %; users alone is the same figure without it."""
    instance = comllm.generate("slow-servers", 0, slots=30)
    small = {"replicates": 3, "samples": 16, "grid": Grid(16, 8)}
    shared = online_bound(instance, **small)
    alone = online_bound(instance, method="users-alone", **small)
    assert (shared.sample_slots >= alone.sample_slots - 1e-9).all()
    assert shared.estimate_slots > 1.002 * alone.estimate_slots
    assert shared.method == "users-and-servers"
    assert shared.worlds == 3


def test_equal_seeds_give_equal_bounds():
    system = tiny_system(2)
    one, two = (bound_of(system, replicates=2, grid=Grid(8, 8)) for _ in range(2))
    np.testing.assert_array_equal(one.sample_slots, two.sample_slots)


def test_unknown_method():
    with pytest.raises(ValueError, match="method: unknown 'magic'"):
        online_bound(comllm.generate("paper", 0, slots=3), method="magic")
