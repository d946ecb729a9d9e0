"""Trainings that cannot go well: diverging weights, hardly any steps, batches beyond the data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
pytest.importorskip("stable_baselines3")

from typer.testing import CliRunner

from learning.caching import train as caching
from learning.market import train as auctioneer
from learning.offloading.training import (
    cost_vectors,
    dqn,
    grpo,
    multi_turn,
    ppo,
    pretrained,
    sft,
)
from learning.runs import divergence
from learning.runs import folder as training_run
from learning.runs.divergence import TrainingDiverged
from mecopt.cli import app

SFT = sft.Settings(
    states=16, steps=2, batch=4, hidden=16, layers=1, log_every=20, save_every=20, drawn=0.0
)
GRPO = grpo.Settings(presets=("paper",), episodes=1, drawn_episodes=0, states_per_step=2, steps=2)
TURNS = multi_turn.Settings(presets=("paper",), slots=3, episodes_per_step=2, steps=2, group=2)
NETWORK = cost_vectors.EquivariantSettings(
    presets=("paper",),
    servers=(2,),
    episodes=1,
    drawn=0,
    labels="user-values",
    hidden=8,
    steps=4,
    batch=8,
    log_every=20,
)
DQN = dqn.Settings(
    presets=("paper",), servers=(2,), steps=64, segment=32, environments=4, hidden=8, batch=8,
    memory=160, warmup=16, target_every=16,
)  # fmt: skip
PPO = ppo.Settings(
    presets=("paper",), servers=(2,), steps=64, segment=32, environments=4, hidden=8, batch=8,
    horizon=8, epochs=2,
)  # fmt: skip
CACHING = caching.Settings(
    changes={"agents": 4, "servers": 2, "slots": 12}, rollouts=2, critic_rollouts=0,
    warm_rollouts=1, servers=8, copies=2, batch=32, hidden=16, tuning_instances=1,
)  # fmt: skip
PRETRAINED = pretrained.Settings(
    presets=("paper",), form="natural", mode="score", states=4, batch=2, rank=2, group=2
)
TRAININGS = {
    "sft": (sft, SFT),
    "grpo": (grpo, GRPO),
    "multi-turn": (multi_turn, TURNS),
    "cost-vectors": (cost_vectors, NETWORK),
    "dqn": (dqn, DQN),
    "ppo": (ppo, PPO),
    "caching": (caching, CACHING),
    "pretrained": (pretrained, PRETRAINED),
}


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Path:
    """An embedded model that was trained for two steps."""
    return sft.train(SFT, tmp_path_factory.mktemp("start") / "sft", seed=0)


@pytest.fixture
def fit(start, byte_model, tmp_path):
    """Train by a name of `TRAININGS`, with changes."""

    def run(name, **changes):
        module, settings = TRAININGS[name]
        if name in ("grpo", "multi-turn"):
            changes = {"start": str(start), **changes}
        if name == "pretrained":
            changes = {"model": str(byte_model), **changes}
        return module.train(replace(settings, **changes), tmp_path / "run", seed=0, resume=True)

    return run


# ------------------------------------------------------------------------------------ divergence
@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_training_that_diverges_says_so_in_one_line(fit, name):
    """By a learning rate beyond all measure, and whatever the library underneath makes of it."""
    longer = {"states": 20} if name == "pretrained" else {}
    if name in ("sft", "grpo", "multi-turn", "cost-vectors"):
        longer = {"steps": 10}
    with pytest.raises(TrainingDiverged, match=r"not finite after step \d+") as caught:
        fit(name, learning_rate=1e12, **longer)
    assert "\n" not in str(caught.value)


def test_an_auctioneer_that_diverges_says_so(tmp_path, monkeypatch):
    """Its networks would choose the first jump for ever."""
    monkeypatch.setattr(auctioneer, "MARKETS", auctioneer.MARKETS[:50])
    settings = auctioneer.Settings(traders=5, steps=20, auctions=8, learning_rate=1e25)
    with pytest.raises(TrainingDiverged, match=r"not finite after step \d+"):
        auctioneer.train(settings, tmp_path / "run", seed=0)


@pytest.mark.parametrize("name", ["grpo", "cost-vectors"])
def test_the_last_state_from_before_is_kept(fit, tmp_path, monkeypatch, name):
    """A weight turns infinite in step 3, with states of every step: that of step 2 is left, and
    the training that goes on from it ends."""
    every = {"steps": 4, "log_every" if name == "cost-vectors" else "save_steps": 1}
    step, torn = torch.optim.AdamW.step, []

    def tear(self, *args, **kwargs):
        found = step(self, *args, **kwargs)
        torn.append(None)
        if len(torn) == 3:
            with torch.no_grad():
                self.param_groups[0]["params"][0].view(-1)[0] = float("inf")
        return found

    monkeypatch.setattr(torch.optim.AdamW, "step", tear)
    with pytest.raises(TrainingDiverged, match=r"after step 3 .*; .*run keeps the state of step 2"):
        fit(name, **every)
    fit(name, **every)
    assert len(torn) == 3 + 2
    assert training_run.read(tmp_path / "run")[2].step.max() == 4


def test_the_command_says_it_in_one_line(start, tmp_path):
    """Status 2 and no traceback."""
    few = ["presets=paper", "episodes=1", "drawn_episodes=0", "states_per_step=2"]
    changes = [word for text in [*few, "learning_rate=1e12"] for word in ("--set", text)]
    out = ["--out", str(tmp_path / "run"), "--steps", "10"]
    done = CliRunner().invoke(app, ["train", "grpo", "--start", str(start), *out, *changes])
    assert done.exit_code == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("mecopt: ") and "not finite after step" in last
    assert "Traceback" not in done.stderr


def test_outputs_are_looked_at_within_the_block_only():
    """Weights of 1e30 in two layers: finite, but 1e60 is not; the message says which it is."""
    net = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Linear(1, 1))
    with torch.no_grad():
        for weight in net.parameters():
            weight.fill_(1e30)
    with (
        pytest.raises(TrainingDiverged, match="outputs are not finite after step 7"),
        divergence.watch([net], lambda: 7),
    ):
        net(torch.ones(1, 1))
    assert not net(torch.ones(1, 1)).isfinite()
    with torch.no_grad():
        net[0].weight.fill_(float("nan"))
    with (
        pytest.raises(TrainingDiverged, match=r"weights are not finite after step 8 \(0.weight\)"),
        divergence.watch([net], lambda: 8),
    ):
        net(torch.ones(1, 1))


# ------------------------------------------------------------------------- few steps, little data
@pytest.mark.parametrize("steps", [1, 19, 20, 21])
def test_few_steps_of_cost_vectors(fit, steps):
    """A twentieth of 20 steps is one, by which, less one, the schedule would divide."""
    assert training_run.read(fit("cost-vectors", steps=steps))[2].step.max() == steps


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("sft", {"steps": 1}),
        ("sft", {"states": 1, "batch": 64}),
        ("grpo", {"steps": 1}),
        ("multi-turn", {"steps": 1, "episodes_per_step": 1, "slots": 1}),
        ("cost-vectors", {"batch": 5000}),
        ("dqn", {"steps": 1}),
        ("dqn", {"batch": 5000, "memory": 1, "warmup": 0}),
        ("ppo", {"steps": 1}),
        ("ppo", {"batch": 5000}),
        ("caching", {"rollouts": 1}),
        ("caching", {"rollouts": 1, "batch": 5000, "servers": 1, "copies": 1}),
        ("pretrained", {"states": 1, "batch": 1}),
        ("pretrained", {"states": 1, "batch": 1, "method": "grpo"}),
    ],
)
@pytest.mark.filterwarnings("ignore:You have specified a mini-batch size:UserWarning")
def test_the_smallest_trainings_end(fit, name, changes):
    """One step, one state, one episode, a batch that is larger than the data."""
    assert training_run.read(fit(name, **changes))[1]["status"] == "complete"


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("grpo", {"states_per_step": 5000}, "states_per_step = 5000 is more than the .* states"),
        ("caching", {"servers": 1, "copies": 1, "changes": {"servers": 2, "slots": 1}}, "servers"),
    ],
)
def test_too_little_data_is_refused(fit, name, changes, message):
    """Where the library would train nothing, or fail."""
    with pytest.raises(ValueError, match=message):
        fit(name, **changes)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("sft", {"presets": ()}, "presets: is empty"),
        ("sft", {"servers": ()}, "servers: is empty"),
        ("grpo", {"behaviours": ()}, "behaviours: is empty"),
        ("multi-turn", {"presets": ()}, "presets: is empty"),
        ("cost-vectors", {"servers": ()}, "servers: is empty"),
        ("dqn", {"presets": ()}, "presets: is empty"),
        ("dqn", {"memory": 0}, "memory = 0 must be >= 1"),
        ("dqn", {"explore_to": 2.0}, "explore_to = 2.0"),
        ("ppo", {"batch": 1}, "batch = 1 must be >= 2"),
        ("ppo", {"segment": 1, "environments": 1, "horizon": 1}, "environments x horizon = 1"),
        ("ppo", {"temperature_slots": 0.0}, "temperature_slots = 0.0"),
        ("caching", {"warm_rollouts": 0}, "warm_rollouts = 0"),
        ("caching", {"tuning_every": 0}, "tuning_every = 0"),
        ("caching", {"servers": 7}, "servers = 7 must be a multiple of copies = 2"),
        ("caching", {"fast_hidden": 30}, "fast_hidden = 30 must be a multiple of fast_heads = 4"),
        ("caching", {"noise": (0.1, 0.0)}, r"noise = \(0.1, 0.0\)"),
    ],
)
def test_settings_that_no_training_can_have(name, changes, message):
    with pytest.raises(ValueError, match=message):
        replace(TRAININGS[name][1], **changes)


def test_the_reward_of_a_short_last_segment(tmp_path):
    """33 decisions in segments of 32, four at a time: the last holds four, and a mean over 32 would
    count decisions of the segment before."""
    rows = training_run.read(dqn.train(replace(DQN, steps=33), tmp_path / "run", seed=0))[2]
    assert rows.step.tolist() == [32, 36]

    class Memory:
        n_envs, buffer_size, pos = 4, 40, 9
        rewards = torch.arange(40.0)[:, None].expand(40, 4).numpy()

    learner = dqn._Learner(DQN, 0)
    learner.model._logger = type("L", (), {"name_to_value": {}})()
    learner.prepare(0.0)
    learner.model.num_timesteps, learner.model.replay_buffer = 4, Memory()
    assert learner.figures()["reward"] == 8.0 - 4.0  # the entry before `pos`, less the shift
