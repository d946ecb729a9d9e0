"""GRPO of the embedded model: rewards, groups, resuming, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

from learning.language import tiny_model
from learning.language.one_token_grpo import _first_of_equals, exact_advantages
from learning.offloading.rewards import rewards
from learning.offloading.states import decision_states as states
from learning.offloading.training import grpo
from learning.offloading.training.grpo import Settings
from learning.runs import hugging_face
from learning.runs.divergence import TrainingDiverged
from learning.runs.folder import TrainingRun
from mecopt.offloading.scenarios import comllm

#: Nothing is used that transformers, TRL or peft will not know any more.
pytestmark = pytest.mark.filterwarnings("error::FutureWarning", "error::DeprecationWarning")

HIDDEN = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    tiny_model.save(tiny_model.create(0, **HIDDEN), folder)
    return folder


def tiny(start: Path, **changes: object) -> Settings:
    """Two updates of four states, a state kept after each."""
    small = Settings(
        start=str(start),
        presets=("paper",),
        episodes=1,
        drawn_episodes=0,
        behaviours=("one-step-oracle",),
        group=4,
        states_per_step=4,
        steps=2,
        save_steps=1,
        reward="lacs-lambda0",
    )
    return replace(small, **changes)  # type: ignore[arg-type]


def weights(run: Path) -> dict[str, object]:
    return tiny_model.load(run / "checkpoint").state_dict()


def equal(a: dict, b: dict) -> bool:
    return all(torch.allclose(value, b[name], atol=1e-7) for name, value in a.items())


# -------------------------------------------------------------------------------------- rewards
def test_the_reward_is_a_function_of_answers_and_columns():
    """Two groups of two answers: spreads 20 - 2.5 = 17.5 and 0; one of four names nothing."""
    logged: dict[str, float] = {}
    earned = grpo.decision_reward(
        ["s02", "drop", "s09", "s09"],
        options=[["local", "s02", "drop"]] * 4,
        cost=[[6.0, 2.5, 20.0]] * 4,
        group=2,
        log_metric=logged.__setitem__,
    )
    assert earned == [-2.5, -20.0, -25.0, -25.0]
    assert logged == {
        "group_spread_slots": 8.75,
        "groups_without_spread": 0.5,
        "parse_rate": 0.5,
    }


def test_rows_name_the_options_that_the_prompt_lists():
    found = states.collect([comllm.generate("paper", 0, slots=4)])
    rows = grpo.dataset(found, found.one_step_cost_slots, seed=3)
    for row in rows:
        assert row["options"][0] == "local" and row["options"][-1] == "drop"
        assert all(name in row["prompt"] for name in row["options"][1:-1])
        assert len(row["cost"]) == len(row["options"]) == len(row["option_ids"]) == 8


def test_drawn_settings_widen_what_is_seen():
    """Servers of drawn settings are up to 8 times slower than the slowest of a preset (20 GHz)."""
    narrow = Settings(presets=("paper",), episodes=1, drawn_episodes=0, reward="lacs-lambda0")
    few, _ = grpo.collect(narrow, seed=0)
    many, cost = grpo.collect(replace(narrow, drawn_episodes=3), seed=0)
    assert few.server_ghz.min() > 20 > many.server_ghz.min()
    assert len(many) == len(cost) > len(few)


# --------------------------------------------------------------------------------- exact groups
def test_exact_advantages_give_the_gradient_of_the_expected_reward():
    """Surrogate mean(pi / pi_old * A) against autograd of sum pi r, with mass on no option."""
    torch.manual_seed(0)
    logits = torch.randn(1, 5, requires_grad=True)
    reward = torch.tensor([[-3.0, -5.0, -20.0]])
    share = logits.softmax(dim=1)[:, :3]
    rest = 1 - share.sum()
    (wanted,) = torch.autograd.grad((share * reward).sum() - 25 * rest, logits)
    share = logits.softmax(dim=1)[:, :3]
    advantage = exact_advantages(reward, share.detach(), torch.tensor([-25.0]))
    surrogate = (share / share.detach() * advantage).mean()
    (found,) = torch.autograd.grad(surrogate, logits)
    cosine = torch.nn.functional.cosine_similarity(found, wanted)
    assert cosine.item() == pytest.approx(1.0, abs=1e-5)


def test_a_worth_of_entropy_makes_softmax_of_the_reward_the_best_policy():
    """Its surrogate has the gradient of sum pi (r - r0 - tau log pi), none at softmax(r / tau)."""
    reward, tau = torch.tensor([[-3.0, -3.2, -4.0]]), 0.5
    logits = torch.tensor([[0.3, -0.4, 0.1, 0.2]], requires_grad=True)
    share = logits.softmax(dim=1)[:, :3]
    (wanted,) = torch.autograd.grad((share * (reward + 25 - tau * share.log())).sum(), logits)
    share = logits.softmax(dim=1)[:, :3]
    none = torch.tensor([-25.0])
    advantage = exact_advantages(reward, share.detach(), none, entropy_slots=tau)
    (found,) = torch.autograd.grad((share / share.detach() * advantage).mean(), logits)
    assert torch.allclose(found, wanted, atol=1e-5)
    best = (reward / tau).requires_grad_()
    share = best.softmax(dim=1)
    advantage = exact_advantages(reward, share.detach(), none, entropy_slots=tau)
    (still,) = torch.autograd.grad((share / share.detach() * advantage).mean(), best)
    assert still.abs().max() < 1e-5


def test_repeated_options_of_a_group_count_once():
    answer = torch.tensor([[3, 7, 4, 4, 4]])
    assert _first_of_equals(answer).tolist() == [[1, 1, 1, 0, 0]]


# ------------------------------------------------------------------------------------- training
def test_training_leaves_a_run_with_a_policy_that_reads_it(start, tmp_path):
    seen = []
    run = grpo.train(tiny(start), tmp_path / "run", seed=0, on_progress=lambda *a: seen.append(a))
    assert not equal(weights(run), tiny_model.load(start).state_dict())
    progress = pd.read_parquet(run / "progress.parquet")
    assert {"step", "loss", "reward", "parse_rate", "groups_without_spread"} <= set(progress)
    assert seen[-1][:2] == (2, 2)
    described = json.loads((run / "checkpoint" / "mecopt.json").read_text())
    assert described["kind"] == "language"


def test_equal_seeds_equal_weights_and_others_differ(start, tmp_path):
    one, same, other = (
        weights(grpo.train(tiny(start), tmp_path / name, seed=seed))
        for name, seed in (("one", 0), ("same", 0), ("other", 1))
    )
    assert equal(one, same) and not equal(one, other)


def test_an_interrupted_training_resumes_to_the_same_weights(start, tmp_path):
    settings = tiny(start, steps=4)
    whole = grpo.train(settings, tmp_path / "whole", seed=0)

    def stop(self: TrainingRun, step: int) -> None:
        keep(self, step)
        if step == 2:
            raise KeyboardInterrupt

    keep = TrainingRun.keep_rows
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrainingRun, "keep_rows", stop)
        grpo.train(settings, tmp_path / "cut", seed=0)
    assert not (tmp_path / "cut" / "run.json").exists()
    resumed = grpo.train(settings, tmp_path / "cut", seed=0, resume=True)
    assert equal(weights(whole), weights(resumed))


def test_an_interrupted_training_is_not_resumed_from_another_start(start, tmp_path):
    """The reference of the KL term would be another model."""
    moving = tmp_path / "start"
    tiny_model.save(tiny_model.load(start), moving)
    settings = tiny(moving)
    assert grpo.train(settings, tmp_path / "run", seed=0, resume=True)
    tiny_model.save(tiny_model.create(5, **HIDDEN), moving)
    with pytest.raises(ValueError, match="started from other weights than"):
        grpo.train(settings, tmp_path / "run", seed=0, resume=True)


@pytest.mark.parametrize("exact", [False, True])
def test_it_learns_the_cheapest_option_of_a_reward_that_is_plain(start, tmp_path, exact):
    """Local costs 1 and everything else 10: after 40 updates nearly every answer is local."""
    found = states.collect([comllm.generate("paper", 0, slots=12)])
    cost = np.full((len(found), 8), 10.0)
    cost[:, 0] = 1.0
    settings = tiny(
        start, steps=40, states_per_step=16, group=8, kl=0.0, exact_groups=exact,
        learning_rate=1e-2, save_steps=100,
    )  # fmt: skip
    share = _share_of_local(settings, tmp_path, found, cost)
    assert share > 0.9


def test_groups_without_spread_teach_nothing(start, tmp_path, monkeypatch):
    """Every answer earns the same, nonsense included: no gradient, weights stay as they are."""
    monkeypatch.setattr(rewards, "UNPARSABLE_EXTRA_SLOTS", 0.0)
    found = states.collect([comllm.generate("paper", 0, slots=4)])
    rows = grpo.dataset(found, np.full((len(found), 8), 25.0), seed=0)
    settings = tiny(start, kl=0.0)
    model = tiny_model.load(start)
    run = TrainingRun.open(tmp_path / "run", "grpo", settings, seed=0, resume=False)
    hugging_face.fit(grpo.make_trainer(model, rows, settings, run, seed=0), run)
    assert equal(model.state_dict(), tiny_model.load(start).state_dict())
    assert run.rows[-1]["groups_without_spread"] == 1.0


def _share_of_local(settings, tmp_path, found, cost) -> float:
    rows = grpo.dataset(found, cost, seed=0)
    model = tiny_model.load(settings.start)
    run = TrainingRun.open(tmp_path / "run", "grpo", settings, seed=0, resume=False)
    hugging_face.fit(grpo.make_trainer(model, rows, settings, run, seed=0), run)
    ids = torch.tensor(rows["prompt_ids"])
    with torch.no_grad():
        answer = model.eval()(ids, logits_to_keep=1).logits[:, -1].argmax(dim=1)
    return float((answer == rows[0]["option_ids"][0]).float().mean())


# ------------------------------------------------------------------------------------ bad input
def test_what_cannot_be_trained_from_is_refused(start, tmp_path):
    found = states.collect([comllm.generate("paper", 0, slots=2)])
    nan = np.full((len(found), 8), np.nan)
    with pytest.raises(ValueError, match="cost of option 0 of state 0 is nan"):
        grpo.dataset(found, nan, seed=0)
    with pytest.raises(ValueError, match=r"shape \(0, 8\)"):
        grpo.dataset(found[:0], nan[:0], seed=0)
    with pytest.raises(ValueError, match="holds no trained policy"):
        grpo.train(tiny(tmp_path / "nowhere"), tmp_path / "a", seed=0)
    config = json.loads((start / "config.json").read_text())
    other = tmp_path / "other"
    tiny_model.save(tiny_model.create(0, **HIDDEN), other)
    (other / "config.json").write_text(json.dumps(config | {"vocabulary_size": 99}))
    with pytest.raises(ValueError, match="another vocabulary"):
        grpo.train(tiny(other), tmp_path / "b", seed=0)


def test_a_reward_that_turns_nan_stops_the_training(start, tmp_path):
    """TRL itself would go on as if no reward had been given."""
    with pytest.raises(ValueError, match="holds a NaN, answer 's02'"):
        grpo.decision_reward(["s02"], options=[["local", "s02", "drop"]], cost=[[1.0, np.nan, 9.0]])
    run = TrainingRun.open(tmp_path / "run", "grpo", tiny(start), seed=0, resume=False)
    with pytest.raises(TrainingDiverged, match="reward = nan at step 3"):
        run.record(3, loss=0.1, reward=float("nan"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"group": 1}, "group = 1"),
        ({"steps": 0}, "steps = 0"),
        ({"learning_rate": 0.0}, "learning_rate = 0.0"),
        ({"reward": "praise"}, "reward: unknown 'praise'"),
        ({"scale_rewards": "never"}, "scale_rewards: unknown 'never'"),
        ({"exact_groups": True}, "kl = 0.04 must be 0 with exact groups"),
        ({"entropy_slots": 0.1}, "entropy_slots = 0.1 needs exact_groups"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Settings(**changes)
