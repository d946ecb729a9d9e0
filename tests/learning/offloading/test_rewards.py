"""Rewards: what LACS says of a hand-made state, and what no reward may say."""

from __future__ import annotations

import numpy as np
import pytest

from learning.offloading.rewards import rewards
from learning.offloading.rewards.lacs import Lacs
from learning.offloading.rewards.long import DualPriced, HindsightPriced, RolloutValue
from learning.offloading.rewards.user_values import UserValues
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.observation import Observation, OnlineSystem
from mecopt.offloading.replay import replay
from mecopt.offloading.scenarios import comllm

SLOT = {"slot_s": 0.1}


def one_user() -> OffloadingInstance:
    """Two tasks of one user at 0 s: 6 slots locally, or 2 of upload and 1 at server A."""
    resources = [Resource("uplink", kind="uplink"), Resource("cpu", kind="device"), Resource("A")]
    options = [
        Option("local", [Stage("cpu", 0.6)]),
        Option("A", [Stage("uplink", 0.2), Stage("A", 0.1)]),
    ]
    tasks = [Task(0.0, options, deadline_s=0.7, drop_cost_s=2.0) for _ in range(2)]
    return OffloadingInstance.from_tasks(resources, tasks, SLOT)


def second_state(first: int = 1) -> Observation:
    """The second task's state after the first chose an option."""
    system = OnlineSystem(one_user())
    system.advance(0)
    system.commit(0, first)
    system.advance(1)
    return system.observe(1)


def lacs(**changes: object) -> Lacs:
    """LACS whose sampled tasks are as large as the current one, so that it can be worked out."""
    return Lacs(**{"size_range": (1.0, 1.0), **changes})


def test_lacs_of_a_state_worked_out():
    """Task 0 uploads until slot 2 and leaves A at 3. Task 1: local 6, A 2 + 2 + 1 = 5, drop 20.

    One sampled task of the same size arrives at slot 1. After local: the uplink is free at 2, A
    ends at 5, latency 4. After A: the uplink is free at 4, A ends at 7, latency 6 (local 6, not
    less). After the drop: 4.
    """
    reward = lacs(samples=1, weight=0.5, delay_slots=1.0)
    state = second_state()
    reward.reset(state.instance)
    assert reward.cost_slots(state) == pytest.approx([6 + 0.5 * 4, 5 + 0.5 * 6, 20 + 0.5 * 4])


def test_sampled_tasks_queue_behind_each_other_or_meet_the_state_alone():
    """Two sampled tasks at slot 1 after the drop: alone each costs 4; in a queue the second would
    wait for the uplink until 4 and cost 6, as it does locally."""
    state = second_state()
    for queued, impact in ((False, 4 + 4), (True, 4 + 6)):
        reward = lacs(samples=2, weight=1.0, delay_slots=1.0, spacing_slots=0.0, queued=queued)
        reward.reset(state.instance)
        assert reward.cost_slots(state)[-1] == pytest.approx(20 + impact)


def test_spacing_moves_later_releases():
    """After the drop, releases at slots 1 and 3: the first runs on A until 5 (4 slots), its upload
    ends at 4, so the second ends at 7 (4 slots)."""
    reward = lacs(samples=2, weight=1.0, delay_slots=1.0, spacing_slots=2.0)
    state = second_state()
    reward.reset(state.instance)
    assert reward.cost_slots(state)[-1] == pytest.approx(20 + 4 + 4)


def test_the_mean_is_a_kth_of_the_sum():
    state = second_state()
    costs = []
    for average, weight in ((False, 0.1), (True, 0.3)):
        reward = Lacs(samples=3, average=average, weight=weight)
        reward.reset(state.instance)
        costs.append(reward.cost_slots(state))
    assert costs[0] == pytest.approx(costs[1])


def test_without_impact_it_is_the_one_step_cost():
    """lambda = 0 is the published ablation: local 6, A 5, drop 20."""
    reward = Lacs(weight=0.0)
    state = second_state()
    reward.reset(state.instance)
    assert reward.cost_slots(state) == pytest.approx([6, 5, 20])


def test_a_late_option_costs_the_drop():
    """Behind a local task the device is free at slot 6: local would end at 12, after 7 slots."""
    state = second_state(first=0)
    reward = Lacs(weight=0.0)
    reward.reset(state.instance)
    assert reward.cost_slots(state) == pytest.approx([20, 3, 20])


def test_impact_agrees_with_a_replay_of_the_instance_it_imagines():
    """Fuzz: a sampled task that is not queued pays what a real task in its place would pay under
    the best option, decisions before it replayed."""
    rng = np.random.default_rng(5)
    for seed in range(4):
        x = comllm.generate("busy", seed, users=2, servers=2, slots=12)
        system = OnlineSystem(x)
        reward = lacs(samples=1, weight=1.0, delay_slots=1.5, queued=False)
        reward.reset(x)
        for k in range(x.n_tasks):
            system.advance(k)
            state = system.observe(k)
            own = rewards.own_cost_slots(state, 1e8)
            found = reward.cost_slots(state) - own
            decided = state.choice[:k].tolist()
            assert found == pytest.approx(_imagined(x, k, decided, delay_s=0.15), abs=1e-6)
            system.commit(k, int(rng.integers(-1, 3)))


def _imagined(x: OffloadingInstance, k: int, decided: list[int], delay_s: float) -> list[float]:
    """Least replayed cost (slots) of a copy of task k released later, per option of task k."""
    tasks = [_task(x, j, 0.0) for j in range(k + 1)] + [_task(x, k, delay_s)]
    resources = [
        Resource(n, kind=kind) for n, kind in zip(x.resource_names, x.resource_kinds, strict=True)
    ]
    y = OffloadingInstance.from_tasks(resources, tasks)
    best = []
    for option in [0, 1, 2, -1]:
        ends = [replay(y, [*decided, option, o]).cost_s[-1] * 10 for o in (0, 1, 2, -1)]
        best.append(min(ends))
    return best


def _task(x: OffloadingInstance, j: int, later_s: float) -> Task:
    options = []
    for i, o in enumerate(x.options_of(j)):
        stages = [
            Stage(x.resource_names[x.stage_resource[s]], x.service_ns[s] * 1e-9)
            for s in range(x.stage_ptr[o], x.stage_ptr[o + 1])
        ]
        options.append(Option(f"option {i}", stages))
    release = x.release_ns[j] * 1e-9 + later_s
    return Task(release, options, deadline_s=1.0, drop_cost_s=2.0)


def test_equal_seeds_equal_rewards():
    x = comllm.generate("paper", 3, slots=8)
    first, second, other = (rewards.collect([x], Lacs(seed=seed))[1] for seed in (0, 0, 1))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_collected_rows_follow_the_order_of_states_and_options():
    """Two worlds with 2 and 3 servers: the narrow rows are padded before the drop."""
    worlds = [comllm.generate("paper", s, servers=2 + s, slots=5) for s in (0, 1)]
    states, cost = rewards.collect(worlds, Lacs(weight=0.0))
    assert cost.shape == (len(states), 5)
    assert np.array_equal(np.isfinite(cost[:, 1:-1]), states.present)
    assert cost == pytest.approx(states.one_step_cost_slots)


def test_the_value_of_a_rollout_keeps_differences_and_starts_at_the_one_step_best():
    x = comllm.generate("busy", 0, slots=10)
    reward = RolloutValue(samples=4, horizon_s=0.5)
    _, cost = rewards.collect([x], reward)
    states, own = rewards.collect([x], Lacs(weight=0.0))
    assert cost.min(axis=1) == pytest.approx(own.min(axis=1))
    assert np.ptp(cost[:, :-1], axis=1).max() > 0


def test_the_value_of_queues_is_least_after_a_drop():
    """A drop leaves the queues as they are, an option longer ones: its impact is not smaller."""
    x = comllm.generate("busy", 0, slots=10)
    _, cost = rewards.collect([x], UserValues())
    _, own = rewards.collect([x], Lacs(weight=0.0))
    impact = cost - own
    assert np.all(impact >= impact[:, -1:] - 1e-9)
    assert np.ptp(impact, axis=1).max() > 0.1


def test_dual_prices_charge_the_seconds_of_every_stage():
    """Priced at 0.5 per uplink second and 2 per server second: A costs 5 + 0.5 * 2 + 2 * 1."""
    reward = DualPriced({"uplink": 0.5, "server": 2.0})
    state = second_state()
    reward.reset(state.instance)
    assert reward.cost_slots(state) == pytest.approx([6, 5 + 1 + 2, 20])


def test_hindsight_prices_charge_only_contended_time():
    """The charge is never negative, and a drop is never charged."""
    x = comllm.generate("busy", 1, users=3, servers=2, slots=10)
    _, cost = rewards.collect([x], HindsightPriced(time_limit_s=60.0))
    _, own = rewards.collect([x], Lacs(weight=0.0))
    assert np.all(cost >= own - 1e-9)
    assert np.any(cost > own + 1e-3)
    assert np.array_equal(cost[:, -1], own[:, -1])


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_a_reward_that_is_no_number_is_refused(bad):
    class Broken(Lacs):
        def cost_slots(self, observation):
            cost = super().cost_slots(observation)
            cost[1] = bad
            return cost

    with pytest.raises(ValueError, match="cost of option 1 of state 0 is"):
        rewards.collect([comllm.generate("paper", 0, slots=3)], Broken(name="broken"))


def test_nothing_to_learn_from_is_refused():
    with pytest.raises(ValueError, match="parts: is empty"):
        rewards.collect([], Lacs())
    with pytest.raises(ValueError, match=r"shape \(0, 3\)"):
        rewards.check_costs(np.empty((0, 3)))
    with pytest.raises(ValueError, match="state 1 has no possible option"):
        rewards.check_costs(np.array([[1.0, 2.0], [np.inf, np.inf]]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": 0}, "samples = 0"),
        ({"weight": -1.0}, "weight = -1.0"),
        ({"size_range": (0.0, 1.0)}, "size_range"),
        ({"spacing_slots": np.nan}, "spacing_slots = nan"),
        ({"horizon_slots": 0.0}, "horizon_slots = 0.0"),
    ],
)
def test_parameters_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Lacs(**changes)


def test_an_answer_earns_minus_its_cost_and_nonsense_minus_25():
    options, cost = ["local", "s03", "s07", "drop"], [4.5, 2.25, np.inf, 20.0]
    earned = [rewards.reward_of_answer(a, options, cost) for a in ("s03", " drop", "s07", "hm")]
    assert earned == [-2.25, -20.0, -25.0, -25.0]


def test_nonsense_is_worse_than_every_option_where_everything_is_late():
    """With impact a late option may cost more than 25: nonsense costs 5 more than the drop, and
    more than the dearest option where a drop is forbidden."""
    assert rewards.unparsable_cost_slots([33.0, 34.0, 30.0]) == 35.0
    assert rewards.unparsable_cost_slots([7.0, 9.0, np.inf]) == 14.0
