"""The gymnasium environment: its interface, its rewards, and what it may show."""

from __future__ import annotations

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")

from learning.offloading.states import decision_states as states
from learning.offloading.states import option_features
from learning.offloading.training.environment import ComllmSampler, OffloadingEnv, join, make, split
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.policies import by_name as policies
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm


def two_tasks(deadline_s: float = 1.0, drop_cost_s: float = 2.0) -> OffloadingInstance:
    """Two tasks of one user, 0.1 s apart: device 0.4 s, or uplink 0.3 s and server 0.1 s."""
    resources = [
        Resource("up", kind="uplink"),
        Resource("cpu", kind="device"),
        Resource("edge", kind="server"),
    ]
    options = (
        Option("local", (Stage("cpu", 0.4),)),
        Option("offload", (Stage("up", 0.3), Stage("edge", 0.1))),
    )
    tasks = [Task(release, options, "ann", deadline_s, drop_cost_s) for release in (0.0, 0.1)]
    return OffloadingInstance.from_tasks(resources, tasks)


def play(env: OffloadingEnv, rng: np.random.Generator) -> tuple[list[float], dict]:
    """One episode of random valid actions: rewards, and the last info."""
    env.reset(seed=int(rng.integers(1000)))
    rewards, over, info = [], False, {}
    while not over:
        action = int(rng.choice(np.flatnonzero(env.action_masks())))
        _, reward, over, _, info = env.step(action)
        rewards.append(float(reward))
    return rewards, info


@pytest.mark.parametrize("single_user", [False, True])
def test_checkers_accept_it(single_user: bool) -> None:
    """Gymnasium's and stable-baselines3's own checkers find nothing, by name and directly."""
    from gymnasium.utils.env_checker import check_env

    env = gymnasium.make("mecopt/Offloading-v0", single_user=single_user)
    check_env(env.unwrapped, skip_render_check=True)
    sb3 = pytest.importorskip("stable_baselines3.common.env_checker")
    sb3.check_env(env.unwrapped)


def test_rows_of_a_state() -> None:
    """The second task waits behind the first one's upload and sees the load of its queue."""
    env = OffloadingEnv(two_tasks(), max_options=3)
    env.reset(seed=0)
    observation, _, _, _, _ = env.step(1)
    options, load = split(observation)
    # At 0.1 s the uplink is busy until 0.3 s: wait 0.2, upload 0.3, server 0.1, latency 0.6 s.
    assert options[1] == pytest.approx([1, 0, 0.6, 0.2, 0, 0.3, 0, 0.1], abs=1e-6)
    assert options[0] == pytest.approx([1, 0, 0.4, 0, 0, 0, 0.4, 0], abs=1e-6)
    assert options[3] == pytest.approx([1, 1, 2, 0, 0, 0, 0, 0])  # the drop
    assert not options[2].any()  # padding
    assert not load.any()  # nobody said what the load is
    assert env.action_masks().tolist() == [True, True, False, True]


def test_rewards_are_the_cost_each_decision_adds() -> None:
    """Both offload: 0.4 s, then 0.2 + 0.3 + 0.1 s; a slot is 0.1 s unless the instance says."""
    env = OffloadingEnv(two_tasks())
    env.reset(seed=0)
    assert env.step(1)[1] == pytest.approx(-4.0)
    _, reward, over, _, info = env.step(1)
    assert (reward, over) == (pytest.approx(-6.0), True)
    assert info["schedule"].objective == pytest.approx(1.0)
    with pytest.raises(RuntimeError, match="call reset"):
        env.step(0)


def test_delay_of_others_belongs_to_the_decision() -> None:
    """A later task that overtakes on its way to the server pays for the delay it causes."""
    resources = [
        Resource("edge", kind="server"),
        Resource("a", kind="uplink"),
        Resource("b", kind="uplink"),
    ]
    slow = Option("offload", (Stage("a", 0.4), Stage("edge", 0.2)))
    fast = Option("offload", (Stage("b", 0.2), Stage("edge", 0.3)))
    x = OffloadingInstance.from_tasks(
        resources,
        [
            Task(0.0, (slow,), "ann", deadline_s=2.0, drop_cost_s=3.0),
            Task(0.1, (fast,), "bob", deadline_s=2.0, drop_cost_s=3.0),
        ],
    )
    env = OffloadingEnv(x)
    env.reset(seed=0)
    assert env.step(0)[1] == pytest.approx(-6.0)
    # Bob is at the server from 0.3 to 0.6 s: his latency is 0.5 s, and Ann starts 0.2 s later.
    assert env.step(0)[1] == pytest.approx(-7.0)


def test_rewards_add_up_to_the_replayed_objective() -> None:
    """Random episodes of mixed sizes: the sum of rewards is minus the objective, in slots."""
    env = make(("paper", "large"), (3, 8))
    rng = np.random.default_rng(1)
    for _ in range(4):
        rewards, info = play(env, rng)
        assert sum(rewards) == pytest.approx(-info["schedule"].objective / 0.1, rel=1e-9)
        assert info["invalid"] == 0


def test_single_user_steps_over_the_others() -> None:
    """An episode has as many steps as the followed user has tasks; the others are served too."""
    x = comllm.generate("paper", 10_000, slots=30)
    env = OffloadingEnv(x, single_user=True)
    rng = np.random.default_rng(0)
    for _ in range(3):
        rewards, info = play(env, rng)
        assert len(rewards) in np.bincount(x.owner)
        assert info["schedule"].choice.min() >= 0 or len(rewards) > 0
        assert len(rewards) < x.n_tasks


def test_absent_option_is_a_drop_and_counted() -> None:
    """Three servers in an observation for eleven: action 9 names nobody."""
    env = make(("paper",), (3,))
    env.reset(seed=0)
    assert env.action_masks().tolist() == [True] * 4 + [False] * 8 + [True]
    _, reward, _, _, info = env.step(9)
    assert (reward, info["invalid"]) == (pytest.approx(-20.0), 1)


def test_task_that_must_run_is_never_dropped() -> None:
    """Infinite drop cost, no deadline: the drop is masked, and asking for it runs the best."""
    x = two_tasks(deadline_s=np.inf, drop_cost_s=np.inf)
    env = OffloadingEnv(x, max_options=2)
    env.reset(seed=0)
    assert env.action_masks().tolist() == [True, True, False]
    _, reward, _, _, info = env.step(2)
    assert (reward, info["invalid"]) == (pytest.approx(-4.0), 1)


def test_equal_seeds_give_equal_episodes() -> None:
    """Instances come from the environment's own generator."""
    first, second = make(servers=(3, 5)), make(servers=(3, 5))
    a, _ = first.reset(seed=7)
    b, _ = second.reset(seed=7)
    assert np.array_equal(a, b)
    assert not np.array_equal(a, first.reset(seed=8)[0])


@pytest.mark.parametrize("preset", ["paper", "large", "slow-servers"])
def test_batches_read_states_as_the_environment_does(preset: str) -> None:
    """`of_states` gives the numbers of `Reader`, load included."""
    x = comllm.generate(preset, 10_000, slots=20, servers=4)
    reader = option_features.Reader(x)
    for observation in states.visit([x], "random"):
        rows, load = option_features.of_states(states.of(observation))
        assert reader.options(observation) == pytest.approx(rows[0], abs=1e-5)
        assert reader.load == pytest.approx(load[0], abs=1e-5)


def test_same_decisions_as_a_rollout() -> None:
    """The least cost of the rows is the one-step oracle that may drop."""
    x = comllm.generate("large", 10_001, slots=25)
    oracle = rollout(x, policies.make("one-step-oracle-drop"))
    env = OffloadingEnv(x)
    row, _ = env.reset(seed=0)
    over, info = False, {}
    while not over:
        options, _ = split(row)
        cost = np.where(options[:, 0] > 0, options[:, 2], np.inf)
        # Ties between a late option and the drop go to the drop.
        action = len(cost) - 1 if cost.min() >= cost[-1] else int(np.argmin(cost))
        row, _, over, _, info = env.step(action)
    assert np.array_equal(info["schedule"].choice, oracle.choice)


def test_bad_input() -> None:
    """Errors name the argument and the value."""
    with pytest.raises(ValueError, match="instances: is empty"):
        OffloadingEnv([])
    with pytest.raises(ValueError, match="max_options = 0"):
        OffloadingEnv(two_tasks(), max_options=0)
    with pytest.raises(ValueError, match="max_options = 1: a task has 2 options"):
        OffloadingEnv(two_tasks(), max_options=1).reset()
    with pytest.raises(ValueError, match="infinite drop cost"):
        OffloadingEnv(two_tasks(drop_cost_s=np.inf)).reset()
    with pytest.raises(ValueError, match="servers = "):
        ComllmSampler(servers=(0,))
    with pytest.raises(ValueError, match="max_options = 1"):
        join(np.zeros((3, 8)), np.zeros(3), 1)
