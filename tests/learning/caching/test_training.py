"""Training of T2DRL: seeded, resumable, loadable, and it learns on a small problem."""

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("stable_baselines3")

from learning.caching import hindsight, policy, servers, zoo
from learning.caching.environment import ServerBatch
from learning.caching.network import Agent
from learning.caching.train import Settings, drawn, mean_cost, train
from learning.caching.vectors import CachingVecEnv
from learning.runs import folder as training_run
from mecopt.caching.policies import by_name as rules
from mecopt.caching.rollout import rollout
from mecopt.caching.scenarios import t2drl as caching

TINY = Settings(
    changes={"agents": 4, "servers": 2, "slots": 12},
    rollouts=4,
    critic_rollouts=1,
    servers=8,
    copies=2,
    batch=32,
    hidden=16,
    tuning_instances=2,
    tuning_every=2,
)


class Interrupted(Exception):
    pass


def weights(folder):
    return policy.load(folder).agent.state_dict()


@pytest.mark.parametrize("test_time", [True, False])
def test_interrupted_and_resumed_is_uninterrupted(tmp_path, test_time):
    """Stopping after the third rollout and resuming gives the same weights and progress."""
    settings = replace(TINY, test_time=test_time)

    def stop(step, steps, figures):
        if step == 3:
            raise Interrupted

    whole = train(settings, tmp_path / "whole", seed=1)
    with pytest.raises(Interrupted):
        train(settings, tmp_path / "parts", seed=1, on_progress=stop)
    assert not (tmp_path / "parts" / "run.json").exists()
    parts = train(settings, tmp_path / "parts", seed=1, resume=True)
    for name, value in weights(whole).items():
        assert torch.allclose(value, weights(parts)[name], atol=1e-6), name
    progress = [training_run.read(folder)[2] for folder in (whole, parts)]
    assert np.allclose(progress[0]["cost_over_cloud"], progress[1]["cost_over_cloud"])
    assert progress[0]["step"].tolist() == [96, 192, 288, 384]  # 8 servers x 12 slots a rollout


def test_run_folder_says_what_was_done(tmp_path):
    """Parameters, versions, disjoint seeds and the policy's name stand in the folder."""
    folder = train(TINY, tmp_path / "run", seed=2)
    parameters, manifest, _ = training_run.read(folder)
    assert parameters["settings"]["changes"] == TINY.changes
    assert manifest["seeds"]["training"] >= 10_000 > manifest["seeds"]["tuning"][0] == 1_000
    about = json.loads((folder / "checkpoint" / "mecopt.json").read_text())
    assert about["kind"] == "t2drl" and about["name"] == "t2drl"


def test_ppo_is_the_same_without_the_layer(tmp_path):
    """Plain PPO has no fast weights and carries its own name."""
    folder = train(replace(TINY, test_time=False, rollouts=1), tmp_path / "run")
    trained = policy.load(folder)
    assert trained.name == "ppo" and trained.agent.layer is None


def test_checkpoints_say_what_is_observed(tmp_path):
    """A policy trained without averages is loaded without them."""
    folder = train(replace(TINY, averages=False, rollouts=1), tmp_path / "run")
    assert not policy.load(folder).averages
    assert policy.shipped("t2drl", "ten").averages  # checkpoints that do not say have them


@pytest.mark.parametrize(("layer", "averages"), [(True, True), (False, True), (True, False)])
def test_policy_costs_what_training_measured(layer, averages):
    """On the core's rollout a policy costs what the compiled batch says, and it is feasible."""
    torch.manual_seed(0)
    agent = Agent(test_time={"eta": 0.3})
    instance = caching.generate("ten", 3, servers=2, slots=30)
    plan = rollout(instance, policy.LearnedPolicy(agent, layer=layer, averages=averages))
    batch = servers.of_instances([(instance, n) for n in range(2)])
    cost = mean_cost(agent, batch, layer=layer, averages=averages)
    assert plan.objective == pytest.approx(cost.sum(), rel=1e-6)


def test_fast_weights_start_over_with_the_episode():
    """Two rollouts of one policy object are equal; without learning the layer is another policy."""
    torch.manual_seed(0)
    agent = Agent(test_time={"eta": 5.0})
    with torch.no_grad():
        agent.actor.last.weight.mul_(500)  # make corrections large enough to matter
    instance = caching.generate("ten", 1, servers=2, slots=30)
    one = policy.LearnedPolicy(agent)
    first, second = rollout(instance, one), rollout(instance, one)
    assert first.objective == second.objective
    still = rollout(instance, policy.LearnedPolicy(agent, learns=False))
    assert not np.array_equal(first.a, still.a) or not np.array_equal(first.x, still.x)


def test_any_number_of_agents():
    """One agent decides for 3 pairs and for 12: the network is shared between pairs."""
    agent = Agent(test_time={})
    for agents in (3, 12):
        instance = caching.generate("ten", 0, agents=agents, servers=1, slots=5)
        assert rollout(instance, policy.LearnedPolicy(agent)).objective > 0


def test_only_the_critic_looks_ahead():
    """Requests to come change the critic's input and not the actor's."""
    env = CachingVecEnv(drawn(TINY, 10_000), 2)
    seen = env.reset()
    env.batch.requests[:, :, 1:] += 5
    env.sums = hindsight.sums_to_come(env.batch)
    changed = env._observe()
    assert np.array_equal(seen["pairs"], changed["pairs"])
    assert (changed["to_come"][..., 0] > seen["to_come"][..., 0]).all()


def test_copies_share_their_requests():
    """Neighbouring environments meet the same requests, two episodes in four environments."""
    env = CachingVecEnv(drawn(TINY, 10_000), 4, copies=2)
    env.reset()
    requests = env.batch.requests
    assert np.array_equal(requests[0], requests[1]) and np.array_equal(requests[2], requests[3])
    assert not np.array_equal(requests[0], requests[2])
    assert env.episode == 2
    with pytest.raises(ValueError, match="copies = 3"):
        CachingVecEnv(drawn(TINY, 10_000), 4, copies=3)


def test_untrained_agent_is_its_first_guess():
    """An agent whose corrections are zero decides as the rule `first_guess` names."""
    batch = servers.of_instances([(caching.generate("ten", 5, servers=1, slots=40), 0)])
    rule = policy.first_guess().agent
    run = ServerBatch(batch)
    cost = mean_cost(rule, batch)
    cloud = (batch.cloud[:, :, None] * batch.requests).sum()
    assert cost.sum() < cloud
    assert run.slots == 40


def test_learning_beats_a_first_guess_that_is_wrong(tmp_path, monkeypatch):
    """With a first guess that wants nothing, everything that is gained is learned.

    Two agents whose models both fit: wanting them is right, and training finds out.
    """
    from learning.caching import network

    monkeypatch.setattr(network, "first_guess", lambda rows: torch.zeros(*rows.shape[:-1], 2))
    settings = replace(
        TINY,
        test_time=False,
        changes={"agents": 2, "servers": 2, "slots": 30, "requests_per_agent": 6.0},
        rollouts=25,
        servers=16,
        learning_rate=3e-3,
        noise=(0.3, 0.3),
        tuning_every=5,
    )
    _, manifest, _ = training_run.read(train(settings, tmp_path / "run"))
    assert manifest["tuning_cost"] < 0.8 * manifest["tuning_cost_first_guess"]


def test_unknown_checkpoints_are_refused(tmp_path):
    """A folder without a T2DRL checkpoint is named in the error."""
    with pytest.raises(ValueError, match="holds no trained policy"):
        policy.load(tmp_path)
    training_run.describe_checkpoint(tmp_path, "dqn")
    with pytest.raises(ValueError, match="'dqn' is no 't2drl' checkpoint"):
        policy.load(tmp_path)
    with pytest.raises(ValueError, match="none is shipped"):
        policy.shipped("t2drl", "nowhere")


def test_coupled_presets_are_refused(tmp_path):
    """Training on servers that share a link is an error before any work."""
    with pytest.raises(ValueError, match="coupled"):
        train(Settings(preset="backhaul", rollouts=1), tmp_path / "run")


@pytest.mark.parametrize("preset", policy.PRESETS)
@pytest.mark.parametrize("name", ["t2drl", "ppo"])
def test_shipped_checkpoints_beat_the_myopic_rule(name, preset):
    """On a test seed each shipped agent costs less than the exact myopic rule."""
    instance = caching.generate(preset, 3, servers=2)
    learned = rollout(instance, getattr(zoo, name)())
    assert learned.objective < rollout(instance, rules.make("myopic")).objective


def test_by_name_comes_the_checkpoint_of_the_instances_preset():
    """`sticky` and `ten` have their own weights, other presets use those of `ten`."""
    chosen = {}
    for preset in ("ten", "sticky", "fast"):
        one = zoo.ppo()
        one.reset(caching.generate(preset, 0, servers=1, slots=2, agents=3).blinded)
        chosen[preset] = one._policy.agent.actor.last.weight
    assert torch.equal(chosen["ten"], chosen["fast"])
    assert not torch.equal(chosen["ten"], chosen["sticky"])
