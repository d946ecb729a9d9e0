"""Decision states: what they hold is what the environment says, in slots."""

from __future__ import annotations

import numpy as np
import pytest

from learning.offloading.states import decision_states as states
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.observation import OnlineSystem
from mecopt.offloading.scenarios import comllm

# Slots of 0.1 s, device 2 GHz, 0.3 Gcycles/Mbit: a 4-Mbit task is 1.2 Gcycles, 0.6 s locally.
META = {
    "slot_s": 0.1,
    "parameters": {
        "device_ghz": 2.0,
        "density_gcycles_per_mbit": 0.3,
        "arrival_probability": 0.25,
        "task_mbit": (3.0, 5.0),
    },
}


def two_tasks() -> OffloadingInstance:
    """Two 4-Mbit tasks of one user at 0 s.

    Server A: 20 Mbps (0.2 s), 12 GHz (0.1 s). Server B: 10 Mbps (0.4 s), 24 GHz (0.05 s).
    """
    resources = [
        Resource("uplink", kind="uplink"),
        Resource("cpu", kind="device"),
        Resource("A"),
        Resource("B"),
    ]
    options = [
        Option("local", [Stage("cpu", 0.6)]),
        Option("A", [Stage("uplink", 0.2), Stage("A", 0.1)]),
        Option("B", [Stage("uplink", 0.4), Stage("B", 0.05)]),
    ]
    tasks = [Task(0.0, options, deadline_s=0.65, drop_cost_s=2.0) for _ in range(2)]
    return OffloadingInstance.from_tasks(resources, tasks, META)


def test_a_state_holds_sizes_speeds_waits_and_load():
    """After task 0 went to A, task 1 waits 2 slots for the uplink. Its upload to A ends at 0.4 s,
    when task 0 has left (0.3 s): no wait there."""
    instance = two_tasks()
    system = OnlineSystem(instance)
    system.advance(0)
    system.commit(0, 1)
    system.advance(1)
    s = states.of(system.observe(1))
    assert len(s) == 1 and s.n_servers == 2
    assert s.size_mbit == pytest.approx([4.0])
    assert s.uplink_wait_slots == pytest.approx([2.0])
    assert s.device_wait_slots == pytest.approx([0.0])
    assert s.server_ghz[0] == pytest.approx([12.0, 24.0])
    assert s.rate_mbps[0] == pytest.approx([20.0, 10.0])
    assert s.wait_slots[0] == pytest.approx([0.0, 0.0])
    assert (s.device_ghz[0], s.density[0], s.arrival_probability[0]) == (2.0, 0.3, 0.25)
    assert (s.mean_size_mbit[0], s.users[0], s.slot_s[0]) == (4.0, 1.0, 0.1)
    assert (s.deadline_slots[0], s.drop_cost_slots[0]) == pytest.approx((6.5, 20.0))
    # Local 6, A 2 + 2 + 1 = 5, B 2 + 4 + 0.5 = 6.5 (the deadline itself is on time), drop 20.
    assert s.one_step_cost_slots[0] == pytest.approx([6.0, 5.0, 6.5, 20.0])


def test_late_options_cost_the_drop_cost_and_absent_servers_are_infinite():
    instance = two_tasks()
    system = OnlineSystem(instance)
    system.advance(0)
    system.commit(0, 2)  # the uplink is busy for 4 slots
    system.advance(1)
    alone = states.of(system.observe(1))
    assert alone.one_step_cost_slots[0] == pytest.approx([6.0, 20.0, 20.0, 20.0])
    other = states.collect([comllm.generate("paper", 0, servers=3, slots=5)])
    both = states.concat([alone, other])
    assert both.n_servers == 3 and not both.present[0, 2]
    assert both.one_step_cost_slots[0] == pytest.approx([6.0, 20.0, 20.0, np.inf, 20.0])
    assert both[0].one_step_cost_slots.tolist() == both.one_step_cost_slots[:1].tolist()


@pytest.mark.parametrize("preset", ["paper", "large", "very-slow-servers"])
def test_one_step_costs_are_those_of_the_environment(preset):
    """Every state of a random trajectory prices its options as the observation does."""
    for observation in states.visit([comllm.generate(preset, 3, slots=25)], "random"):
        s = states.of(observation)
        slot_s = s.slot_s[0]
        expected = [*observation.cost_s / slot_s, observation.drop_cost_s / slot_s]
        assert s.one_step_cost_slots[0] == pytest.approx(expected, abs=1e-6)


def test_collect_draws_states_without_repetition_and_remembers_where_they_come_from():
    instances = [comllm.generate("busy", seed, slots=20) for seed in (5, 6)]
    every = states.collect(instances)
    assert len(every) == sum(x.n_tasks for x in instances)
    assert set(every.preset) == {"busy"} and set(every.seed.tolist()) == {5, 6}
    few = states.collect(instances, per_instance=7, seed=1)
    again = states.collect(instances, per_instance=7, seed=1)
    assert len(few) == 14 and few.task.tolist() == again.task.tolist()
    assert len(set(few.task[:7].tolist())) == 7
    first = np.flatnonzero((every.seed == 5) & np.isin(every.task, few.task[:7]))
    assert few[:7].wait_slots.tolist() == every[first].wait_slots.tolist()


def test_indexing_keeps_order_and_provenance():
    s = states.collect([comllm.generate("paper", 1, slots=10)])
    part = s[np.array([3, 1])]
    assert part.task.tolist() == [3, 1] and part.size_mbit[1] == s.size_mbit[1]
    assert s[-1].task.tolist() == [len(s) - 1]
    with pytest.raises(IndexError, match="state 99"):
        s[99]


def test_the_drop_is_the_option_after_the_last_server():
    assert [states.to_choice(o, 2) for o in range(4)] == [0, 1, 2, -1]


def test_instances_of_another_form_are_refused():
    x = two_tasks()
    bare = OffloadingInstance.from_tasks(
        [Resource("cpu")], [Task(0.0, [Option("a", [Stage("cpu", 1.0)])])]
    )
    system = OnlineSystem(bare)
    system.advance(0)
    with pytest.raises(ValueError, match=r"parameters\['device_ghz'\] is missing"):
        states.of(system.observe(0))
    with pytest.raises(ValueError, match="per_instance = 0"):
        states.collect([x], per_instance=0)
    with pytest.raises(ValueError, match="parts: is empty"):
        states.collect([])
