"""Distilling a planner: two steps, one interrupted, a small model and an adapter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback

from learning import recipes
from learning.language import pretrained_models
from learning.runs import folder as training_run
from learning.runs.divergence import TrainingDiverged
from learning.task_graphs import examples, planner, train, words
from learning.task_graphs.train import LoraSettings, SmallSettings

#: Nothing is used that transformers, TRL or peft will not know any more.
pytestmark = pytest.mark.filterwarnings("error::FutureWarning", "error::DeprecationWarning")

TINY = SmallSettings(
    requests=8, steps=2, batch=4, hidden=16, layers=1, log_every=1, save_every=1
)  # fmt: skip


def weights(run: Path) -> dict[str, object]:
    from safetensors.torch import load_file

    (file,) = (run / "checkpoint").glob("*.safetensors")
    return load_file(file)


def equal(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(value, b[name]) for name, value in a.items())


def test_a_training_leaves_a_planner_and_repeats_itself(tmp_path):
    """The checkpoint is one that transformers reads by itself."""
    first = recipes.train("planner", tmp_path / "a", seed=1, changes=vars(TINY))
    again = train.train(TINY, tmp_path / "b", seed=1)
    other = train.train(TINY, tmp_path / "c", seed=2)
    assert equal(weights(first), weights(again)) and not equal(weights(first), weights(other))
    _, manifest, progress = training_run.read(first)
    assert manifest["requests"] == 8 and progress.step.tolist() == [1, 2]
    assert progress.loss.between(1.0, 20.0).all()
    assert AutoTokenizer.from_pretrained(first / "checkpoint").get_vocab()["reason"] > 0
    stock = AutoModelForCausalLM.from_pretrained(first / "checkpoint")
    assert type(stock).__name__ == "LlamaForCausalLM"
    assert len(planner.load(first).write(["law ; 1 write long hard"]).texts) == 1
    with pytest.raises(ValueError, match="steps is 2, asked for 3"):
        train.train(replace(TINY, steps=3), first, seed=1, resume=True)


@pytest.mark.parametrize("kind", ["small", "lora"])
def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(
    kind, byte_model, tmp_path, monkeypatch
):
    """Interrupted in step 2 of 3, with a state of step 1 to go on from."""
    settings = replace(TINY, steps=3)
    if kind == "lora":
        settings = LoraSettings(
            model=str(byte_model), rank=2, requests=8, steps=3, batch=4, log_every=1, save_every=1
        )
    whole = train.train(settings, tmp_path / "whole", seed=2)

    class Interrupt(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            if state.global_step == 2:
                raise KeyboardInterrupt

    make = train.make_trainer

    def interrupted(*args, **kwargs):
        trainer = make(*args, **kwargs)
        trainer.add_callback(Interrupt())
        return trainer

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(train, "make_trainer", interrupted)
        train.train(settings, tmp_path / "broken", seed=2)
    resumed = train.train(settings, tmp_path / "broken", seed=2, resume=True)
    assert training_run.read(resumed)[2].step.tolist() == [1, 2, 3]
    assert equal(weights(whole), weights(resumed))


def test_an_adapter_is_trained_and_plans(byte_model, tmp_path):
    """Random weights write noise: none of it is a plan, all of it is counted."""
    settings = LoraSettings(
        model=str(byte_model), rank=2, requests=4, steps=2, batch=2, log_every=1, save_every=1
    )
    run = train.train(settings, tmp_path / "run", seed=0)
    assert all(name.startswith("base_model.") for name in weights(run))
    written = planner.load(run).write(["law ; 1 write long hard", "music ; 1 check brief plain"])
    assert len(written.texts) == 2
    prompt = examples.plain("law ; 1 write long hard")
    assert written.prompt_tokens[0] == len(prompt)  # its words are bytes


def test_a_model_that_chats_learns_its_own_turn(byte_model, tmp_path):
    """Two steps with a template of the model's own, which the planner then asks in."""
    model, tokenizer = pretrained_models.load(str(byte_model))
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    model.save_pretrained(tmp_path / "chats")
    tokenizer.save_pretrained(tmp_path / "chats")
    settings = LoraSettings(
        model=str(tmp_path / "chats"), rank=2, requests=4, steps=2, batch=2, save_every=1
    )
    run = train.train(settings, tmp_path / "run", seed=0)
    request = "law ; 1 write long hard"
    written = planner.load(run).write([request])
    asked = f"[user]{examples.INSTRUCTIONS}{request}[assistant]"
    assert written.prompt_tokens.tolist() == [len(asked)]


def test_no_folder_is_begun_without_a_model(tmp_path):
    with pytest.raises(ValueError, match="model: /nowhere is no folder"):
        train.train(LoraSettings(model="/nowhere"), tmp_path / "run", seed=0)
    assert not (tmp_path / "run").exists()


def test_rows_hold_the_request_and_the_plan():
    """Models that chat get turns, others text; the small model's plan is rounded to its words."""
    (example,) = examples.collect("paper", 1, seed=0)
    (row,) = train.text_rows([example], chats=True)
    assert row["prompt"][0]["content"].endswith(example.request)
    assert row["completion"][0]["role"] == "assistant"
    (plain,) = train.text_rows([example], chats=False)
    assert plain["completion"] == row["completion"][0]["content"]
    (small,) = train.word_rows([example])
    assert small["prompt"] == example.request + "\n"
    assert all(word in words.WORDS for word in small["completion"].split())


def test_the_loss_is_that_of_the_completion(tmp_path):
    """Of a request only the plan and the end are labels."""
    found = examples.collect("paper", 4, seed=0)
    run = training_run.TrainingRun.open(tmp_path, "planner", TINY, seed=0, resume=False)
    model = words.create(0, hidden=16, layers=1)
    tokenizer = words.tokenizer()
    trainer = train.make_trainer(TINY, model, tokenizer, train.word_rows(found), run, seed=0)
    batch = next(iter(trainer.get_train_dataloader()))
    for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True):
        learned = tokenizer.decode(ids[labels != -100])
        request, _, plan = tokenizer.decode(ids, skip_special_tokens=False).partition("\n")
        assert request in [e.request for e in found]
        assert learned.split() == [w for w in plan.split() if w != words.PAD]
        assert learned.endswith(words.END)


def test_bad_settings_and_bad_numbers_are_refused(tmp_path):
    with pytest.raises(ValueError, match="preset: unknown 'home'"):
        replace(TINY, preset="home")
    with pytest.raises(ValueError, match="requests = 3 must be >= batch = 4"):
        replace(TINY, requests=3)
    with pytest.raises(ValueError, match="hidden = 30 must be a multiple of 8"):
        replace(TINY, hidden=30)
    with pytest.raises(ValueError, match="dtype: unknown 'int8'"):
        LoraSettings(dtype="int8")
    with pytest.raises(ValueError, match="model: planner has no such setting"):
        recipes.settings("planner", {"model": "x"})
    with pytest.raises(TrainingDiverged, match="not finite after step"):
        train.train(replace(TINY, steps=4, learning_rate=1e30), tmp_path / "wild", seed=0)
