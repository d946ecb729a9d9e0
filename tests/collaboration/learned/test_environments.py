"""The process behind the interfaces of gymnasium and PettingZoo, by their own checkers."""

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")
pettingzoo_test = pytest.importorskip("pettingzoo.test")

from gymnasium.utils.env_checker import check_env

from learning.collaboration.environments import single
from learning.collaboration.environments.episodes import LedrlSampler
from learning.collaboration.environments.parallel import CollaborationParallelEnv
from learning.collaboration.environments.vector import CollaborationVectorEnv
from mecopt.collaboration.scenarios import ledrl

SHORT = LedrlSampler(changes={"slots": 4})


def test_gymnasium_accepts_it():
    """Spaces, seeds, types; the replay of what was decided comes with the last step."""
    env = gymnasium.make("mecopt/Collaboration-v0", instances=SHORT)
    check_env(env.unwrapped)
    observation, info = env.reset(seed=3)
    total, over = 0.0, False
    while not over:
        assert np.array_equal(env.unwrapped.action_masks(), observation["action_mask"] == 1)
        action = int(observation["action_mask"].argmax())
        observation, reward, over, _, info = env.step(action)
        total += reward
    schedule = info["schedule"]
    tasks = schedule.instance.n_tasks
    assert info["invalid"] == 0
    assert total == pytest.approx((1 - 2 * schedule.drop_rate) * tasks)  # nobody sends
    with pytest.raises(RuntimeError, match="the episode is over"):
        env.unwrapped.step(0)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_pettingzoo_accepts_it():
    """Its test of parallel environments, and of their seeds."""
    pettingzoo_test.parallel_api_test(CollaborationParallelEnv(SHORT), num_cycles=60)
    pettingzoo_test.parallel_seed_test(lambda: CollaborationParallelEnv(SHORT), num_cycles=20)


def test_one_agent_at_a_time():
    """Only the node where the task is has a choice; its answer alone counts."""
    x = ledrl.generate("paper", 10_001, slots=3)
    team, alone = CollaborationParallelEnv(x), single.CollaborationEnv(x)
    told, infos = team.reset(seed=0)
    observation, info = alone.reset(seed=0)
    while team.agents:
        turn = f"node_{info['node']}"
        assert infos[turn]["node"] == info["node"]
        for agent, seen in told.items():
            if agent == turn:
                assert np.array_equal(seen["rows"], observation["rows"])
            else:
                assert seen["action_mask"].tolist() == [1, 0, 0, 0]
        action = int(np.flatnonzero(observation["action_mask"])[-1])
        told, rewards, _, _, infos = team.step({a: action if a == turn else 0 for a in told})
        observation, reward, _, _, info = alone.step(action)
        assert set(rewards.values()) == {reward}
    with pytest.raises(ValueError, match="nodes = 3: the instance has 10"):
        CollaborationParallelEnv(x, nodes=3).reset()


def test_many_at_once_are_each_alone():
    """Three episodes in step give the rewards of each by itself, and begin anew when over."""
    x = ledrl.generate("paper", 10_002, slots=4)
    many, alone = CollaborationVectorEnv(3, x), single.CollaborationEnv(x)
    seen, _ = many.reset(seed=0)
    assert many.observation_space.contains(seen)
    observation, _ = alone.reset(seed=0)
    over = False
    while not over:
        assert (seen["rows"] == observation["rows"]).all()
        action = int(np.flatnonzero(observation["action_mask"])[-1])
        seen, rewards, overs, _, infos = many.step(np.full(3, action))
        observation, reward, over, _, info = alone.step(action)
        assert rewards.tolist() == [reward] * 3
        assert overs.tolist() == [over] * 3
    late = info["schedule"].drop_rate
    assert infos["on_time"].tolist() == [round((1 - late) * x.n_tasks)] * 3
    assert np.array_equal(seen["rows"], many.reset(seed=1)[0]["rows"])


def test_registered_with_its_vectorised_form():
    """`gymnasium.make_vec` makes the compiled one; equal seeds draw equal episodes."""
    first, second = (
        gymnasium.make_vec("mecopt/Collaboration-v0", num_envs=2, instances=SHORT, episodes=2)
        for _ in range(2)
    )
    assert isinstance(first.unwrapped, CollaborationVectorEnv)
    assert np.array_equal(first.reset(seed=5)[0]["rows"], second.reset(seed=5)[0]["rows"])


def test_what_cannot_be_drawn_is_refused():
    """Test seeds, unknown parameters, nothing to draw from."""
    with pytest.raises(ValueError, match="seed 0 is not one of train"):
        LedrlSampler(first_seed=0, seeds=1)
    with pytest.raises(ValueError, match="unknown"):
        LedrlSampler(changes={"colour": 3})
    with pytest.raises(ValueError, match="instances: is empty"):
        CollaborationVectorEnv(2, [])
    with pytest.raises(ValueError, match="num_envs = 0"):
        CollaborationVectorEnv(0)
    with pytest.raises(RuntimeError, match=r"call reset\(\) first"):
        CollaborationVectorEnv(1, SHORT).step(np.array([0]))
