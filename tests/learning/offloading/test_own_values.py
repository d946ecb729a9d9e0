"""Values over the episode's own servers: what the tables say, and what the rule does with it."""

from __future__ import annotations

import numpy as np
import pytest

from formulations.online import values
from formulations.online.tasks import Tasks, finite_system
from formulations.online.values import Grid
from learning.offloading.rewards import own_values
from learning.offloading.rewards.own_values import OwnValues
from learning.offloading.rewards.user_values import UserValues
from mecopt.offloading.observation import OnlineSystem
from mecopt.offloading.policies.simple import OneStepOracle
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm


def test_tables_are_read_between_cells():
    """A plane 2 u + 3 d is itself everywhere; a slot passes first; beyond the table it is flat."""
    grid = Grid(4, 2)
    u, d = np.meshgrid(np.arange(9) / 4, np.arange(5) / 2, indexing="ij")
    table = 2 * u + 3 * d
    assert own_values.read(table, grid, 1.3, 1.7) == pytest.approx(2 * 0.3 + 3 * 0.7)
    assert own_values.read(table, grid, 0.4, 1.0) == pytest.approx(0.0)
    assert own_values.read(table, grid, 99.0, 1.0) == pytest.approx(4.0)
    found = own_values.read(table, grid, np.array([1.5, 2.0]), 1.0)
    np.testing.assert_allclose(found, [1.0, 2.0])


def test_prices_are_zero_where_nobody_waits_and_positive_where_all_do():
    """One user never meets anybody; six users with half a slot each fill one server."""
    from formulations.online.servers import mean_prices

    tasks = Tasks([1.0], [[0.5]], [[0.5]], [4.0])
    rng = np.random.default_rng(0)
    prices = []
    for users in (1, 6):
        system = finite_system(
            tasks, users=users, slots=4, arrival_probability=1.0, deadline_slots=4,
            drop_cost_slots=9,
        )  # fmt: skip
        solved = values.solve(system, values.sampled(system, 1, rng), Grid(2, 2), keep=True)
        prices.append(mean_prices(solved, rng, 1)[0])
    assert prices[0] == 0.0
    assert prices[1] > 0.1


def test_costs_less_than_averaged_speeds_where_servers_differ():
    """Eight episodes of very slow servers: about 1 % less than `user-values`, and than one step."""
    cost = {"own": 0.0, "averaged": 0.0, "one step": 0.0}
    rules = {"own": OwnValues(), "averaged": UserValues(), "one step": OneStepOracle()}
    for task_seed in range(8):
        instance = comllm.generate("very-slow-servers", 1, task_seed=task_seed, slots=40)
        for name, rule in rules.items():
            cost[name] += rollout(instance, rule).mean_cost_s
    assert cost["own"] < cost["averaged"]
    assert cost["own"] < cost["one step"]


def test_needs_an_episode_and_a_reset():
    instance = comllm.generate("paper", 0, slots=2)
    system = OnlineSystem(instance)
    system.advance(0)
    with pytest.raises(RuntimeError, match="reset"):
        OwnValues().act(system.observe(0))
