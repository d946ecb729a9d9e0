"""Maskable PPO over option rows: masks, training, resume. A few hundred decisions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sb3_contrib")

from learning.offloading.policies import networks
from learning.offloading.training import ppo
from learning.offloading.training.environment import make
from learning.runs import folder as training_run
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm

TINY = ppo.Settings(
    presets=("paper",),
    servers=(2, 3),
    steps=96,
    segment=32,
    environments=4,
    horizon=8,
    hidden=8,
    batch=16,
    epochs=2,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ppo") / "run"
    return ppo.train(TINY, out, seed=0)


def test_absent_options_are_never_sampled() -> None:
    """Two servers in rows for three: the masked distribution gives the absent one no chance."""
    learner = ppo._Learner(TINY, 0)
    env = make(("paper",), (2,), max_options=4)
    observation, _ = env.reset(seed=0)
    distribution = learner.model.policy.get_distribution(
        torch.from_numpy(observation)[None], env.action_masks()
    )
    chance = distribution.distribution.probs[0].detach()
    assert env.action_masks().tolist() == [True, True, True, False, True]
    assert chance[3] == 0.0 and float(chance.sum()) == pytest.approx(1.0)


def test_training_leaves_a_whole_run(trained: Path) -> None:
    """Progress per segment, and a policy that decides for other numbers of servers."""
    parameters, manifest, progress = training_run.read(trained)
    assert parameters["kind"] == "ppo"
    assert progress.step.tolist() == [32, 64, 96]
    assert np.isfinite(progress[["loss", "reward", "cost_slots"]]).all(axis=None)
    assert manifest["cost_slots"] == progress.cost_slots.iloc[-1]
    policy = networks.load(trained)
    assert (policy.name, policy.parse_rate) == ("ppo", 1.0)
    choice = rollout(comllm.generate("paper", 10_000, slots=5, servers=9), policy).choice
    assert choice.max() <= 9


def test_interrupted_training_goes_on_as_if_nothing_happened(trained: Path, tmp_path: Path) -> None:
    """Stopped after one of three segments and resumed: the weights of an uninterrupted run."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ppo.train(TINY, tmp_path / "run", seed=0, on_progress=stop)
    ppo.train(TINY, tmp_path / "run", seed=0, resume=True)
    a = networks.load(trained).net.state_dict()
    b = networks.load(tmp_path / "run").net.state_dict()
    assert all(torch.allclose(a[name], b[name], atol=1e-6) for name in a)


def test_bad_settings() -> None:
    with pytest.raises(ValueError, match="segment = 100 must be a multiple of environments x"):
        ppo.Settings(segment=4 * 25, environments=4, horizon=10)
    with pytest.raises(ValueError, match="steps = 0"):
        ppo.Settings(steps=0)
