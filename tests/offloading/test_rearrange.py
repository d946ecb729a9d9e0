"""Instances made of the parts of others."""

import numpy as np
import pytest

from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.rearrange import Moved, rearranged
from mecopt.offloading.scenarios import comllm
from tests.support.own_instance import own_instance

RESOURCES = [Resource("device", kind="device"), Resource("server")]


def two_tasks(labels: tuple[str, str]) -> OffloadingInstance:
    """Tasks at 0 and 1 s of users a and b; the second has a stage that waits for two others."""
    join = [
        Stage("device", 1.0, after=()),
        Stage("server", 2.0, after=()),
        Stage("server", 3.0, after=(0, 1)),
    ]
    tasks = [
        Task(0.0, [Option(labels[0], [Stage("device", 1.0)])], owner="a", deadline_s=5.0),
        Task(1.0, [Option(labels[0], [Stage("device", 4.0)]), Option(labels[1], join)], owner="b"),
    ]
    return OffloadingInstance.from_tasks(RESOURCES, tasks)


def test_tasks_keep_their_options_and_change_places() -> None:
    """The second task is now released first, and its join still waits for its own stages."""
    x = two_tasks(("here", "split"))
    y = rearranged([Moved(x, [0, 1], [3 * 10**9, 0])])
    assert y.release_ns.tolist() == [0, 3 * 10**9]
    assert [y.owner_names[u] for u in y.owner] == ["b", "a"]
    assert np.diff(y.option_ptr).tolist() == [2, 1]
    assert [y.option_name(0, i) for i in (0, 1)] == ["here", "split"]
    assert y.service_ns.tolist() == [4 * 10**9, 10**9, 2 * 10**9, 3 * 10**9, 10**9]
    # Stages 1 and 2 precede stage 3; the others wait for nothing.
    assert y.pred_ptr.tolist() == [0, 0, 0, 0, 2, 2] and y.pred.tolist() == [1, 2]


def test_parts_of_two_instances_are_joined() -> None:
    """Labels that only one of them knows stay right, and nothing else of the first is lost."""
    one, two = two_tasks(("here", "split")), two_tasks(("at home", "split"))
    y = rearranged([Moved(one, [1], [10**9]), Moved(two, [0, 1], [0, 10**9])])
    assert y.labels == ("here", "split", "at home")
    assert [y.option_name(k, 0) for k in range(3)] == ["at home", "here", "at home"]


def test_moving_nothing_changes_nothing() -> None:
    """All tasks at their own times are the instance itself."""
    for x in (comllm.generate("paper", 3, slots=8), own_instance(1, tasks=9)):
        same = rearranged([Moved(x, np.arange(x.n_tasks), x.release_ns)])
        assert same.content_hash == x.content_hash


def test_no_task_is_no_instance() -> None:
    """An instance is never empty."""
    with pytest.raises(ValueError, match="tasks"):
        rearranged([Moved(two_tasks(("here", "split")), [], [])])
