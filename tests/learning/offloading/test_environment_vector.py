"""The compiled environment: rows, masks and rewards of the single one, decisions of a rollout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")

from gymnasium.vector import AutoresetMode, SyncVectorEnv

from learning.offloading.training.environment import ComllmSampler, OffloadingEnv, make, split
from learning.offloading.training.environment_vector import OffloadingVectorEnv, make_vec
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.policies import by_name as policies
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm

SHORT = comllm.generate("large", 10_001, slots=15)


def failing(parallel: bool) -> OffloadingInstance:
    """Eight tasks over a link and two servers of which one is down from 0.35 to 0.6 s.

    With `parallel`, a task computes on both servers at once: a failure cancels the other half.
    """
    resources = [
        Resource("up", kind="uplink"),
        Resource("one", capacity=2, down_s=[(0.35, 0.6)]),
        Resource("two"),
    ]
    both = Option("both", (Stage("one", 0.2, 0.15), Stage("two", 0.1, after=())))
    either = (
        Option("one", (Stage("up", 0.1), Stage("one", 0.2))),
        Option("two", (Stage("up", 0.1), Stage("two", 0.3)), fixed_cost_s=-0.05),
    )
    options = (*either, both) if parallel else either
    tasks = [
        Task(0.08 * k, options, f"user{k % 3}", deadline_s=0.9, drop_cost_s=1.5, latency_weight=1.3)
        for k in range(8)
    ]
    return OffloadingInstance.from_tasks(resources, tasks)


def same_as_alone(x: OffloadingInstance, rng: np.random.Generator, **settings: Any) -> None:
    """Play one episode of everything, with any action in the space, beside the single one."""
    many = OffloadingVectorEnv(2, x, max_options=8, **settings)
    alone = OffloadingEnv(x, max_options=8, **settings)
    seen, _ = many.reset(seed=3)
    row, _ = alone.reset(seed=0, options={"user": int(many.users[0])})
    over = False
    while not over:
        assert np.array_equal(seen[0], row)
        assert np.array_equal(many.action_masks()[0], alone.action_masks())
        action = int(rng.integers(9))
        if rng.random() < 0.8:
            action = int(rng.choice(np.flatnonzero(alone.action_masks())))
        second = int(many.action_masks()[1].argmax())
        seen, rewards, overs, _, infos = many.step(np.array([action, second]))
        row, reward, over, _, info = alone.step(action)
        assert rewards[0] == reward
        assert overs[0] == over
    assert infos["invalid"][0] == info["invalid"]
    assert infos["tasks"][0] == x.n_tasks
    assert infos["cost_slots"][0] == pytest.approx(info["schedule"].objective / 0.1, rel=1e-12)


@pytest.mark.parametrize("single_user", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_equal_to_the_single_environment(single_user: bool, seed: int) -> None:
    """COMLLM episodes of every size up to the observation's: equal to the last bit."""
    preset = ("paper", "busy", "large", "slow-servers")[seed]
    x = comllm.generate(preset, 10_000 + seed, servers=3 + seed, slots=20)
    same_as_alone(x, np.random.default_rng(seed), single_user=single_user)


@pytest.mark.parametrize("single_user", [False, True])
@pytest.mark.parametrize("parallel", [False, True])
def test_equal_where_servers_fail(single_user: bool, parallel: bool) -> None:
    """Down times, two units, fixed costs, weights, parallel stages that a failure cancels."""
    for seed in range(6):
        same_as_alone(failing(parallel), np.random.default_rng(seed), single_user=single_user)


def test_equal_to_gymnasiums_own_vector_of_single_environments() -> None:
    """Three places, two episodes one after the other, against `SyncVectorEnv`."""
    mode = AutoresetMode.SAME_STEP
    theirs = SyncVectorEnv([lambda: OffloadingEnv(SHORT)] * 3, autoreset_mode=mode)
    ours = OffloadingVectorEnv(3, SHORT)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    (a, _), (b, _) = ours.reset(seed=0), theirs.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(2 * SHORT.n_tasks):
        assert np.array_equal(a, b)
        actions = (rng.random((3, 13)) * ours.action_masks()).argmax(axis=1)
        (a, *ours_said, _), (b, *theirs_said, _) = ours.step(actions), theirs.step(actions)
        for mine, other in zip(ours_said, theirs_said, strict=True):
            assert np.array_equal(mine, other)


def test_same_decisions_as_a_rollout() -> None:
    """The least cost of the rows is the one-step oracle that may drop, task after task."""
    oracle = rollout(SHORT, policies.make("one-step-oracle-drop"))
    envs = OffloadingVectorEnv(1, SHORT)
    rows, _ = envs.reset(seed=0)
    earned = 0.0
    for k in range(SHORT.n_tasks):
        assert envs.tasks[0] == k
        options, _ = split(rows[0])
        cost = np.where(options[:, 0] > 0, options[:, 2], np.inf)
        # Ties between a late option and the drop go to the drop.
        action = len(cost) - 1 if cost.min() >= cost[-1] else int(np.argmin(cost))
        assert (-1 if action == len(cost) - 1 else action) == oracle.choice[k]
        rows, reward, over, _, infos = envs.step(np.array([action]))
        earned += reward[0]
    assert over.all()
    assert earned == pytest.approx(-oracle.objective / 0.1, rel=1e-9)
    assert infos["cost_slots"][0] == pytest.approx(oracle.objective / 0.1, rel=1e-12)


def test_forbidden_drop_runs_the_best_and_counts() -> None:
    """One option of 0.3 s that must run: asking for the drop costs 3 slots and counts once."""
    only = (Option("run", (Stage("cpu", 0.3),)),)
    x = OffloadingInstance.from_tasks([Resource("cpu")], [Task(0.0, only, "ann")])
    envs = OffloadingVectorEnv(1, x, max_options=2)
    envs.reset(seed=0)
    assert envs.action_masks().tolist() == [[True, False, False]]
    _, reward, over, _, infos = envs.step(np.array([2]))
    assert (reward[0], over[0], infos["invalid"][0]) == (pytest.approx(-3.0), True, 1)


def test_by_name_and_equal_seeds() -> None:
    """`gymnasium.make_vec` makes the compiled one; equal seeds draw equal episodes and users."""
    kwargs = {"num_envs": 4, "episodes": 3, "single_user": True}
    first, second = (gymnasium.make_vec("mecopt/Offloading-v0", **kwargs) for _ in range(2))
    assert isinstance(first.unwrapped, OffloadingVectorEnv)
    a, b = first.reset(seed=5)[0], second.reset(seed=5)[0]
    assert np.array_equal(a, b)
    assert first.observation_space.contains(a)
    assert np.array_equal(first.unwrapped.users, second.unwrapped.users)
    assert not np.array_equal(a, second.reset(seed=6)[0])


def test_returned_arrays_are_the_callers() -> None:
    """A step does not write into what an earlier one returned."""
    envs = OffloadingVectorEnv(2, SHORT)
    before, _ = envs.reset(seed=0)
    kept = before.copy()
    _, rewards, *_ = envs.step(np.array([1, 0]))
    first = rewards.copy()
    envs.step(np.array([0, 1]))
    assert np.array_equal(before, kept)
    assert np.array_equal(rewards, first)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (-3, r"action = -3 must be in 0\.\.12"),
        (99, r"action = 99 must be in 0\.\.12"),
        (2.7, "action = 2.7 must be a whole number"),
        (True, "must be a whole number"),
        ("1", "must be a whole number"),
        ([1, 1], r"shape \(2,\)"),
    ],
)
def test_what_is_no_action_is_refused(action: Any, message: str) -> None:
    """By both environments; nothing is decided by it."""
    one, many = OffloadingEnv(SHORT), OffloadingVectorEnv(1, SHORT)
    one.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        one.step(action)
    many.reset(seed=0)
    if not isinstance(action, list):
        with pytest.raises(ValueError, match=message.replace("action = 2.7 must", "must")):
            many.step(np.array([action]))
        assert many.tasks[0] == 0


def test_bad_input() -> None:
    """Errors name the argument and the value."""
    with pytest.raises(ValueError, match="num_envs = 0"):
        make_vec(0)
    with pytest.raises(ValueError, match="episodes = 0"):
        make_vec(1, episodes=0)
    with pytest.raises(ValueError, match="instances: is empty"):
        OffloadingVectorEnv(1, [])
    with pytest.raises(ValueError, match="max_options = 0"):
        OffloadingVectorEnv(1, SHORT, max_options=0)
    with pytest.raises(ValueError, match="max_options = 1: a task has 7 options"):
        OffloadingVectorEnv(1, SHORT, max_options=1).reset()
    with pytest.raises(RuntimeError, match=r"call reset\(\) first"):
        OffloadingVectorEnv(1, SHORT).step(np.array([0]))
    envs = make_vec(2, instances=ComllmSampler(("paper",), (3,)), episodes=1)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=r"shape \(3,\), expected \(2,\)"):
        envs.step(np.zeros(3, dtype=int))
    with pytest.raises(ValueError, match="user = 77 has no task"):
        make(single_user=True).reset(seed=0, options={"user": 77})
