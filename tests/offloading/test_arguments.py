"""What a user gets wrong is answered with one sentence that names the argument and the value."""

import re

import numpy as np
import pytest

from mecopt.caching.policies import by_name as caching_policies
from mecopt.caching.policies.simple import Cloud
from mecopt.caching.rollout import rollout as caching_rollout
from mecopt.caching.scenarios import t2drl
from mecopt.market import scenarios as markets
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.observation import OnlineSystem
from mecopt.offloading.policies import by_name
from mecopt.offloading.policies.simple import OneStepOracle, Random
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm, futures

REGISTRIES = (by_name, caching_policies)


def two_servers(weight: float = 1.0, down: bool = False) -> OffloadingInstance:
    """One task, two servers; the first is down for a second or never."""
    servers = [Resource("a", down_s=[(0.0, 1.0)] if down else ()), Resource("b")]
    options = [Option("a", [Stage("a", 2.0)]), Option("b", [Stage("b", 3.0)], fixed_cost_s=0.5)]
    return OffloadingInstance.from_tasks(servers, [Task(0.0, options, latency_weight=weight)])


@pytest.mark.parametrize("seed", [-1, 0.5, True, "1", None])
@pytest.mark.parametrize(
    "draw",
    [
        lambda seed: comllm.generate("paper", seed),
        lambda seed: t2drl.generate("ten", seed),
        lambda seed: markets.generate("balanced", seed),
        lambda seed: by_name.make("random", seed=seed),
        lambda seed: caching_policies.make("cloud", seed=seed),
        Random,
        futures.generated_futures,
    ],
)
def test_a_seed_is_a_whole_number_from_zero_on(draw, seed) -> None:
    """Whoever takes a seed refuses a bad one with the same words."""
    with pytest.raises(ValueError, match=re.escape(f"seed = {seed!r} must be a whole number >= 0")):
        draw(seed)


def test_a_task_seed_may_be_absent_but_not_negative() -> None:
    """None stands for the episode's own tasks."""
    assert comllm.generate("paper", 0, task_seed=None).n_tasks > 0
    with pytest.raises(ValueError, match="task_seed = -1 must be a whole number >= 0"):
        comllm.generate("paper", 0, task_seed=-1)


def test_a_class_in_place_of_a_policy_is_refused() -> None:
    """The message says what to write instead."""
    with pytest.raises(ValueError, match=r"OneStepOracle is a class, give .*: OneStepOracle\(\)"):
        rollout(two_servers(), OneStepOracle)
    with pytest.raises(ValueError, match=r"Cloud is a class, give an instance: Cloud\(\)"):
        caching_rollout(t2drl.generate("ten", 0), Cloud)


def test_what_cannot_act_is_refused() -> None:
    """A name is no policy for the core's rollout; neither is a number."""
    with pytest.raises(ValueError, match="policy = 'priced' has no method 'reset'"):
        rollout(two_servers(), "priced")
    with pytest.raises(ValueError, match="policy = 3 has no method"):
        caching_rollout(t2drl.generate("ten", 0), 3)


def test_an_instance_of_another_family_is_refused() -> None:
    """Each family's rollout names the instance it wants."""
    with pytest.raises(ValueError, match="instance = .* is no CachingInstance"):
        caching_rollout(two_servers(), Cloud())
    with pytest.raises(ValueError, match="instance = .* is no OffloadingInstance"):
        rollout(t2drl.generate("ten", 0), OneStepOracle())


@pytest.mark.parametrize("registry", REGISTRIES)
@pytest.mark.parametrize("name", [OneStepOracle, 3, None])
def test_a_policy_name_is_a_string(registry, name) -> None:
    """A class or a number in place of a name is refused with the list of names."""
    with pytest.raises(ValueError, match=f"policy: {re.escape(repr(name))} is no name, one of "):
        registry.make(name)


@pytest.mark.parametrize("registry", REGISTRIES)
def test_every_family_has_the_same_registry(registry) -> None:
    """Own names come first and are made under their own name; unknown ones are listed."""
    assert registry.names()[: len(registry.NAMES)] == registry.NAMES
    for name in registry.NAMES:
        assert registry.make(name).name == name
    with pytest.raises(ValueError, match="policy: unknown name 'nobody', one of "):
        registry.make("nobody")
    with pytest.raises(ValueError, match="is a rule without parameters to load"):
        registry.make(registry.NAMES[0], checkpoint="folder")


def test_latency_that_costs_nothing_does_not_hide_a_failure() -> None:
    """Weight 0 and a server that is down: infinite cost and no NaN; the other costs its fee."""
    x = two_servers(weight=0.0, down=True)
    system = OnlineSystem(x)
    system.advance(0)
    with np.errstate(all="raise"):
        assert system.observe(0).run_cost_s.tolist() == [np.inf, 0.5]
        assert OneStepOracle().act(system.observe(0)) == 1
