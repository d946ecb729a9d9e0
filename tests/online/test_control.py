"""The luck of an episode has mean zero under every rule that cannot see the future."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from formulations.online import values
from formulations.online.control import control_for, luck
from formulations.online.values import Grid
from mecopt.offloading.policies.by_name import POLICIES
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm
from tests.support.tiny_online import tiny_system


def mean_luck(system, table, decide) -> float:
    """Over every world of one user, weighted with its probability, exactly.

    `decide` is told slot and type of the task, and the decisions so far.
    """
    tasks = system.draw(1, np.random.default_rng(0))
    p, kinds = system.arrival_probability, range(-1, len(tasks.weight))
    total = 0.0
    for world in product(kinds, repeat=system.slots):
        chance = np.prod([1 - p if k < 0 else p * tasks.weight[k] for k in world])
        released = [(t, k) for t, k in enumerate(world) if k >= 0]
        arrived = np.full((system.slots, 1), -1)
        choice: list[int] = []
        for n, (t, kind) in enumerate(released):
            arrived[t, 0] = n
            choice.append(decide(t, kind, tuple(choice)))
        of = [kind for _, kind in released]
        total += chance * luck(
            table,
            8,
            8,
            arrived,
            tasks.upload[of],
            tasks.compute[of],
            tasks.local[of],
            np.array(choice, dtype=np.int64),
            system.drop_cost_slots,
            system.deadline_slots,
        )
    return total


RULES = {
    "always local": lambda t, kind, past: 0,
    "always the server": lambda t, kind, past: 1,
    "by type": lambda t, kind, past: kind - 1,
    "by the past": lambda t, kind, past: (sum(past) + t) % 3 - 1,
}


def tables(system):
    tasks = values.sampled(system, 1, np.random.default_rng(0))
    return values.solve(system, tasks, Grid(8, 8), keep=True).tables


@pytest.mark.parametrize("decide", RULES.values(), ids=RULES.keys())
def test_luck_has_mean_zero(decide):
    """Over all worlds of tiny systems, whatever the rule."""
    for seed in range(6):
        system = tiny_system(seed)
        assert mean_luck(system, tables(system), decide) == pytest.approx(0.0, abs=1e-12)


def test_a_wrong_penalty_is_caught():
    """A table that is 0.1 too high at one stage makes a mean that is not zero."""
    system = tiny_system(0)
    wrong = tables(system)
    wrong[1] += 0.1
    wrong[2] += 0.3
    wrong[0] += 0.1
    assert abs(mean_luck(system, wrong, RULES["by type"])) > 0.05


def test_a_rule_that_sees_the_future_has_other_luck():
    """Dropping the first task exactly when a second one comes is no online rule."""
    system = tiny_system(1)

    def seer_mean() -> float:
        tasks, p = system.draw(1, np.random.default_rng(0)), system.arrival_probability
        table, total = tables(system), 0.0
        for world in product((-1, 0), repeat=system.slots):
            chance = np.prod([1 - p if k < 0 else p for k in world])
            arrived = np.full((system.slots, 1), -1)
            released = [t for t, k in enumerate(world) if k == 0]
            arrived[released, 0] = range(len(released))
            n = len(released)
            choice = np.full(n, 0 if n > 1 else 1)
            arrays = (np.repeat(a, n, axis=0) for a in (tasks.upload, tasks.compute, tasks.local))
            cost = (system.drop_cost_slots, system.deadline_slots)
            total += chance * luck(table, 8, 8, arrived, *arrays, choice, *cost)
        return total

    assert abs(seer_mean()) > 1e-3


def test_luck_is_most_of_what_differs_between_episodes():
    """Costs of one rule on eight episodes of the same servers vary ten times less without it."""
    costs, luckless, control = [], [], None
    for task_seed in range(8):
        instance = comllm.generate("paper", 2, task_seed=task_seed, slots=30)
        schedule = rollout(instance, POLICIES.make("priced", preset="paper", seed=0))
        control = control or control_for(instance)
        costs.append(schedule.objective / 0.1)
        luckless.append(costs[-1] - control.luck_slots(schedule))
    assert np.std(luckless) < np.std(costs) / 10
    assert abs(np.mean(luckless) - control.system.users * control.table[0, 0, 0]) < 3.0
