"""Replay by hand: FIFO, ties, capacity, joins, failures; the two kernels agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mecopt.offloading import events, kernel, status
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.metrics import run_policy
from mecopt.offloading.policies.simple import LeastLoaded, OneStepOracle, OneStepOracleDrop, Random
from mecopt.offloading.replay import replay, rollout, timed_rollout
from mecopt.offloading.status import NEVER
from mecopt.offloading.units import UNLIMITED
from tests.support.tiny import tiny_instance


def one_way(resources: list[Resource], *tasks: tuple[float, list[Stage]], **more: float):
    """Tasks with a single option each."""
    return OffloadingInstance.from_tasks(
        resources, [Task(t, [Option("only", stages)], **more) for t, stages in tasks]
    )


def all_run(instance: OffloadingInstance):
    return replay(instance, np.zeros(instance.n_tasks, dtype=int))


def seconds(times: np.ndarray) -> list[float]:
    return [float("inf") if t >= NEVER else pytest.approx(t * 1e-9) for t in times.tolist()]


def test_uplink_then_server_in_fifo_order():
    """Uplink: task 0 in [0, 2), task 1 in [2, 3). Server A: task 0 in [2, 5), task 1 arrives at 3
    and waits until 5, served in [5, 6). Task 2 reaches A at 2.5 s by its own link, between them:
    [5, 7), so task 1 has [7, 8)."""
    resources = [Resource("uplink"), Resource("own"), Resource("A")]
    instance = one_way(
        resources,
        (0.0, [Stage("uplink", 2.0), Stage("A", 3.0)]),
        (0.0, [Stage("uplink", 1.0), Stage("A", 1.0)]),
        (0.0, [Stage("own", 2.5), Stage("A", 2.0)]),
    )
    schedule = all_run(instance)
    assert seconds(schedule.arrival_ns) == [0, 2, 0, 3, 0, 2.5]
    assert seconds(schedule.start_ns) == [0, 2, 2, 7, 0, 5]
    assert schedule.latency_s.tolist() == pytest.approx([5, 8, 7])
    assert schedule.objective == pytest.approx(20)
    two = replay(instance, [0, 0, -1])  # task 2 dropped: task 1 at A in [5, 6)
    assert two.latency_s[:2].tolist() == pytest.approx([5, 6])


def test_ties_at_a_resource_go_to_the_lower_task():
    """Both reach A at 1 s; task 0 is served first though its uplink is listed last."""
    resources = [Resource("link 1"), Resource("link 0"), Resource("A")]
    instance = one_way(
        resources,
        (0.0, [Stage("link 0", 1.0), Stage("A", 5.0)]),
        (0.0, [Stage("link 1", 1.0), Stage("A", 1.0)]),
    )
    assert all_run(instance).latency_s.tolist() == pytest.approx([6, 7])


def test_an_arrival_by_completion_goes_before_a_release_of_a_later_task():
    """Task 0 reaches A at 1 s from its uplink, task 1 at its release at 1 s: index order."""
    resources = [Resource("uplink"), Resource("A")]
    instance = one_way(
        resources, (0.0, [Stage("uplink", 1.0), Stage("A", 2.0)]), (1.0, [Stage("A", 1.0)])
    )
    assert all_run(instance).latency_s.tolist() == pytest.approx([3, 3])


def test_capacity_two_serves_two_at_once():
    """Services 3, 1, 1, 1 at 0 s on two servers: task 2 follows task 1 at 1 s, task 3 at 2 s."""
    instance = one_way(
        [Resource("A", capacity=2)], *[(0.0, [Stage("A", s)]) for s in (3.0, 1.0, 1.0, 1.0)]
    )
    assert all_run(instance).latency_s.tolist() == pytest.approx([3, 1, 2, 3])


def test_an_unlimited_resource_is_a_pure_delay():
    instance = one_way(
        [Resource("cloud", capacity=UNLIMITED)], *[(0.0, [Stage("cloud", 2.0)]) for _ in range(3)]
    )
    assert all_run(instance).latency_s.tolist() == pytest.approx([2, 2, 2])


def test_a_join_waits_for_its_slowest_predecessor():
    """Split 1 s, branches 2 s on A and 3 s on B from 1 s, join of 1 s at 4 s: latency 5."""
    stages = [
        Stage("C", 1.0),
        Stage("A", 2.0, after=(0,)),
        Stage("B", 3.0, after=(0,)),
        Stage("C", 1.0, after=(1, 2)),
    ]
    instance = one_way([Resource("A"), Resource("B"), Resource("C")], (0.0, stages))
    schedule = all_run(instance)
    assert schedule.latency_s.tolist() == pytest.approx([5])
    assert seconds(schedule.start_ns) == [0, 1, 1, 4]


def test_cost_is_weighted_latency_plus_fixed_cost_within_the_deadline():
    """Latency = deadline is on time: 2 x 2 + 0.5 = 4.5. A second task is late at 4 s: drop 7."""
    option = [Option("only", [Stage("A", 2.0)], fixed_cost_s=0.5)]
    task = Task(0.0, option, deadline_s=2.0, drop_cost_s=7.0, latency_weight=2.0)
    schedule = replay(OffloadingInstance.from_tasks([Resource("A")], [task, task]), [0, 0])
    assert schedule.cost_s.tolist() == pytest.approx([4.5, 7.0])
    assert schedule.status.tolist() == [status.ON_TIME, status.LATE]


def test_a_late_task_still_occupies_and_a_dropped_one_does_not():
    """Task 0 takes 5 s with a deadline of 1 s; task 1 waits for it, or not."""
    tasks = [
        Task(0.0, [Option("only", [Stage("A", s)])], deadline_s=d, drop_cost_s=9.0)
        for s, d in ((5.0, 1.0), (1.0, 8.0))
    ]
    instance = OffloadingInstance.from_tasks([Resource("A")], tasks)
    assert replay(instance, [0, 0]).cost_s.tolist() == pytest.approx([9, 6])
    assert replay(instance, [-1, 0]).cost_s.tolist() == pytest.approx([9, 1])


def test_an_infinite_drop_cost_makes_a_drop_infinitely_dear():
    instance = one_way([Resource("A")], (0.0, [Stage("A", 1.0)]))
    assert replay(instance, [-1]).objective == np.inf


# ------------------------------------------------------------------------------ failures
DOWN = [(3.0, 5.0)]


def failing(*tasks: tuple[float, list[Stage]]) -> OffloadingInstance:
    resources = [Resource("uplink"), Resource("A", down_s=DOWN), Resource("B")]
    return one_way(resources, *tasks, deadline_s=50.0, drop_cost_s=20.0)


def test_work_in_service_and_in_queue_is_lost_when_the_resource_goes_down():
    """Task 0 holds A from 2 to 4, task 1 queues: both fail at 3 s. Task 2 comes after the repair
    and finds A empty: [5, 6)."""
    instance = failing((2.0, [Stage("A", 2.0)]), (2.5, [Stage("A", 1.0)]), (5.0, [Stage("A", 1.0)]))
    schedule = all_run(instance)
    assert schedule.status.tolist() == [status.FAILED, status.FAILED, status.ON_TIME]
    assert schedule.cost_s.tolist() == pytest.approx([20, 20, 1])
    assert seconds(schedule.start_ns) == [2, float("inf"), 5]


def test_finishing_exactly_at_the_start_of_a_failure_succeeds():
    """[1, 3) ends when the failure starts; one nanosecond more is lost."""
    assert all_run(failing((1.0, [Stage("A", 2.0)]))).status.tolist() == [status.ON_TIME]
    assert all_run(failing((1.0, [Stage("A", 2.000000001)]))).status.tolist() == [status.FAILED]


def test_arrivals_while_down_are_lost_and_the_moment_of_repair_is_up():
    """Down in [3, 5): arrivals at 3 and 4 s fail, one at 5 s is served."""
    instance = failing(*[(t, [Stage("A", 1.0)]) for t in (3.0, 4.0, 5.0)])
    schedule = all_run(instance)
    assert schedule.status.tolist() == [status.FAILED, status.FAILED, status.ON_TIME]


def test_a_failed_task_frees_what_it_has_not_reached():
    """Task 0 fails at A at 3 s, so its stage at B never comes; task 1 has B to itself."""
    instance = failing((2.0, [Stage("A", 2.0), Stage("B", 9.0)]), (4.0, [Stage("B", 1.0)]))
    assert all_run(instance).latency_s[1] == pytest.approx(1)


def test_running_siblings_finish_and_queued_ones_are_cancelled():
    """Task 0 fails at A at 3 s. Its sibling runs on B in [2, 6) and finishes: task 1 starts at 6.
    Its other sibling waits at the uplink behind task 2 ([0, 4)) and is cancelled: task 3, behind
    it in the queue, starts at 4 s."""
    siblings = [
        Stage("A", 2.0, after=()),
        Stage("B", 4.0, after=()),
        Stage("uplink", 9.0, after=()),
    ]
    instance = failing(
        (0.0, [Stage("uplink", 4.0)]),
        (2.0, siblings),
        (2.5, [Stage("B", 1.0)]),
        (2.5, [Stage("uplink", 1.0)]),
    )
    assert instance.needs_events
    schedule = all_run(instance)
    assert schedule.status.tolist() == [0, status.FAILED, 0, 0]
    assert schedule.latency_s[[0, 2, 3]].tolist() == pytest.approx([4, 4.5, 2.5])


# ------------------------------------------------------------------------------ the two kernels
def run(name: str, instance: OffloadingInstance, choice: np.ndarray) -> list[np.ndarray]:
    """Outputs of one kernel."""
    slots, n = int(instance.arrays.slot_ptr[-1]), instance.n_tasks
    out = [np.empty(slots, dtype=np.int64) for _ in range(3)]
    out += [np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int8)]
    if name == "events":
        events.replay_events(instance.arrays, instance.service_ns, choice, NEVER, *out)
    else:
        kernel.replay_lindley(instance.arrays, instance.service_ns, choice, *out)
    return out


def test_the_two_kernels_agree_wherever_both_apply():
    """Lindley's recursion and the event loop, on 300 tiny instances with random choices: chains
    with failures, DAGs without. Starts are compared for stages that finish: one that would start
    at the very moment of a failure never does in the first and does for no time in the second."""
    rng = np.random.default_rng(1)
    compared = 0
    for seed in range(300):
        instance = tiny_instance(seed)
        if instance.needs_events:
            continue
        compared += 1
        choice = rng.integers(-1, np.diff(instance.option_ptr))
        lindley, events = (run(name, instance, choice) for name in ("lindley", "events"))
        for out in (lindley, events):
            out[1][out[2] == NEVER] = NEVER
        for a, b in zip(lindley, events, strict=True):
            np.testing.assert_array_equal(a, b)
    assert compared > 250


def test_replays_are_work_conserving_and_fifo():
    """Without failures, on every single-server station: services in order of arrival, and a stage
    starts at its arrival or at the finish of the one before."""
    for seed in range(60):
        instance = tiny_instance(seed, down=False)
        frame = all_run(instance).timeline()
        for name, rows in frame.groupby("resource"):
            if instance.capacity[instance.resource_names.index(name)] != 1:
                continue
            rows = rows.sort_values(["start_s", "finish_s"])
            assert rows.arrival_s.is_monotonic_increasing
            free = np.concatenate([[0.0], rows.finish_s.to_numpy()[:-1]])
            np.testing.assert_allclose(rows.start_s, np.maximum(rows.arrival_s, free), atol=1e-9)


# ------------------------------------------------------------------------------ rollouts
@pytest.mark.parametrize(
    "policy", [OneStepOracle(), OneStepOracleDrop(), Random(3), LeastLoaded()], ids=lambda p: p.name
)
def test_a_rollout_is_the_replay_of_its_choice(policy):
    """Also with failures and DAGs; every schedule lists one decision per task."""
    for seed in range(40):
        instance = tiny_instance(seed, down=bool(seed % 2), dag=seed % 3 == 0)
        schedule = rollout(instance, policy)
        again = replay(instance, schedule.choice)
        np.testing.assert_array_equal(schedule.cost_s, again.cost_s)
        np.testing.assert_array_equal(schedule.finish_ns, again.finish_ns)


def test_decision_times_are_one_per_task():
    schedule, cpu_s = timed_rollout(tiny_instance(1), OneStepOracle())
    assert cpu_s.shape == schedule.choice.shape
    assert (cpu_s >= 0).all()


class Believer(OneStepOracle):
    """Sure that the first option of every task takes no time."""

    def believed(self, instance):
        first = instance.stage_ptr[instance.option_ptr[:-1]]
        times = instance.believed_ns.copy()
        times[first] = 0
        return replace(instance, believed_ns=times)


def two_ways() -> OffloadingInstance:
    """A takes 3 s, B takes 1 s."""
    options = [Option("A", [Stage("A", 3.0)]), Option("B", [Stage("B", 1.0)])]
    return OffloadingInstance.from_tasks([Resource("A"), Resource("B")], [Task(0.0, options)])


def test_a_policy_may_believe_otherwise():
    """Who believes that A takes no time goes there, and finds that it takes 3 s."""
    assert rollout(two_ways(), OneStepOracle()).latency_s.tolist() == pytest.approx([1.0])
    schedule = rollout(two_ways(), Believer())
    assert schedule.latency_s.tolist() == pytest.approx([3.0])
    assert (schedule.instance.believed_ns == two_ways().believed_ns).all()
    measured, _ = run_policy(two_ways(), Believer())
    assert measured.choice.tolist() == schedule.choice.tolist()


def test_beliefs_do_not_change_the_world():
    """Who believes in other realised times is refused."""

    class Dreamer(OneStepOracle):
        def believed(self, instance):
            return replace(instance, service_ns=instance.service_ns // 2)

    with pytest.raises(ValueError, match="'one-step-oracle' believes in another service_ns"):
        rollout(two_ways(), Dreamer())


def test_an_answer_the_task_does_not_have_is_refused():
    class Wrong:
        name = "wrong"

        def reset(self, instance):
            """Nothing to prepare."""

        def act(self, observation):
            return 7

    with pytest.raises(ValueError, match="policy 'wrong' answered 7 for task 0"):
        rollout(tiny_instance(1), Wrong())


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ([0], "choice must have 2 entries, has shape"),
        ([[0, 0]], "choice must have 2 entries, has shape"),
        ([0.0, 0.0], "choice must hold whole numbers, has dtype float64"),
        ([True, False], "choice must hold whole numbers, has dtype bool"),
        ([0, 1], r"choice\[1\] = 1: task 1 has 1 options"),
        ([-2, 0], r"choice\[0\] = -2: task 0 has 1 options"),
    ],
)
def test_malformed_choices_are_refused(choice: list, message: str):
    instance = one_way([Resource("A")], (0.0, [Stage("A", 1.0)]), (0.0, [Stage("A", 1.0)]))
    with pytest.raises(ValueError, match=message):
        replay(instance, choice)


def test_replay_changes_neither_choice_nor_instance():
    instance = tiny_instance(5)
    choice = np.zeros(instance.n_tasks, dtype=np.int64)
    before = instance.content_hash
    replay(instance, choice)
    assert choice.tolist() == [0] * instance.n_tasks
    with pytest.raises(ValueError, match="read-only"):
        instance.service_ns[0] = 1
    assert instance.content_hash == before
