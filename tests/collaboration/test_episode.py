"""Episodes with failures as instances: what a stage, a node and a damaged task do."""

import numpy as np
import pytest

from mecopt.collaboration.expected import expected
from mecopt.collaboration.failures import down_intervals
from mecopt.collaboration.network import Network
from mecopt.collaboration.scenarios import ledrl
from mecopt.offloading.observation import OnlineSystem
from mecopt.offloading.policies.simple import OneStepOracle, OneStepOracleDrop
from mecopt.offloading.replay import replay, rollout
from mecopt.offloading.status import FAILED, LATE, ON_TIME
from tests.collaboration.hand_made import alone, line, made


def test_options_are_routes_that_can_be_on_time():
    """4 cycles at a take 4 s; at b 0.5 + 2 = 2.5 s, at c 0.5 + 0.5 + 1 = 2 s.

    Within 2.2 s only c will do, and staying, which is always there.
    """
    x = made(line(), [(0.0, 0, 5.0, 4.0)], 2.2)
    assert [x.option_name(0, o) for o in range(x.n_options)] == ["keep", "a > b > c"]
    late, on_time = replay(x, [0]), replay(x, [1])
    assert late.status[0] == LATE and late.objective == 0.0
    assert on_time.latency_s[0] == pytest.approx(2.0) and on_time.objective == -1.0


def test_places_are_served_side_by_side():
    """Two places of 1 cycle a second: of three tasks of 2 s at once the third ends after 4 s."""
    network = alone(0.0, 1.0)
    both = Network((type(network.nodes[0])("a", 1.0, 2),), (), 0.0, 1.0)
    x = made(both, [(0.0, 0, 1.0, 2.0)] * 3, 3.0)
    schedule = replay(x, [0, 0, 0])
    assert schedule.status.tolist() == [ON_TIME, ON_TIME, LATE]


def test_a_damaged_task_keeps_its_place_until_its_end():
    """The transfer a > b of the first task is lost: 0.5 s at rate 1 is more than it bears, 0.4.

    It is executed at b all the same, so that the second task, which stays at b, waits for it: from
    0.5 to 2.5 s, then 2 s of its own.
    """
    strength = np.full((2, 7), np.inf)
    strength[0, 3] = 0.4  # resources: three nodes, then a > b
    rows = [(0.0, 0, 5.0, 4.0), (0.5, 1, 5.0, 4.0)]
    x = made(line(link_failure=1.0), rows, 5.0, strength=strength)
    schedule = replay(x, [1, 0])
    assert schedule.status.tolist() == [LATE, ON_TIME]
    assert schedule.latency_s[1] == pytest.approx(0.5 + 0.0 + 4.0 - 0.5)
    # Staying at a meets no damage.
    assert replay(x, [0, 0]).status.tolist() == [ON_TIME, ON_TIME]


def test_damage_is_not_seen_before_the_end():
    """Whatever is damaged, a rule sees the same until a task has had its planned end."""
    rows = [(0.0, 0, 5.0, 4.0), (0.5, 1, 5.0, 4.0), (2.0, 2, 5.0, 4.0)]
    weak = np.full((3, 7), np.inf)
    weak[0] = 0.0
    for option in (0, 1, 2):
        seen = []
        for strength in (None, weak):
            x = made(line(1.0, 1.0), rows, 5.0, strength=strength)
            system = OnlineSystem(x)
            system.advance(0)
            system.commit(0, option)
            system.advance(1)
            observation = system.observe(1)
            seen.append((observation.completion_ns.tolist(), observation.backlog_s.tolist()))
        assert seen[0] == seen[1]


def test_a_node_that_goes_down_loses_its_work():
    """Down from 1 to 2 s: the task in service fails, and so does the one that waits; later ones
    are served."""
    rows = [(0.0, 0, 1.0, 2.0), (0.5, 0, 1.0, 2.0), (2.0, 0, 1.0, 2.0)]
    x = made(alone(0.1, 0.5), rows, 9.0, down_s=[[(1.0, 2.0)]])
    assert replay(x, [0, 0, 0]).status.tolist() == [FAILED, FAILED, ON_TIME]


@pytest.mark.parametrize("rule", [OneStepOracle(), OneStepOracleDrop()])
def test_no_cost_is_nan(rule):
    """Latency costs nothing, also the infinite latency through a node that is down."""
    rows = [(0.0, 0, 1.0, 2.0), (1.5, 0, 1.0, 2.0)]
    x = made(alone(0.1, 0.5), rows, 9.0, down_s=[[(1.0, 2.0)]])
    with np.errstate(all="raise"):
        schedule = rollout(x, rule)
        system = OnlineSystem(x)
        system.advance(1)
        observation = system.observe(1)
        assert observation.run_cost_s.tolist() == [np.inf]
        assert observation.cost_s.tolist() == [0.0]
    assert np.isfinite(schedule.cost_s).all()


# ---------------------------------------------------------------------------------------- LeDRL
def test_equal_seeds_equal_episodes():
    assert ledrl.generate("paper", 3).content_hash == ledrl.generate("paper", 3).content_hash
    assert ledrl.generate("paper", 3).content_hash != ledrl.generate("paper", 4).content_hash


def test_other_tasks_over_the_same_network():
    x, other = ledrl.generate("paper", 3), ledrl.generate("paper", 3, task_seed=0)
    assert Network.of(x) == Network.of(other)
    assert x.content_hash != other.content_hash


def test_a_higher_rate_damages_the_same_tasks_and_more():
    """Option by option, whoever fails at link rate 0.05 fails at 0.25."""
    hurt = []
    for rate in (0.0, 0.05, 0.25):
        x = ledrl.generate("paper", 1, link_failure_per_s=(rate, rate))
        hurt.append(x.service_ns != x.believed_ns)
    assert not (hurt[0] & ~hurt[1]).any() and not (hurt[1] & ~hurt[2]).any()
    assert hurt[0].sum() < hurt[1].sum() < hurt[2].sum()


def test_survival_has_the_frequency_of_its_rate():
    """Executions alone at rate 0.2: the share of intact options is the mean of exp(-0.2 t)."""
    x = ledrl.generate(
        "paper", 0, execution_failure_per_s=(0.2, 0.2), link_failure_per_s=(0, 0), most_hops=0
    )
    seconds = x.believed_ns[0::2] * 1e-9
    intact = x.service_ns[1::2] == 0
    assert intact.mean() == pytest.approx(np.exp(-0.2 * seconds).mean(), abs=0.05)


def test_nodes_are_up_the_share_that_rates_say():
    """Failure rate 0.1, repair rate 0.3: up three quarters of 20,000 s, from the start on."""
    down = down_intervals(np.random.default_rng(0), 0.1, 0.3, 20_000.0)
    assert sum(end - start for start, end in down) / 20_000.0 == pytest.approx(0.25, abs=0.02)
    starts = [bool(down_intervals(np.random.default_rng(s), 0.1, 0.3, 1e-6)) for s in range(1000)]
    assert np.mean(starts) == pytest.approx(0.25, abs=0.04)
    assert down_intervals(np.random.default_rng(0), 0.0, 0.3, 1e6) == []


def test_a_quiet_episode_has_a_task():
    x = ledrl.generate("paper", 0, arrival_probability=(0.0, 0.0))
    assert x.n_tasks == 1 and x.release_ns[0] == 0


def test_the_second_instance_has_the_same_options():
    """Same tasks, options, places and times; nothing fails, and worth is less than 1."""
    x = ledrl.generate("paper", 0, slots=10)
    e = expected(x)
    for name in ("release_ns", "option_ptr", "stage_ptr", "stage_resource", "capacity"):
        assert np.array_equal(getattr(x, name), getattr(e, name))
    assert not len(e.down_ns) and np.array_equal(e.service_ns, x.believed_ns)
    assert (-e.fixed_cost_ns * 1e-9 < 1.0).all() and (e.fixed_cost_ns < 0).all()
