"""The checker's own replay against the simulator, task by task."""

from __future__ import annotations

import numpy as np
import pytest

from mecopt.certificates.offloading.replay import exact_replay
from mecopt.certificates.scales import COST_SCALE
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.replay import replay
from mecopt.offloading.scenarios import comllm
from mecopt.offloading.status import NEVER
from tests.support.leaves import leaf_instance
from tests.support.tiny import KINDS, tiny_instance


def agree(instance: OffloadingInstance, choice: np.ndarray) -> None:
    """Completions are equal to the nanosecond, costs and the total to 1e-12 relative."""
    schedule, exact = replay(instance, choice), exact_replay(instance, choice.tolist())
    completion = [NEVER if t is None else t for t in exact.completion]
    assert schedule.completion_ns.tolist() == completion
    cost = [np.inf if c is None else c / COST_SCALE * 1e-9 for c in exact.cost]
    assert schedule.cost_s.tolist() == pytest.approx(cost, rel=1e-12, abs=1e-15)
    if exact.total is None:
        assert schedule.objective == np.inf
    else:
        total = exact.total / COST_SCALE * 1e-9
        assert schedule.objective == pytest.approx(total, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_two_replays_agree(kind: dict[str, bool]) -> None:
    """The event list in plain integers and the compiled kernels simulate the same system."""
    rng = np.random.default_rng(3)
    for seed in range(150):
        for instance in (tiny_instance(seed, **kind), leaf_instance(seed, dag=kind["dag"])):
            count = np.diff(instance.option_ptr)
            for _ in range(4):
                agree(instance, np.array([rng.integers(-1, n) for n in count]))
            agree(instance, np.zeros(instance.n_tasks, dtype=int))


def test_two_replays_agree_on_an_episode() -> None:
    """A COMLLM episode of a hundred tasks or so, random servers."""
    instance = comllm.generate("slow-servers", 1, users=5, servers=3, slots=60)
    rng = np.random.default_rng(0)
    for _ in range(3):
        agree(instance, rng.integers(-1, 4, size=instance.n_tasks))


def test_ties_go_to_the_lower_task() -> None:
    """Stages that reach a server at the same moment queue by task, whatever came before.

    Task 0 reaches the server at 1 through a zero stage, task 1 at 1 straight: 0 is served first,
    so the costs are 1 + 2 = 3 and 1 + 2 + 4 = 7.
    """
    resources = [Resource(n) for n in ("cpu 0", "cpu 1", "relay", "server")]
    instance = OffloadingInstance.from_tasks(
        resources,
        [
            Task(0.0, [Option("o", [Stage("cpu 0", 1), Stage("relay", 0), Stage("server", 2)])]),
            Task(0.0, [Option("o", [Stage("cpu 1", 1), Stage("server", 4)])]),
        ],
    )
    assert [c / COST_SCALE * 1e-9 for c in exact_replay(instance, [0, 0]).cost] == [3.0, 7.0]
    agree(instance, np.array([0, 0]))


def test_forbidden_drop_has_no_cost() -> None:
    """A dropped task that must run has no finite cost, and neither has the total."""
    instance = OffloadingInstance.from_tasks(
        [Resource("server")], [Task(0.0, [Option("o", [Stage("server", 1)])])]
    )
    outcome = exact_replay(instance, [-1])
    assert outcome.cost == [None] and outcome.total is None
    agree(instance, np.array([-1]))
