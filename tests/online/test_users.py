"""The bound of users alone: never above the best online rule, whatever is sampled or rounded."""

from __future__ import annotations

import numpy as np
import pytest

from formulations.online import exact, values
from formulations.online.route import ALONE, bound_of, online_bound
from formulations.online.tasks import System, Tasks, comllm_system, finite_system, shifted_lattice
from formulations.online.values import Grid, Tolls
from mecopt.offloading.replay import replay
from mecopt.offloading.scenarios import comllm
from tests.support.tiny import tiny_instance
from tests.support.tiny_online import instance_of, tiny_system


def lone_user(slots: int, **changes: float) -> Tasks:
    """A task takes 1 slot to upload and 1/2 at the server, or 2 on the device."""
    tasks = Tasks([1.0], [[1.0]], [[0.5]], [2.0])
    numbers = {"users": 1, "arrival_probability": 1.0}
    numbers |= {"deadline_slots": 2.0, "drop_cost_slots": 5.0}
    return finite_system(tasks, slots=slots, **numbers | changes)


def alone(system: System, grid: Grid) -> float:
    """[alone] of a finite system."""
    tasks = values.sampled(system, 1, np.random.default_rng(0))
    return values.solve(system, tasks, grid).bound_slots


def test_a_lone_user_by_hand():
    """A task a slot: the uplink is free again when the next one comes, so each costs 1.5."""
    assert bound_of(lone_user(3), method=ALONE, grid=Grid(2, 2)).estimate_slots == pytest.approx(
        4.5
    )
    assert exact.best_cost_slots(lone_user(3)) == pytest.approx(4.5)


def test_what_is_expected_is_averaged():
    """Probability 1/2 a slot, two slots: 2 x 1/2 x 1.5 = 1.5."""
    system = lone_user(2, arrival_probability=0.5)
    assert bound_of(system, method=ALONE, grid=Grid(2, 2)).estimate_slots == pytest.approx(1.5)


def test_two_users_at_one_server_by_hand():
    """Both at once: alone each costs 1.5, together the second waits 1/2 or stays local (2): 3.5."""
    system = lone_user(1, users=2)
    assert exact.best_cost_slots(system) == pytest.approx(3.5)
    assert bound_of(system, method=ALONE, grid=Grid(2, 2)).estimate_slots == pytest.approx(3.0)


def test_never_above_the_best_online_rule():
    """200 random systems with finitely many tasks: no sampling error, so no exception at all."""
    ratio = []
    for seed in range(200):
        system = tiny_system(seed)
        bound = bound_of(system, method=ALONE, grid=Grid(8, 8))
        assert bound.worlds == 0
        best = exact.best_cost_slots(system)
        assert bound.lower_95_slots <= best * (1 + 1e-12), seed
        ratio.append(bound.estimate_slots / best)
    assert np.mean(ratio) > 0.9  # and it says something
    assert max(ratio) > 1 - 1e-9


def test_any_tolls_are_valid():
    """Prices drawn at random, tolls that end early: still no system whose best rule is cheaper."""
    rng = np.random.default_rng(0)
    for seed in range(60):
        system = tiny_system(seed)
        tasks = values.sampled(system, 1, rng)
        price = rng.uniform(0, 2, system.servers) * (rng.random(system.servers) < 0.7)
        since = system.least_upload_slots
        tolls = Tolls(price, since, since + rng.uniform(0, 4))
        bound = values.solve(system, tasks, Grid(8, 8), tolls).bound_slots
        assert bound <= exact.best_cost_slots(system) + 1e-9, seed


def test_coarser_cells_never_raise_the_bound():
    """Waits are rounded down: 1/8-slot services are exact on 8 cells, and shorter on 4, 2, 1."""
    for seed in range(30):
        found = [alone(tiny_system(seed), Grid(n, n)) for n in (8, 4, 2, 1)]
        assert found == sorted(found, reverse=True)


def test_tolls_help_where_a_server_is_full():
    """Four users who would each like half a slot of one server in the only slot: 2 of 1 slots."""
    tasks = Tasks([1.0], [[0.5]], [[0.5]], [3.0])
    system = finite_system(
        tasks, users=8, slots=2, arrival_probability=1.0, deadline_slots=3, drop_cost_slots=9
    )
    tolled = bound_of(system, method=ALONE, grid=Grid(2, 2))
    assert alone(system, Grid(2, 2)) == pytest.approx(16.0)
    assert tolled.estimate_slots > 18.0
    assert tolled.relaxed[0] == "servers are full on average only"


def test_loads_are_those_of_the_best_decisions():
    """Three certain tasks of 1/2 slot at the server; the last arrives there when tolls end."""
    system = lone_user(3)
    tolls = Tolls(np.array([1e-6]), 1.0, 3.0)
    tasks = values.sampled(system, 1, np.random.default_rng(0))
    solved = values.solve(system, tasks, Grid(2, 2), tolls, keep=True)
    np.testing.assert_allclose(values.loads(solved), [1.0])
    with pytest.raises(ValueError, match="not kept"):
        values.loads(values.solve(system, tasks, Grid(2, 2), tolls))


def test_beaten_servers_change_nothing():
    """The recursion over all servers gives what the recursion without the beaten ones gives."""
    p = comllm.parameters("slow-servers", slots=4)
    system = comllm_system(p, np.linspace(4, 9, 6))
    tasks = values.sampled(system, 16, np.random.default_rng(1))
    price = np.array([0.0, 0.3, 0.0, 0.1, 0.2, 0.4])
    grid = Grid(8, 4)
    kept = values.prepare(tasks[0], price, grid)
    assert kept.n_options.min() < 6
    solved = values.solve(system, tasks, grid, Tolls(price, 0.0, 4.0))
    one_by_one = [
        values.solve(
            system,
            [Tasks(t.weight, t.upload[:, order], t.compute[:, order], t.local) for t in tasks],
            grid,
            Tolls(price[order], 0.0, 4.0),
        ).cost_slots
        for order in ([5, 4, 3, 2, 1, 0], [2, 0, 1, 5, 3, 4])
    ]
    np.testing.assert_allclose(one_by_one, solved.cost_slots, rtol=1e-12)


def test_sampled_tasks_lower_the_bound_on_average():
    """[samples]: 400 solves on two tasks a stage do not lie above one on 2,000 tasks on average."""
    p = comllm.parameters("paper", slots=6, servers=2)
    system = comllm_system(p, np.array([20.0, 40.0]))

    def cost(samples: int, seed: int) -> float:
        tasks = values.sampled(system, samples, np.random.default_rng(seed))
        return values.solve(system, tasks, Grid(16, 8)).cost_slots

    few = np.array([cost(2, seed) for seed in range(400)])
    error = few.std() / 20
    assert few.mean() <= cost(2_000, 0) + 3 * error


def test_lattice_points_are_uniform():
    """Each point by itself: over many shifts its mean is 1/2, and all of them fill the square."""
    rng = np.random.default_rng(0)
    drawn = np.array([shifted_lattice(7, 3, rng) for _ in range(2_000)])
    assert abs(drawn.mean(axis=0) - 0.5).max() < 0.03
    first = np.sort(drawn[0, :, 0])
    np.testing.assert_allclose(np.diff(first), 1 / 7)


def test_knowing_the_future_is_worth_something():
    """Best schedules of known worlds cost no more on average than the best online rule."""
    costs = [
        (exact.clairvoyant_cost_slots(system), exact.best_cost_slots(system))
        for system in map(tiny_system, range(1, 18, 3))
    ]
    assert all(seer <= best + 1e-9 for seer, best in costs)
    assert any(seer < best - 1e-3 for seer, best in costs)
    chances = [chance for chance, _, _ in exact.worlds(tiny_system(1))]
    assert (len(chances), sum(chances)) == (64, pytest.approx(1.0))


def test_the_enumerated_replay_is_the_simulator():
    """Random histories cost in `exact` what the package's replay says of the same decisions."""
    rng = np.random.default_rng(5)
    for seed in range(60):
        system = tiny_system(seed)
        tasks = system.draw(1, rng)
        history = []
        for slot in range(system.slots):
            for user in range(2):
                if rng.random() < 0.8:
                    kind = rng.integers(len(tasks.weight))
                    history.append((slot, user, kind, rng.integers(system.servers + 2)))
        if not history:
            continue
        history = np.array(history).T
        instance = instance_of(system, tasks, history)
        choice = np.where(history[3] == system.servers + 1, -1, history[3])
        expected = replay(instance, choice).objective
        assert exact.replayed_cost_slots(system, history) == pytest.approx(expected, abs=1e-6)


def test_an_episode_is_bounded_over_its_own_servers():
    """The same servers and seed give the same bound, whatever the tasks; others do not."""
    small = {"replicates": 2, "samples": 8, "grid": Grid(8, 4)}
    one, other = (comllm.generate("paper", 3, task_seed=s, slots=6) for s in (0, 1))
    bound = online_bound(one, **small)
    assert bound.content_hash == online_bound(other, **small).content_hash
    assert bound.worlds == 2
    assert bound.provenance["server_seed"] == 3
    assert {"mecopt", "numpy", "numba", "highspy"} == set(bound.provenance["versions"])
    assert bound.expected_tasks == pytest.approx(6 * 6 * 0.3)
    moved = online_bound(comllm.generate("paper", 4, slots=6), **small)
    assert moved.content_hash != bound.content_hash


def test_progress_is_told():
    told = []
    instance = comllm.generate("paper", 0, slots=3)
    online_bound(
        instance,
        replicates=2,
        samples=4,
        grid=Grid(4, 4),
        on_progress=lambda *counts: told.append(counts),
    )
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_what_cannot_be_bounded_is_refused():
    """Each message names the argument."""
    with pytest.raises(ValueError, match="scenario 'tiny' has no generator"):
        online_bound(tiny_instance(0))
    instance = comllm.generate("paper", 0, slots=3)
    with pytest.raises(ValueError, match="replicates = 1"):
        online_bound(instance, replicates=1)
    with pytest.raises(ValueError, match="samples = 0"):
        online_bound(instance, samples=0)
    with pytest.raises(ValueError, match="deadline_slots = inf"):
        online_bound(_endless())
    with pytest.raises(ValueError, match="histories"):
        exact.best_cost_slots(lone_user(40))
    with pytest.raises(ValueError, match="finitely many"):
        exact.best_cost_slots(comllm_system(comllm.parameters(), np.ones(6)))


def _endless():
    """An episode whose parameters say that no deadline ends."""
    from dataclasses import replace

    instance = comllm.generate("paper", 0, slots=3)
    parameters = {**instance.meta["parameters"], "deadline_slots": float("inf")}
    return replace(instance, meta={**instance.meta, "parameters": parameters})
