"""The environment of T2DRL: checked by its libraries, priced like the core, blind to the future."""

import warnings
from dataclasses import fields, replace

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")
gymnasium_checker = pytest.importorskip("gymnasium.utils.env_checker")

from stable_baselines3.common.env_checker import check_env

from learning.caching import actions, environment, features, servers
from learning.caching.environment import CachingEnv, ServerBatch
from mecopt.caching import CachingInstance, Pair, replay
from mecopt.caching.scenarios import t2drl as caching


def draw(k):
    """Servers of small instances: 4 agents, 12 slots."""
    return caching.generate("ten", k // 2, agents=4, servers=2, slots=12), k % 2


def one_pair(requests, **changes):
    """One server with 10 GB and one pair of 6 GB, 2 thoughts a request, 1 vanishing a slot."""
    numbers = {"memory_gb": 6.0, "energy_j": 100.0, "thoughts": 2, "accuracy": 0.5} | changes
    pair = Pair("agent", cloud_cost=1.0, switch_cost=0.3, compute_cost=0.1, **numbers)
    return CachingInstance.from_pairs(
        [[requests]], [pair], capacity_gb=[10.0], energy_budget_j=[1000.0]
    )


def test_gymnasium_accepts_it():
    """Spaces, types, seeding and the five return values are as gymnasium wants them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unbounded observations are meant
        gymnasium_checker.check_env(CachingEnv(draw), skip_render_check=True)


def test_stable_baselines_accepts_it():
    """The same for stable-baselines3."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_env(CachingEnv(draw))


@pytest.mark.parametrize("layer", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_costs_are_those_of_the_core(seed, layer):
    """What random actions cost in the environment is what the core's replay finds, to 1e-9."""
    instance = caching.generate("ten", seed, servers=3, slots=40)
    run = ServerBatch(servers.of_instances([(instance, n) for n in range(3)]), layer=layer)
    rng = np.random.default_rng(seed)
    a, x = (np.zeros(instance.requests.shape, dtype) for dtype in (bool, np.int64))
    for t in range(40):
        run.step(rng.uniform(-1, 1, size=(3, 10, 2)))
        a[:, :, t], x[:, :, t] = run.a, run.x
    plan = replay(instance, a, x)  # raises if a decision does not fit
    assert run.done and x.sum() > 0
    assert np.allclose(plan.cost.sum(axis=(0, 2)), run.cost, rtol=1e-9)


def test_reward_is_what_was_saved_against_the_cloud():
    """Two requests in one slot, both served: cold, 2 x 2 - 1 = 3 thoughts.

    Accuracy cost 2.5 (1 - 0.5) / (3 log(1 / 0.92)) = 4.997 each; a request served saves
    1 - 0.1 - 4.997, two of them and one load: 2 (-4.097) - 0.3 = -8.494, in units of a request's
    cloud cost (1) and per pair (1).
    """
    env = CachingEnv(lambda k: (one_pair([2, 0]), 0))
    env.reset(seed=0)
    _, reward, terminated, truncated, info = env.step(np.array([[0.5, 1.0]]))
    accuracy = 1.25 / (3 * np.log(1 / 0.92))
    assert reward == pytest.approx(2 * (1 - 0.1 - accuracy) - 0.3, abs=1e-6)
    assert info["a"].tolist() == [True] and info["x"].tolist() == [2]
    assert (terminated, truncated) == (False, False)
    assert env.step(np.array([[-1.0, 1.0]]))[2]  # the second slot was the last


def test_score_and_share_of_an_action():
    """0 wants nothing; a share runs from none to all over the middle half of its range."""
    score, share = actions.scores_and_shares(
        np.array([[0.0, -1.0], [1.0, -0.25], [-1.0, 0.0], [5.0, 0.25]])
    )
    assert score[0] == 0
    assert score[1] == pytest.approx(np.expm1(6)) and score[3] == score[1]  # actions are cut
    assert score[2] == pytest.approx(-np.expm1(6))
    assert share.tolist() == [-1.5, 0.0, 0.5, 1.0]


def test_observation_knows_nothing_of_later_requests():
    """Changing the requests after slot t leaves the observations up to t as they were."""
    first = caching.generate("ten", 1, servers=1, slots=20)
    later = np.array(first.requests)
    later[:, :, 10:] += 3
    second = replace(first, requests=later)
    runs = [ServerBatch(servers.of_instances([(i, 0)])) for i in (first, second)]
    action = np.full((1, 10, 2), 0.3)
    for t in range(11):
        seen = [run.observe() for run in runs]
        assert np.array_equal(*seen) == (t < 10)
        for run in runs:
            run.step(action)


def test_without_averages_nothing_of_earlier_requests_is_known():
    """Idle servers that saw other requests before slot 5 observe the same from there on."""
    first = caching.generate("ten", 1, servers=1, slots=8)
    earlier = np.array(first.requests)
    earlier[:, :, :5] += 3
    second = replace(first, requests=earlier)
    idle = np.full((1, 10, 2), -1.0)
    for averages in (False, True):
        pair = [servers.of_instances([(i, 0)]) for i in (first, second)]
        runs = [ServerBatch(batch, averages=averages) for batch in pair]
        for t in range(8):
            same = np.array_equal(*[run.observe() for run in runs])
            assert same == (t >= 5 and not averages)
            for run in runs:
                run.step(idle)


def test_observation_does_not_depend_on_the_order_of_pairs():
    """Rows move with their pairs."""
    instance = caching.generate("ten", 2, servers=1, slots=5)
    order = np.random.default_rng(0).permutation(10)
    per_pair = {f.name: np.asarray(getattr(instance, f.name)) for f in fields(instance)}
    swapped = {name: value[order] for name, value in per_pair.items() if value.shape == (10,)}
    shuffled = replace(instance, requests=instance.requests[:, order], **swapped)
    rows = [ServerBatch(servers.of_instances([(i, 0)])).observe() for i in (instance, shuffled)]
    assert rows[0].shape == (1, 10, features.SIZE)
    assert np.array_equal(rows[0][:, order], rows[1])


def test_excess_is_charged_without_the_layer():
    """Without the feasibility layer the reward falls by the relative excess of what was wanted.

    Two pairs of 6 GB want 12 of 10 GB: an excess of 0.2; the first one is kept.
    """
    pair = dict(memory_gb=6.0, energy_j=10.0, thoughts=1, accuracy=1.0, cloud_cost=1.0)
    instance = CachingInstance.from_pairs(
        [[[0], [0]]],
        [Pair("first", **pair), Pair("second", **pair)],
        capacity_gb=[10.0],
        energy_budget_j=[1000.0],
    )
    env = CachingEnv(lambda k: (instance, 0), layer=False)
    env.reset()
    _, reward, *_, info = env.step(np.array([[0.1, 0.0], [0.5, 0.0]]))
    assert info["a"].tolist() == [True, False]
    assert reward == pytest.approx(-environment.PENALTY * 0.2)


def test_coupled_servers_are_refused():
    """A shared link makes several servers one problem, which this agent does not decide."""
    with pytest.raises(ValueError, match="coupled"):
        servers.of_instances([(caching.generate("backhaul", 0, slots=3), 0)])


def test_batches_must_agree_in_size():
    """Servers of instances with other numbers of pairs cannot advance together."""
    picks = [(caching.generate("ten", 0, agents=n, slots=3), 0) for n in (2, 3)]
    with pytest.raises(ValueError, match="differ"):
        servers.of_instances(picks)
