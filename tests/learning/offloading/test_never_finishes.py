"""Options that never finish where latency costs nothing: never NaN, never taken for free.

One server that is down for ever and, in some tests, one that is not; weight 0, no deadline: an
option through the first must not cost 0 x infinity, nor 0.
"""

from __future__ import annotations

import numpy as np
import pytest

from learning.offloading.rewards.lacs import Lacs
from learning.offloading.rewards.long import DualPriced, RolloutValue
from learning.offloading.rewards.rewards import own_cost_slots
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.observation import Observation, OnlineSystem
from mecopt.offloading.policies import by_name
from mecopt.offloading.policies.lookahead import Lookahead
from mecopt.offloading.replay import rollout

pytestmark = pytest.mark.filterwarnings("error")


def world(*servers: str, drop_s: float = 10.0, tasks: int = 1) -> OffloadingInstance:
    """Tasks of weight 0 and one second on any of the servers; ``dead`` is down for ever."""
    resources = [Resource(n, down_s=[(0.0, 1e6)] if n == "dead" else ()) for n in servers]
    options = [Option(n, [Stage(n, 1.0)]) for n in servers]
    listed = [Task(float(k), options, latency_weight=0.0, drop_cost_s=drop_s) for k in range(tasks)]
    return OffloadingInstance.from_tasks(resources, listed, meta={"slot_s": 1.0})


def seen(x: OffloadingInstance) -> Observation:
    """What the first task sees."""
    system = OnlineSystem(x)
    system.advance(0)
    return system.observe(0)


def test_an_observation_knows_no_nan():
    """Infinite through the dead server, 0 x 1 s through the other."""
    found = seen(world("dead", "live"))
    for cost in (found.run_cost_s, found.cost_s, own_cost_slots(found, 1e9)[:-1]):
        assert cost.tolist() == [np.inf, 0.0]
    assert seen(world("dead")).cost_s.tolist() == [np.inf]


@pytest.mark.parametrize("drop_s", [10.0, np.inf])
@pytest.mark.parametrize(
    "name", ["one-step-oracle", "one-step-oracle-drop", "least-loaded", "local"]
)
def test_no_rule_takes_the_dead_server(name, drop_s):
    """The other one finishes, and costs nothing."""
    schedule = rollout(world("dead", "live", drop_s=drop_s, tasks=3), by_name.make(name))
    assert schedule.choice.tolist() == [1, 1, 1] and schedule.objective == 0.0


@pytest.mark.parametrize("servers", [("dead",), ("dead", "live")])
def test_looking_ahead_prices_later_tasks_that_cannot_finish(servers):
    """Five later tasks within 10 s. With the dead server alone each is dropped for 10 s, whatever
    is done now; the other server serves them for nothing."""
    x = world(*servers)
    policy = Lookahead(1, 10.0, futures=lambda instance, samples: [world(*servers, tasks=6)])
    policy.reset(x)
    cost = policy.candidate_costs(seen(x))
    later = 50.0 if servers == ("dead",) else 0.0  # the tasks released after this one
    assert cost[-1] == pytest.approx(10.0 + later)
    assert policy.act(seen(x)) == (-1 if servers == ("dead",) else 1)


def test_the_impact_on_tasks_that_cannot_finish():
    """LACS adds 0.5 times what one such task costs: it is dropped for 10 slots, after either."""
    x = world("dead")
    reward = Lacs(samples=1, weight=0.5)
    reward.reset(x)
    assert reward.cost_slots(seen(x)).tolist() == [np.inf, 10.0 + 0.5 * 10.0]


def same_again(instance, samples):
    """The instance as its own future."""
    return [instance] * samples


@pytest.mark.parametrize(
    "make",
    [Lacs, lambda: RolloutValue(1, 1.0, futures=same_again), lambda: DualPriced({"server": 0.5})],
)
def test_rewards_are_no_nan_where_nothing_is_possible(make):
    """The only server is down and the drop is forbidden: every option is infinite."""
    x = world("dead", drop_s=np.inf)
    reward = make()
    reward.reset(x)
    assert reward.cost_slots(seen(x)).tolist() == [np.inf, np.inf]
