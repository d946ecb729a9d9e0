"""The language policy: its fast forward pass is the model's, and every answer is counted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from learning.language import tiny_model, vocabulary
from learning.language.fast_forward import AnswerLogits
from learning.offloading.policies import language as language_policy
from learning.offloading.policies.language import LanguagePolicy
from learning.offloading.prompts import forms_compact_natural as prompts
from learning.offloading.states import decision_states as states
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm


@pytest.fixture(scope="module")
def model():
    """Random weights, norms included, so that no factor of one hides a mistake."""
    made = tiny_model.create(3).eval()
    generator = torch.Generator().manual_seed(0)
    for name, parameter in made.named_parameters():
        if "norm" in name:
            parameter.data = 0.5 + torch.rand(parameter.shape, generator=generator)
    return made


@pytest.fixture(scope="module")
def mixed():
    """States with six and with three servers."""
    six = states.collect([comllm.generate("busy", 0, slots=6)])
    three = states.collect([comllm.generate("large", 1, slots=6, servers=3)])
    return states.concat([six, three])


@pytest.mark.parametrize("part", [slice(0, 1), slice(0, 9), slice(None)])
def test_the_fast_forward_pass_gives_the_logits_of_the_model(model, mixed, part):
    """One prompt, several of one length, several with padding."""
    chosen = mixed[part]
    ids = prompts.compact_ids(chosen, prompts.shuffled(chosen, np.random.default_rng(0)))
    tokens = torch.from_numpy(ids)
    with torch.no_grad():
        expected = model(tokens, attention_mask=(tokens != 0).long(), logits_to_keep=1).logits
    np.testing.assert_allclose(AnswerLogits(model)(ids), expected[:, -1], atol=2e-4)


def test_the_likeliest_option_is_taken_in_batches_as_one_by_one(model, mixed):
    policy = LanguagePolicy(model)
    together = policy.decide(mixed)
    alone = [int(policy.decide(mixed[i])[0]) for i in range(len(mixed))]
    assert together.tolist() == alone
    score = policy.scores(mixed, prompts.in_order(mixed))
    assert score.shape == (len(mixed), 8)
    assert np.array_equal(np.isinf(score[:, 1:-1]), ~mixed.present)


def test_names_and_places_of_servers_are_told_back(model, mixed):
    """Scores of a shuffled prompt stand where the servers of the states are."""
    policy = LanguagePolicy(model)
    naming = prompts.shuffled(mixed, np.random.default_rng(1))
    score = policy.scores(mixed, naming)
    ids = prompts.compact_ids(mixed, naming)
    logits = AnswerLogits(model)(ids)
    server = naming.order[0, 0]
    word = vocabulary.FIRST_NAME - 1 + naming.name[0, 0]
    assert score[0, 1 + server] == logits[0, word]


def test_other_units_are_read_by_the_tokenizer(model, mixed):
    policy = LanguagePolicy(model)
    naming = prompts.in_order(mixed)
    in_ms = policy.scores(mixed, naming, units="ms")
    np.testing.assert_allclose(in_ms, policy.scores(mixed, naming), atol=1e-5)
    with pytest.raises(ValueError, match="wording = 1"):
        policy.scores(mixed, naming, wording=1)


def test_the_likeliest_word_of_all_counts_for_the_parse_rate(model, mixed):
    """Four states with six servers: the model would write local, s06, s07 (absent), and act. Half
    are valid; a decision is taken anyway, the likeliest option."""
    policy = LanguagePolicy(model)
    assert np.isnan(policy.parse_rate)
    written = ["local", "s06", "s07", "act"]
    logits = np.zeros((4, len(vocabulary.WORDS)), dtype=np.float32)
    logits[np.arange(4), [vocabulary.WORD_ID[word] for word in written]] = 2.0
    logits[:, vocabulary.WORD_ID["s02"]] = 1.0
    policy.forward = lambda ids: logits
    assert policy.decide(mixed[:4]).tolist() == [0, 6, 2, 2]
    assert policy.parse_rate == 0.5
    policy.reset(comllm.generate("paper", 0, slots=2))
    assert np.isnan(policy.parse_rate)


def test_prompts_longer_than_the_context_are_refused(mixed):
    short = LanguagePolicy(tiny_model.create(0, max_position_embeddings=32))
    with pytest.raises(ValueError, match="prompt 0 has 32 tokens and needs 1 more"):
        short.decide(mixed)


def test_a_checkpoint_folder_becomes_a_policy(model, mixed, tmp_path):
    tiny_model.save(model, tmp_path / "checkpoint")
    loaded = language_policy.load(tmp_path)  # a training folder stands for its checkpoint
    assert loaded.decide(mixed).tolist() == LanguagePolicy(model).decide(mixed).tolist()
    schedule = rollout(comllm.generate("paper", 0, slots=5), loaded)
    assert np.isfinite(schedule.objective) and loaded.parse_rate >= 0
    with pytest.raises(ValueError, match="holds no trained policy"):
        language_policy.load(tmp_path / "nothing")
    marker = tmp_path / "checkpoint" / "mecopt.json"
    marker.write_text(marker.read_text().replace("language", "dqn"))
    with pytest.raises(ValueError, match="kind is 'dqn'"):
        language_policy.load(tmp_path)
