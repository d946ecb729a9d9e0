"""Rollout over values: its sums are those of the rule it improves, and of the tables."""

from __future__ import annotations

import numpy as np
import pytest

from learning.offloading.rewards import own_values
from learning.offloading.rewards.own_values import OwnValues
from learning.offloading.rewards.values_lookahead import ValuesLookahead
from mecopt.offloading.observation import OnlineSystem
from mecopt.offloading.policies import guide, worlds
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm


def first_observation(instance):
    system = OnlineSystem(instance)
    system.advance(0)
    return system.observe(0)


@pytest.mark.parametrize("preset", ["busy", "very-slow-servers"])
def test_the_base_policy_is_own_values(preset):
    """With the real tasks as its one future and the whole episode as its horizon, the sum of the
    option that `own-values` takes first is the cost of all of its decisions: nothing is left."""
    for task_seed in range(4):
        x = comllm.generate(preset, 3, task_seed=task_seed, slots=12)
        base = rollout(x, OwnValues())
        rule = ValuesLookahead(1, 100.0, futures=lambda x, n: [x])
        rule.reset(x)
        sums = rule.candidate_costs(first_observation(x))
        choice = base.choice[0]
        assert sums[choice] == pytest.approx(base.objective, abs=1e-9)


def test_without_a_future_it_is_own_values_without_prices():
    """A horizon in which nobody else comes: cost of the task and values one slot later, as the
    tables of `own-values` say. What a server's time costs others is not in them."""
    x = comllm.generate("busy", 5, slots=20, users=1)
    first = first_observation(x)
    rule = ValuesLookahead(1, 1e-9, futures=lambda x, n: [x])
    rule.reset(x)
    known = OwnValues()
    known.reset(x)
    known._price = np.zeros_like(known._price)
    sums, expected = rule.candidate_costs(first) / 0.1, known.cost_slots(first)
    np.testing.assert_allclose(sums - sums[0], expected - expected[0], atol=1e-7)


def test_an_option_leaves_waits_and_pays_for_servers():
    """One user, slots of 100 ms, V_2 = 5 u + 7 d slots at waits u, d in slots, one server at a
    price of 3. At 0.1 s (slot 1) the uplink is free in 50 ms.

    To the server, 200 ms up and 300 ms there: the uplink is busy 250 ms, 1.5 slots of it are left
    a slot later, so 5 x 1.5 + 3 x 3 = 16.5 slots. Dropped: nothing is left, 0."""
    x = comllm.generate("paper", 0, users=1, servers=1, slots=3, arrival_probability=1.0)
    u, d = np.meshgrid(np.arange(9) / 2, np.arange(9) / 2, indexing="ij")
    tables = np.stack([0 * u, 0 * u, 5 * u + 7 * d])
    known = guide.guide([x], tables, (2, 2), 100_000_000, np.array([3.0]))
    world = worlds.combine([x])
    option = x.option_ptr[0] + 1
    world.believed[x.stage_ptr[option] :][:2] = [200_000_000, 300_000_000]
    free = np.zeros(int(x.arrays.free_ptr[-1]), dtype=np.int64)
    free[known.uplink[0]] = 150_000_000
    given = (known, world, free, 0)
    found = guide.left_behind(*given, option, 100_000_000)
    assert found == pytest.approx(16.5 * 100_000_000)
    assert guide.left_behind(*given, -1, 100_000_000) == 0.0


def test_tables_are_own_values_own():
    """A second look at an episode solves nothing anew, and its tables are those of `own-values`."""
    x = comllm.generate("paper", 0, slots=5)
    rule, known = ValuesLookahead(1, 0.1), OwnValues()
    rule.reset(x)
    known.reset(x)
    solved, price = own_values.solve(comllm.parameters("paper", slots=5), 0, own_values.RULE)
    np.testing.assert_allclose(rule._guide.tables, solved.tables * 1e8)
    assert known._values is solved
    assert known._price is price
