"""DQN over option rows: masks, training, resume. A few hundred decisions, not good ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("stable_baselines3")

from learning.offloading.policies import networks
from learning.offloading.states import decision_states as states
from learning.offloading.states.option_features import PRESENT, of_states
from learning.offloading.training import dqn
from learning.offloading.training.environment import make
from learning.offloading.training.reinforcement import CentredReward, Scores
from learning.runs import folder as training_run
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm

TINY = dqn.Settings(
    presets=("paper",),
    servers=(2, 3),
    steps=96,
    segment=32,
    environments=4,
    hidden=8,
    batch=8,
    memory=160,
    warmup=16,
    target_every=16,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dqn") / "run"
    return dqn.train(TINY, out, seed=0)


def test_absent_options_are_never_the_best() -> None:
    """Two servers in rows for five: whatever the weights, the maximum is an option that exists."""
    env = make(("paper",), (2,), max_options=6)
    observation, _ = env.reset(seed=0)
    torch.manual_seed(0)
    q = Scores(8)(torch.from_numpy(observation)[None])[0]
    assert env.action_masks()[int(q.argmax())]
    assert torch.all(q[~torch.from_numpy(env.action_masks())] == -1e6)


def test_exploration_draws_among_options_that_exist() -> None:
    """All decisions random: absent rows never come up, every other one does."""
    learner = dqn._Learner(TINY, 0)
    learner.model.exploration_rate = 1.0
    env = make(("paper",), (2,), max_options=4)
    observation, _ = env.reset(seed=0)
    drawn, _ = learner.model.predict(np.tile(observation, (200, 1)))
    assert set(drawn.tolist()) == set(np.flatnonzero(env.action_masks()).tolist())


def test_rewards_are_centred_and_nothing_else() -> None:
    """The wrapper adds four slots; masks are still to be had."""
    plain, centred = make(("paper",), (3,)), CentredReward(make(("paper",), (3,)))
    plain.reset(seed=1)
    centred.reset(seed=1)
    assert centred.step(0)[1] == pytest.approx(plain.step(0)[1] + 4.0)
    assert centred.get_wrapper_attr("action_masks")().sum() == 5


def test_training_leaves_a_whole_run(trained: Path) -> None:
    """Progress per segment, figures of the last one, and a policy that loads."""
    parameters, manifest, progress = training_run.read(trained)
    assert parameters["kind"] == "dqn"
    assert progress.step.tolist() == [32, 64, 96]
    assert np.isfinite(progress[["loss", "reward", "cost_slots"]]).all(axis=None)
    assert manifest["decisions"] == 96
    assert manifest["cost_slots"] == progress.cost_slots.iloc[-1]


def test_policy_acts_on_any_number_of_servers(trained: Path) -> None:
    """Trained on two and three servers, asked about seven; batch and single agree."""
    policy = networks.load(trained)
    x = comllm.generate("paper", 10_000, slots=10, servers=7)
    choice = rollout(x, policy).choice
    given = states.collect([x], policy)
    options = policy.decide(given)
    assert np.array_equal(np.where(options == 8, -1, options), choice)
    assert of_states(given)[0][np.arange(len(given)), options, PRESENT].all()


def test_interrupted_training_goes_on_as_if_nothing_happened(trained: Path, tmp_path: Path) -> None:
    """Stopped after two of three segments and resumed: the weights of an uninterrupted run."""

    def stop(step: int, *_: object) -> None:
        if step == 64:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dqn.train(TINY, tmp_path / "run", seed=0, on_progress=stop)
    dqn.train(TINY, tmp_path / "run", seed=0, resume=True)
    a = networks.load(trained).net.state_dict()
    b = networks.load(tmp_path / "run").net.state_dict()
    assert all(torch.allclose(a[name], b[name], atol=1e-6) for name in a)
    rows = training_run.read(trained)[2], training_run.read(tmp_path / "run")[2]
    assert np.allclose(rows[0], rows[1])


def test_seeds_decide(trained: Path, tmp_path: Path) -> None:
    """Another seed, other weights."""
    other = dqn.train(replace(TINY, steps=32), tmp_path / "run", seed=1)
    a, b = networks.load(trained).net.state_dict(), networks.load(other).net.state_dict()
    assert not torch.allclose(a["rest.0.weight"], b["rest.0.weight"])


def test_bad_settings() -> None:
    with pytest.raises(ValueError, match="gamma = 1.0"):
        dqn.Settings(gamma=1.0)
    with pytest.raises(ValueError, match="segment = 10 must be a multiple of environments = 8"):
        dqn.Settings(segment=10)
    with pytest.raises(ValueError, match="updates_per_step = 0.01 gives no update"):
        dqn.Settings(updates_per_step=0.01)
