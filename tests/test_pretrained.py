"""Pretrained models of any kind: scoring with a reused prefix, strict answers, LoRA training.

The model here is a random Llama of 20 k parameters whose words are bytes, written to a folder as
any Hugging Face model is.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from learning import pretrained, pretrained_models, pretrained_policy, prompts, states  # noqa: E402
from learning.pretrained import Settings  # noqa: E402
from learning.pretrained_policy import PretrainedPolicy  # noqa: E402
from learning.training_run import TrainingRun  # noqa: E402
from mecopt.scenarios import comllm  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {letter: i for i, letter in enumerate(["<end>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=words, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=2048,
        eos_token_id=0, bos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model")
    LlamaForCausalLM(config).save_pretrained(path)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(path)
    return path


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
        model=str(folder), presets=("paper",), states=4, batch=2, rank=2, group=2, save_steps=1
    )
    return replace(small, **changes)  # type: ignore[arg-type]


def adapter(run: Path) -> dict[str, object]:
    from safetensors.torch import load_file

    return load_file(run / "checkpoint" / "adapter_model.safetensors")


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
    policy = pretrained.load(run)
    trained = policy.scores(found, prompts.in_order(found))
    fresh = PretrainedPolicy(*pretrained_models.load(str(folder)))
    assert not np.allclose(trained[0], fresh.scores(found[:1], prompts.in_order(found[:1]))[0])
    adapted = PretrainedPolicy(
        AutoModelForCausalLM.from_pretrained(run / "checkpoint"), policy.tokenizer
    )
    assert adapted.scores(found, prompts.in_order(found)) == pytest.approx(trained, abs=1e-4)
    described = json.loads((run / "checkpoint" / "mecopt.json").read_text())
    assert described["kind"] == "pretrained" and described["base"] == str(folder)


def test_an_interrupted_training_resumes_to_the_same_adapter(folder, tmp_path):
    settings = tiny(folder, states=8)
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


def test_grpo_goes_on_from_the_adapter_of_sft(folder, tmp_path):
    """Random weights write nothing valid: without reward spread only the KL term acts, which is 0
    at the start, so the adapter stays what SFT made of it."""
    first = pretrained.train(tiny(folder), tmp_path / "sft", seed=0)
    settings = tiny(folder, method="grpo", adapter=str(first), states=2)
    second = pretrained.train(settings, tmp_path / "grpo", seed=0)
    assert equal(adapter(first), adapter(second))


def test_the_completion_is_the_name_of_the_cheapest_option(found):
    cost = np.full((4, 5), 9.0)
    cost[:, 2] = 1.0  # the second server
    rows = pretrained.dataset(found, cost, seed=0)
    for row in rows:
        assert row["completion"] == f" {row['options'][2]}"
        assert row["prompt"].endswith("Answer:")


# ------------------------------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "dpo"}, "method: unknown 'dpo'"),
        ({"dtype": "int4"}, "dtype: unknown 'int4'"),
        ({"states": 3}, "states = 3 must be >= batch = 4"),
        ({"vllm": True}, "vLLM is not installed"),
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
    monkeypatch.setattr(pretrained_models, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="needs the smollm extra"):
        pretrained_models.locate("smollm2-135m")


def test_a_converted_model_is_not_converted_again(tmp_path, monkeypatch):
    monkeypatch.setenv("MECOPT_CACHE", str(tmp_path))
    monkeypatch.setattr(pretrained_models, "find_spec", lambda name: None)
    (tmp_path / "smollm2-135m").mkdir()
    (tmp_path / "smollm2-135m" / "config.json").write_text("{}")
    assert pretrained_models.locate("smollm2-135m") == str(tmp_path / "smollm2-135m")


def test_modes_are_checked(model):
    with pytest.raises(ValueError, match="mode: unknown 'guess'"):
        PretrainedPolicy(*model, mode="guess")
    assert pretrained_policy.answers_of(["local", "", "s02"]) == [" local", "", " s02"]
