"""Trajectory training: turns in one world, a reward and an advantage per decision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from learning.language import tiny_model, vocabulary
from learning.offloading.prompts import forms_compact_natural as prompts
from learning.offloading.states import decision_states as states
from learning.offloading.training import multi_turn
from learning.offloading.training.grpo_config import grpo_arguments
from learning.offloading.training.multi_turn import Settings
from learning.runs.folder import TrainingRun
from mecopt.offloading.policies.simple import OneStepOracle
from mecopt.offloading.replay import rollout
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
    """Two updates of one episode of two slots, two trajectories each."""
    small = Settings(
        start=str(start), presets=("busy",), slots=2, group=2, episodes_per_step=1, steps=2,
        save_steps=1,
    )  # fmt: skip
    return replace(small, **changes)  # type: ignore[arg-type]


def weights(run: Path) -> dict[str, object]:
    return tiny_model.load(run / "checkpoint").state_dict()


def equal(a: dict, b: dict) -> bool:
    return all(torch.allclose(value, b[name], atol=1e-7) for name, value in a.items())


def word(name: str):
    """A model that gives one answer whatever it reads."""

    def answer(ids):
        return np.full(len(ids), vocabulary.WORD_ID[name]), np.zeros(len(ids))

    return answer


# ---------------------------------------------------------------------------------- trajectories
def test_worlds_of_different_length_are_played_side_by_side():
    worlds = [comllm.generate("busy", s, slots=3 + s) for s in (0, 1)]
    turns = multi_turn.play(worlds, word("local"), np.random.default_rng(0))
    assert [len(c) for c in turns.choice] == [x.n_tasks for x in worlds]
    assert all(np.all(c == 0) for c in turns.choice)
    assert len(turns.world) == max(x.n_tasks for x in worlds)


def test_answers_reach_the_servers_they_name():
    """An oracle that reads the prompt's numbers decides as the oracle in the world does."""
    x = comllm.generate("paper", 4, slots=10)
    ids_seen = []

    def answer(ids):
        # Per line: upload, wait, compute in slots, and the name behind them.
        ids_seen.append(ids)
        row = ids[0]
        value = vocabulary.number_value((row - len(vocabulary.WORDS)) % vocabulary.N_NUMBERS)
        best, token = value[1] + value[2], vocabulary.WORD_ID[vocabulary.LOCAL]
        for at in range(7, len(row) - 1, vocabulary.COMLLM.line):
            latency = value[0] + value[at : at + 3].sum()
            if latency < best:
                best, token = latency, row[at + 3]
        return np.array([token]), np.zeros(1)

    turns = multi_turn.play([x], answer, np.random.default_rng(1))
    agree = turns.choice[0] == rollout(x, OneStepOracle()).choice
    assert agree.mean() > 0.9  # numbers are rounded to hundredths, and one answer changes the next
    assert len(ids_seen) == x.n_tasks


def test_an_answer_that_names_nothing_drops_the_task():
    x = comllm.generate("paper", 0, slots=3)
    turns = multi_turn.play([x], word(vocabulary.PAD), np.random.default_rng(0))
    assert np.all(turns.choice[0] == -1)


def test_returns_and_advantages_worked_out():
    """One user, discount 0.5: costs 1, 2, 4 return -1 - 0.5 (2 + 0.5 * 4) = -3, -4, -4. Two
    trajectories whose returns differ by 2 at a turn stand at -+1 / sqrt(2)."""
    cost, owner = np.array([1.0, 2.0, 4.0]), np.zeros(3, dtype=int)
    value = multi_turn.returns(cost, owner, credit="user", discount=0.5)
    assert value.tolist() == [-3, -4, -4]
    both = np.stack([value, value - np.array([2.0, 0.0, 4.0])])
    advantage = multi_turn.turn_advantages(both)
    assert advantage[:, 0] == pytest.approx([2**-0.5, -(2**-0.5)], abs=1e-3)
    assert advantage[:, 1].tolist() == [0, 0]


def test_a_turn_is_scored_on_its_own_prompt_only(start, tmp_path):
    """The trainer's log-probability of each answer is the model's own for that prompt alone."""
    trainer, seen = _trainer(start, tmp_path)
    inputs = [{"prompt": name} for name in trainer._worlds for _ in range(2)]
    output = trainer._generate_and_score_completions(inputs)
    ids = torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1)
    mask = torch.cat([output["prompt_mask"], output["completion_mask"]], dim=1)
    length = output["completion_ids"].shape[1]
    with torch.no_grad():
        found, entropy, _ = trainer._get_per_token_logps_and_entropies(
            trainer.model, ids, mask, length, compute_entropy=True
        )
    chosen = output["tool_mask"].bool() & output["completion_mask"].bool()
    assert torch.allclose(found[chosen], output["sampling_per_token_logps"][chosen], atol=1e-5)
    assert torch.all(found[~chosen] == 0) and torch.all(entropy[~chosen] == 0)
    assert torch.all(output["advantages"][~chosen] == 0)
    assert output["advantages"].shape == output["completion_ids"].shape
    assert chosen.sum() == sum(x.n_tasks * 2 for x in trainer._worlds.values())


def _trainer(start: Path, tmp_path: Path):
    """A trainer over two episodes of unequal length."""
    from datasets import Dataset

    from learning.language.tokenizer import CompactTokenizer

    settings = tiny(start)
    run = TrainingRun.open(tmp_path / "run", "multi-turn", settings, seed=0, resume=False)
    worlds = {str(s): comllm.generate("busy", s, slots=2 + s) for s in (0, 1)}
    config = grpo_arguments(replace(settings, steps=1, group=2), run, seed=0, answers=4)
    trainer = multi_turn.TrajectoryGRPOTrainer(
        model=tiny_model.load(start),
        reward_funcs=multi_turn.trajectory_reward,
        args=config,
        train_dataset=Dataset.from_dict({"prompt": list(worlds)}),
        processing_class=CompactTokenizer(),
        worlds=worlds,
        credit="user",
        discount=0.9,
    )
    trainer.model.train()
    return trainer, worlds


# -------------------------------------------------------------------------------------- training
def test_training_changes_the_policy_and_equal_seeds_agree(start, tmp_path):
    runs = [multi_turn.train(tiny(start), tmp_path / name, seed=0) for name in ("a", "b")]
    assert equal(weights(runs[0]), weights(runs[1]))
    assert not equal(weights(runs[0]), tiny_model.load(start).state_dict())


def test_an_interrupted_training_resumes_to_the_same_weights(start, tmp_path):
    whole = multi_turn.train(tiny(start, steps=3), tmp_path / "whole", seed=0)
    keep = TrainingRun.keep_rows

    def stop(self: TrainingRun, step: int) -> None:
        keep(self, step)
        if step == 1:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrainingRun, "keep_rows", stop)
        multi_turn.train(tiny(start, steps=3), tmp_path / "cut", seed=0)
    resumed = multi_turn.train(tiny(start, steps=3), tmp_path / "cut", seed=0, resume=True)
    assert equal(weights(whole), weights(resumed))


def test_a_training_is_not_taken_up_from_another_start(start, tmp_path):
    moving = tmp_path / "start"
    tiny_model.save(tiny_model.load(start), moving)
    multi_turn.train(tiny(moving, steps=1), tmp_path / "run", seed=0)
    tiny_model.save(tiny_model.create(5, **HIDDEN), moving)
    with pytest.raises(ValueError, match="started from other weights than"):
        multi_turn.train(tiny(moving, steps=1), tmp_path / "run", seed=0, resume=True)


def test_a_cost_that_is_nan_stops_the_training():
    """TRL itself would go on as if no reward had been given."""
    with pytest.raises(ValueError, match="decision_cost of trajectory 1 holds a NaN"):
        multi_turn.trajectory_reward(["", ""], decision_cost=[[1.0, 2.0], [1.0, float("nan")]])


def test_training_episodes_are_new_to_every_step_and_seed():
    settings = Settings(steps=2, episodes_per_step=3, slots=2)
    first, second = (multi_turn.episodes(settings, seed=s) for s in (0, 1))
    assert len(first) == 6 and not set(first) & set(second)
    assert {name.split()[0] for name in first} == {"paper", "busy", "large"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"slots": 0}, "slots = 0"),
        ({"credit": "nobody"}, "credit: unknown 'nobody'"),
        ({"discount": 1.5}, "discount = 1.5"),
        ({"kl": -1.0}, "kl = -1.0"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Settings(**changes)


def test_states_of_a_turn_are_those_of_the_worlds():
    """What is asked at turn 0 is the first task of every world."""
    worlds = [comllm.generate("paper", s, slots=4) for s in (2, 3)]
    asked = []

    def answer(ids):
        asked.append(ids)
        return word("drop")(ids)

    multi_turn.play(worlds, answer, np.random.default_rng(0))
    first = states.concat([states.collect([x])[0] for x in worlds])
    numbers = prompts.compact_ids(first, prompts.in_order(first))[:, :7]
    assert np.array_equal(asked[0][:, :7], numbers)
