"""The embedded model: files, vocabulary, and a forward pass that does not mind padding."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from learning.language import tiny_model, vocabulary
from learning.language.tokenizer import CompactTokenizer
from learning.offloading.prompts import forms_compact_natural as prompts
from learning.offloading.states import decision_states as states
from mecopt.offloading.scenarios import comllm


@pytest.fixture(scope="module")
def model():
    return tiny_model.create(0).eval()


@pytest.fixture(scope="module")
def prompt_ids():
    """(B, 32) prompts of six servers, then of three (padded on the left)."""
    six = states.collect([comllm.generate("paper", 0, slots=4)])
    three = states.collect([comllm.generate("paper", 1, slots=4, servers=3)])
    both = states.concat([six, three])
    return torch.from_numpy(prompts.compact_ids(both, prompts.in_order(both)))


def test_the_model_is_small_and_equal_seeds_make_equal_models(model):
    assert sum(p.numel() for p in model.parameters()) < 200_000
    assert model.lm_head.weight is model.model.embed_tokens.weight
    again = tiny_model.create(0).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in model.state_dict().items())
    other = tiny_model.create(1).lm_head.weight
    assert not torch.equal(model.lm_head.weight, other)


def test_padding_on_the_left_changes_nothing(model, prompt_ids):
    mask = (prompt_ids != 0).long()
    short = prompt_ids[-1:, 12:]  # three lines of four tokens less
    assert not mask[-1, :12].any()
    with torch.no_grad():
        padded = model(prompt_ids, attention_mask=mask, logits_to_keep=1).logits[-1]
        alone = model(short, logits_to_keep=1).logits[0]
    assert padded.shape == (1, len(vocabulary.WORDS))
    torch.testing.assert_close(padded, alone, atol=1e-5, rtol=1e-5)


def test_near_numbers_are_near_and_other_keys_are_not(model):
    words = ["t2.53", "t2.54", "b2.53"]
    ids = torch.tensor([[vocabulary.id_of(w) for w in words]])
    near, close, other = model.model.embed_tokens(ids)[0]
    assert (near - close).norm() < 0.3 * (near - other).norm()


def test_checkpoints_load_with_from_pretrained(model, prompt_ids, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model.save_pretrained(tmp_path)
    CompactTokenizer().save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(loaded(prompt_ids).logits, model(prompt_ids).logits)
        answer = loaded.generate(prompt_ids[:1], max_new_tokens=1, do_sample=False)[0, -1:]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer.decode(answer) in vocabulary.WORDS
    assert sum(f.stat().st_size for f in tmp_path.iterdir()) < 600_000


def test_a_checkpoint_of_another_vocabulary_is_refused(model, tmp_path):
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["vocabulary_size"] = 77
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="another vocabulary"):
        tiny_model.load(tmp_path)
    with pytest.raises(ValueError, match="no model here"):
        tiny_model.load(tmp_path / "nowhere")


def test_number_features_are_finite_and_distinct():
    features = tiny_model.number_features().numpy()
    assert features.shape == (vocabulary.N_NUMBERS, tiny_model.N_FEATURES)
    assert np.isfinite(features).all()
    assert np.abs(np.diff(features, axis=0)).max(axis=1).min() > 1e-3


@pytest.mark.parametrize("hidden", [0, 30, 68])
def test_sizes_that_the_heads_do_not_divide_are_refused(hidden):
    """Four heads of an even number of dimensions: positions turn pairs of them."""
    with pytest.raises(ValueError, match=f"hidden = {hidden} must be a multiple of 8"):
        tiny_model.create(0, hidden_size=hidden)
