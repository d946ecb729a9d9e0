"""Greedy teachers: each reward as a policy, and what looking ahead is worth."""

from __future__ import annotations

import numpy as np
import pytest

from learning.offloading.rewards import rewards
from learning.offloading.rewards.lacs import Lacs
from learning.offloading.rewards.teachers import REWARDS, GreedyTeacher, Remembered, make_reward
from mecopt.offloading.policies import by_name as policies
from mecopt.offloading.policies.protocol import Policy
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm

SEEDS = range(1000, 1006)


def mean_cost_s(policy: Policy, preset: str = "busy") -> float:
    return float(
        np.mean([rollout(comllm.generate(preset, seed), policy).mean_cost_s for seed in SEEDS])
    )


def test_without_impact_the_teacher_is_the_one_step_oracle():
    """lambda = 0: every decision that costs less than the drop agrees."""
    x = comllm.generate("busy", 0, slots=40)
    teacher = GreedyTeacher(make_reward("lacs-lambda0"))
    oracle = policies.make("one-step-oracle-drop")
    assert np.array_equal(rollout(x, teacher).choice, rollout(x, oracle).choice)


def test_looking_two_slots_apart_beats_one_step_and_all_at_once_does_not():
    one_step = mean_cost_s(policies.make("one-step-oracle"))
    apart = mean_cost_s(GreedyTeacher(Lacs()))
    at_once = mean_cost_s(GreedyTeacher(Lacs(delay_slots=0.0, spacing_slots=0.0)))
    assert apart < 0.99 * one_step
    assert at_once > one_step


def test_a_late_option_is_never_preferred_to_an_equal_drop():
    """On tasks of 30 Mbit nothing ends within 10 slots: everything is dropped."""
    x = comllm.generate("paper", 0, task_mbit=(30.0, 31.0), slots=5)
    assert np.all(rollout(x, GreedyTeacher(Lacs())).choice == -1)


def test_every_reward_has_a_teacher():
    x = comllm.generate("paper", 0, users=3, servers=2, slots=6)
    for name in REWARDS:
        teacher = GreedyTeacher(make_reward(name))
        assert teacher.name == f"greedy-{name}"
        assert rollout(x, teacher).mean_cost_s > 0
    with pytest.raises(ValueError, match="reward: unknown 'luck'"):
        make_reward("luck")


def test_a_remembered_reward_is_worked_out_once_for_a_state():
    """Teacher and collection ask about the same observations: as many calls as states."""

    class Counting(Lacs):
        calls = 0

        def cost_slots(self, observation):
            self.calls += 1
            return super().cost_slots(observation)

    x = comllm.generate("busy", 0, slots=10)
    counting = Counting()
    shared = Remembered(counting)
    states, cost = rewards.collect([x], shared, GreedyTeacher(shared))
    assert counting.calls == len(states) == x.n_tasks
    assert np.array_equal(cost, rewards.collect([x], Lacs(), GreedyTeacher(Lacs()))[1])
