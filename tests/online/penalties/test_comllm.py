"""Penalties on COMLLM episodes, held against the other route and against rules."""

from __future__ import annotations

import numpy as np
import pytest

from formulations.online import METHODS, online_bound
from formulations.online.control import control_for
from formulations.online.penalties.comllm import ComllmLaw
from formulations.online.penalties.crowding import Shape
from formulations.online.penalties.route import penalised_bound, shape_for
from formulations.online.values import Grid
from mecopt.offloading.policies.by_name import POLICIES
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm
from tests.support.tiny import tiny_instance


@pytest.fixture(scope="module")
def episode():
    return comllm.generate("paper", 100, slots=30)


def penalised(episode, shape=None, **changes):
    small = {"worlds": 6, "futures": 8, "time_limit_s": 0.4, **changes}
    return penalised_bound(ComllmLaw(episode), shape, **small)


def test_routes_agree(episode):
    """Penalties raise the clairvoyant bound, stay below [shared] and rules but for sampling."""
    none = penalised(episode, Shape(("uplink", "device"), 1.0, 0.0))
    found = penalised(episode)
    shared = online_bound(episode, replicates=3, samples=16, grid=Grid(32, 8))
    assert found.estimate_slots > none.estimate_slots
    assert found.lower_95_slots < 1.005 * shared.estimate_slots
    control, costs = control_for(episode), []
    for task_seed in range(6):
        instance = comllm.generate("paper", 100, task_seed=task_seed, slots=30)
        schedule = rollout(instance, POLICIES.make("priced", preset="paper"))
        costs.append(schedule.objective / 0.1 - control.luck_slots(schedule))
    error = np.std(costs, ddof=1) / np.sqrt(len(costs))
    for bound in (none, found, shared):
        assert bound.lower_95_slots < np.mean(costs) + 2 * error


def test_one_method_among_others(episode):
    """`online_bound` takes it by name, over the episode's own servers."""
    assert METHODS[-1] == "penalised-options"
    short = comllm.generate("paper", 100, slots=3)
    one = online_bound(short, method="penalised-options", replicates=2, samples=2)
    again = online_bound(short, method="penalised-options", replicates=2, samples=2)
    np.testing.assert_allclose(one.sample_slots, again.sample_slots, rtol=1e-3)
    assert one.method == "penalised-options"
    assert one.worlds == 2
    assert one.provenance["shape"]["horizon_s"] == 0.4
    assert one.provenance["server_seed"] == 100


def test_shapes_of_presets():
    """A preset without tuned numbers has those of another one."""
    paper, other = (ComllmLaw(comllm.generate(p, 0, slots=3)) for p in ("paper", "large"))
    assert shape_for(paper).theta == 0.6
    assert shape_for(other) == shape_for(ComllmLaw(comllm.generate("busy", 0, slots=3)))


def test_worlds_are_no_episodes_of_small_seeds(episode):
    """Their task seeds are above 2^62."""
    drawn = ComllmLaw(episode).world(np.random.default_rng(0), 1)
    assert drawn.instance.meta["task_seed"] >= 2**62
    assert drawn.instance.resource_names == episode.resource_names


def test_scenarios_without_a_generator_are_refused():
    with pytest.raises(ValueError, match="scenario 'tiny' has no generator"):
        ComllmLaw(tiny_instance(0))
