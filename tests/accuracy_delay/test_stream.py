"""Queries over time: figures by hand, batches, and no look at what is to come."""

import numpy as np
import pytest

from mecopt import rollout
from mecopt.accuracy_delay import stream
from mecopt.accuracy_delay.policies import by_name
from mecopt.accuracy_delay.stream import Batched, QueryStream
from mecopt.offloading import replay
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.tasks import Option, Resource, Stage, Task


def instance_of(*queries):
    """Queries given as (release in s, worth of leaving the device in s).

    Each takes 3 s on a device of its own; a channel and a server take 1 s and 0.5 s.
    """
    resources = [Resource(f"device {k}", kind="device") for k in range(len(queries))]
    resources += [Resource("channel", kind="uplink"), Resource("edge", kind="server")]
    away = [Stage("channel", 1.0), Stage("edge", 0.5)]
    tasks = []
    for k, (release, worth) in enumerate(queries):
        device = Option("device", [Stage(f"device {k}", 3.0)])
        tasks.append(Task(release, [device, Option("edge", away, fixed_cost_s=-worth)]))
    return OffloadingInstance.from_tasks(resources, tasks)


def two_queries():
    """Asked at 0.2 and 0.4 s, decided at 0.5 s, worth 2 and 1 s."""
    accuracy = np.array([[0.6, 0.9], [0.8, 0.9]])
    return QueryStream(instance_of((0.5, 2.0), (0.5, 1.0)), np.array([0.2, 0.4]), accuracy)


def test_figures_by_hand():
    """Both away: uploads end at 1.5 and 2.5 s, answers at 2 and 3 s, asked at 0.2 and 0.4 s.

    Delays 1.8 and 2.6 s, mean 2.2, p95 1.8 + 0.95 x 0.8 = 2.56; costs 1.5 - 2 + 2.5 - 1 = 1.
    """
    x = two_queries()
    schedule = replay(x.instance, [1, 1])
    assert schedule.objective == pytest.approx(1.0)
    assert x.delay_s(schedule) == pytest.approx([1.8, 2.6])
    figures = x.figures(schedule)
    assert figures["mean_delay_s"] == pytest.approx(2.2)
    assert figures["p95_delay_s"] == pytest.approx(2.56)
    assert figures["expected_accuracy"] == pytest.approx(0.9)
    assert figures["offloaded_share"] == 1.0
    assert x.figures(replay(x.instance, [0, 1]))["expected_accuracy"] == pytest.approx(0.75)


class Recorder:
    """Sends everybody away, and keeps the snapshots that it was asked about."""

    name = "recorder"

    def __init__(self):
        self.seen = []

    def reset(self, instance):
        """Nothing to prepare."""

    def act(self, instance):
        self.seen.append(instance)
        return [0] * instance.n_users


def test_queries_of_a_slot_are_one_snapshot():
    """Both are decided at once: uploads of 1 s, work of 0.5 s, worth 2 and 1 s, no queue."""
    x, rule = two_queries(), Recorder()
    schedule = rollout(x.instance, Batched(rule))
    assert schedule.choice.tolist() == [1, 1]
    (asked,) = rule.seen
    assert asked.upload_s.tolist() == [[1.0], [1.0]]
    assert asked.compute_s.tolist() == [[0.5], [0.5]]
    assert asked.local_s.tolist() == [3.0, 3.0]
    assert asked.queue_s.tolist() == [0.0]
    assert asked.worth_ns.tolist() == [2 * 10**9, 10**9]


def test_later_slots_see_committed_work_as_queues():
    """As many snapshots as slots with queries; once the first is away, a queue stands there."""
    x, rule = stream.generate(10, 0, horizon_s=5.0, queries_per_user_s=1.0), Recorder()
    rollout(x.instance, Batched(rule))
    assert len(rule.seen) == len(np.unique(x.instance.release_ns))
    assert sum(asked.n_users for asked in rule.seen) == x.instance.n_tasks
    assert rule.seen[0].queue_s.max() == 0.0 < rule.seen[-1].queue_s.max()


@pytest.mark.parametrize("name", by_name.NAMES)
def test_rules_do_not_anticipate(name):
    """What is decided at 0.5 s does not depend on what is asked afterwards.

    `random` draws by the snapshot it sees, which is the same one, too.
    """
    now = [(0.5, 2.0), (0.5, 1.0), (0.5, 0.1)]
    few = rollout(instance_of(*now, (2.0, 9.0)), stream.rule(name))
    many = rollout(instance_of(*now, *[(1.0, 9.0)] * 6), stream.rule(name))
    assert few.choice[:3].tolist() == many.choice[:3].tolist()


def test_arrivals_of_a_trace():
    """Queries of a trace are decided at the end of slots of 0.5 s; falling times are refused."""
    x = stream.generate(3, 0, arrival_s=[0.1, 0.5, 0.6])
    assert x.instance.release_ns.tolist() == [5 * 10**8, 5 * 10**8, 10**9]
    with pytest.raises(ValueError, match=r"arrival_s\[1\] = 0.2 is before the one above"):
        stream.generate(3, 0, arrival_s=[0.4, 0.2])
    with pytest.raises(ValueError, match="slot_s = 0 must be > 0"):
        stream.generate(3, 0, slot_s=0)


def test_other_tasks_are_refused():
    """A snapshot rule needs a device first, then servers with an upload each."""
    resources = [Resource("a", kind="server"), Resource("b", kind="server")]
    tasks = [Task(0.0, [Option(name, [Stage(name, 1.0)]) for name in "ab"])]
    x = OffloadingInstance.from_tasks(resources, tasks)
    with pytest.raises(ValueError, match="a snapshot rule needs the device as first option"):
        rollout(x, stream.rule("goa"))
