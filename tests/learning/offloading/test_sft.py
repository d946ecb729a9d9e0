"""Supervised training: its loss by hand, a tiny one that repeats itself, one interrupted."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from learning import seeds
from learning.language import soft_label_sft as cost_trainer
from learning.language import vocabulary
from learning.offloading.policies import language as language_policy
from learning.offloading.rewards import labels
from learning.offloading.states import decision_states as decision_states
from learning.offloading.training import rows as datasets
from learning.offloading.training import sft
from learning.runs import folder as training_run
from learning.runs.divergence import TrainingDiverged
from mecopt.offloading.scenarios import comllm

#: Nothing is used that transformers, TRL or peft will not know any more.
pytestmark = pytest.mark.filterwarnings("error::FutureWarning", "error::DeprecationWarning")

TINY = sft.Settings(
    states=64,
    steps=4,
    batch=8,
    hidden=16,
    layers=1,
    log_every=1,
    save_every=2,
    explore=0.5,
    drawn=0.0,
)


@pytest.fixture(scope="module")
def labelled():
    """One-step labels of two training episodes with two servers."""
    episodes = [comllm.generate("paper", 10_000 + i, servers=2, slots=20) for i in range(2)]
    return labels.one_step(decision_states.collect(episodes))


class Fixed(torch.nn.Module):
    """Gives the same logits everywhere; remembers where it was read."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, input_ids, attention_mask, logits_to_keep, use_cache):
        self.read = input_ids[:, logits_to_keep]
        shape = (*self.read.shape, -1)
        return type("Output", (), {"logits": self.logits.expand(shape)})()


def test_the_loss_is_the_cross_entropy_to_the_soft_label(labelled):
    """With equal logits over W words every cross-entropy is log W, whatever the label; with all
    weight on `local` it is the label's weight off `local` times the difference of logits."""
    rows = datasets.training_rows(labelled, 4, seed=0)
    batch = cost_trainer.collate(list(rows))
    words = len(vocabulary.WORDS)
    weights = {"temperature_slots": 0.5, "lines_weight": 2.0}
    even = Fixed(torch.zeros(words))
    loss = cost_trainer.cost_loss(even, **batch, **weights)
    assert float(loss) == pytest.approx(3 * np.log(words), rel=1e-6)
    names = [[vocabulary.word_of(int(t)) for t in row] for row in even.read]
    assert all(row[-1] == "act" and row[0][0] == "s" for row in names)
    sure = torch.zeros(words)
    sure[vocabulary.WORD_ID["local"]] = 5.0
    logp = sure.log_softmax(dim=0)
    cost = batch["cost_slots"].double().numpy()
    expected = 0.0
    for shown, weight in (([0, 1, 2, 3], 1.0), ([0, 1, 3], 1.0), ([0, 1, 2, 3], 1.0)):
        local = labels.soft(cost[:, shown], 0.5)[:, 0]
        other = float(logp[0])
        expected -= weight * np.mean(local * float(logp.max()) + (1 - local) * other)
    # The answer once, the two lines on average with weight 2.
    loss = cost_trainer.cost_loss(Fixed(sure), **batch, **weights)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_a_training_leaves_a_policy_and_repeats_itself(labelled, tmp_path):
    first = sft.train(TINY, tmp_path / "a", seed=1, labelled=labelled)
    second = sft.train(TINY, tmp_path / "b", seed=1, labelled=labelled)
    parameters, manifest, progress = training_run.read(first)
    assert parameters["settings"]["states"] == 64 and manifest["states"] == len(labelled)
    assert progress.step.tolist() == [1, 2, 3, 4] and np.isfinite(progress.loss).all()
    one, other = (language_policy.load(f).model.state_dict() for f in (first, second))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert sft.train(TINY, first, seed=1, resume=True) == first  # done already
    with pytest.raises(ValueError, match="steps is 4, asked for 9"):
        sft.train(replace(TINY, steps=9), first, seed=1, resume=True)


def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(
    labelled, tmp_path, monkeypatch
):
    """Interrupted in step 3 of 4, with a state of step 2 to go on from."""
    whole = sft.train(TINY, tmp_path / "whole", seed=2, labelled=labelled)

    class Interrupt(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            if state.global_step == 3:
                raise KeyboardInterrupt

    make = sft.make_trainer

    def interrupted(*args, **kwargs):
        trainer = make(*args, **kwargs)
        trainer.add_callback(Interrupt())
        return trainer

    monkeypatch.setattr(sft, "make_trainer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sft.train(TINY, tmp_path / "broken", seed=2, labelled=labelled)
    monkeypatch.setattr(sft, "make_trainer", make)
    resumed = sft.train(TINY, tmp_path / "broken", seed=2, resume=True, labelled=labelled)
    assert training_run.read(resumed)[2].step.tolist() == [1, 2, 3, 4]
    one, other = (language_policy.load(f).model.state_dict() for f in (whole, resumed))
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], atol=1e-6, rtol=1e-6)


def test_weights_that_diverge_between_two_logged_rows_are_not_gone_on_from(
    labelled, tmp_path, monkeypatch
):
    """They turn NaN in step 3 of 4, which is kept but not logged; the resumed training starts from
    step 2 and ends where an undisturbed one does."""
    seldom = replace(TINY, log_every=4, save_every=1)
    whole = sft.train(seldom, tmp_path / "whole", seed=2, labelled=labelled)

    class Diverge(TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **_):
            if state.global_step == 3:
                torch.nn.init.constant_(next(iter(model.parameters())), float("nan"))

    make = sft.make_trainer

    def diverging(*args, **kwargs):
        trainer = make(*args, **kwargs)
        trainer.add_callback(Diverge())
        return trainer

    with monkeypatch.context() as patch:
        patch.setattr(sft, "make_trainer", diverging)
        with pytest.raises(TrainingDiverged, match="weights are not finite after step 3"):
            sft.train(seldom, tmp_path / "broken", seed=2, labelled=labelled)
    resumed = sft.train(seldom, tmp_path / "broken", seed=2, labelled=labelled, resume=True)
    one, other = (language_policy.load(f).model.state_dict() for f in (whole, resumed))
    assert all(torch.allclose(value, other[name], atol=1e-7) for name, value in one.items())


def test_hard_labels_are_trained_with_trls_own_loss(labelled, tmp_path):
    rows = datasets.answer_rows(datasets.training_rows(labelled, 8, seed=0))
    row = rows[0]
    assert row["labels"][:-1] == [-100] * (len(row["labels"]) - 1)
    assert row["labels"][-1] == row["input_ids"][-1] < len(vocabulary.WORDS)
    run = sft.train(replace(TINY, loss="hard"), tmp_path / "hard", seed=0, labelled=labelled)
    loss = training_run.read(run)[2].loss
    assert len(loss) == 4 and loss.between(0.5, 10).all()


@pytest.mark.parametrize("method", labels.METHODS)
def test_states_are_collected_from_training_seeds_only(method, monkeypatch):
    """Short episodes: best schedules are found long before the solver's time limit."""
    monkeypatch.setattr(sft.comllm, "generate", partial(comllm.generate, slots=12))
    settings = replace(TINY, labels=method, presets=("large",), states=20, servers=(2,))
    found = sft.collect(settings, 0)
    assert len(found) == 20 and found.method == method
    seeds.check(found.states.seed, "train")
    again = sft.collect(settings, 0)
    assert found.cost_slots.tolist() == again.cost_slots.tolist()


def test_drawn_settings_widen_what_a_model_has_seen():
    """Half of the states from drawn settings: other speeds, links and sizes than any preset's."""
    settings = replace(TINY, presets=("paper",), states=200, drawn=0.5)
    found = sft.collect(settings, 0)
    drawn = np.array(found.states.preset) == "drawn"
    assert len(found) == 200 and 0.4 < drawn.mean() < 0.6
    width = found.states.server_ghz.min(axis=1)
    assert width[~drawn].min() >= 20 > width[drawn].min()
    with pytest.raises(ValueError, match="drawn = 2 must be in"):
        replace(TINY, drawn=2)


def test_bad_settings_and_bad_numbers_are_refused(labelled, tmp_path):
    with pytest.raises(ValueError, match="labels: unknown 'oracle'"):
        replace(TINY, labels="oracle")
    with pytest.raises(ValueError, match="steps = 0 must be >= 1"):
        replace(TINY, steps=0)
    with pytest.raises(ValueError, match="hidden = 30 must be a multiple of 8"):
        replace(TINY, hidden=30)
    with pytest.raises(ValueError, match="labelled: is empty"):
        sft.train(TINY, tmp_path / "empty", seed=0, labelled=labelled[:0])
    wild = replace(TINY, learning_rate=1e30)
    with pytest.raises(TrainingDiverged, match="not finite after step"):
        sft.train(wild, tmp_path / "wild", seed=0, labelled=labelled)
