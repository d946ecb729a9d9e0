"""Margins of the tokens that a model writes, in batches and alone; a random model of bytes."""

from __future__ import annotations

import copy
import re

import pytest

torch = pytest.importorskip("torch")

from learning.language import pretrained_models
from learning.margins import generation, prompts, questions

#: Nothing is used that transformers will not know any more.
pytestmark = pytest.mark.filterwarnings("error::FutureWarning", "error::DeprecationWarning")


@pytest.fixture(scope="module")
def model(byte_model):
    return pretrained_models.load(str(byte_model))


def said(*texts: str) -> list[prompts.Conversation]:
    return [[{"role": "user", "content": text}] for text in texts]


THREE = said("Where is Ida?", "No.", "Ida went to the barn. Where is Ida?")


def by_hand(lm, tokenizer, text: str) -> list[tuple[int, float]]:
    """Likeliest token and margin, one whole forward pass of a single row per token."""
    ids = tokenizer(f"{text}\nAnswer:")["input_ids"]
    out = []
    for _ in range(generation.ANSWER_TOKENS):
        with torch.no_grad():
            probability = lm(torch.tensor([ids])).logits[0, -1].softmax(dim=-1)
        first, second = probability.topk(2).values.tolist()
        out.append((int(probability.argmax()), first - second))
        ids = [*ids, out[-1][0]]
    return out


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_margins_are_those_of_plain_forward_passes(model, batch):
    """Padding on the left and the order by length change nothing."""
    lm, tokenizer = model
    found = generation.answers(lm, tokenizer, THREE, batch=batch)
    for prompt, answer in zip(THREE, found, strict=True):
        steps = by_hand(lm, tokenizer, prompt[0]["content"])
        wanted = generation._first_sentence(tokenizer, *zip(*steps, strict=True), ends=[0])
        assert answer.text == wanted.text
        assert answer.margins == pytest.approx(wanted.margins, abs=1e-5)


def test_a_tokenizer_without_a_padding_token(model):
    """Nor with one that ends texts: padding is masked, whatever it is."""
    lm, tokenizer = model
    bare = copy.deepcopy(tokenizer)
    bare.pad_token = bare.eos_token = None
    assert bare.pad_token_id is None
    found = generation.answers(lm, bare, THREE, batch=3)
    for one, other in zip(found, generation.answers(lm, tokenizer, THREE, batch=1), strict=True):
        assert one.text == other.text and one.margins == pytest.approx(other.margins, abs=1e-5)


def test_decoding_is_greedy_whatever_the_model_recommends(model):
    """Makers of models recommend sampling and penalties; an answer is the likeliest tokens."""
    lm, tokenizer = model
    odd = copy.deepcopy(lm)
    odd.generation_config.update(do_sample=True, temperature=9.0, repetition_penalty=5.0)
    assert generation.answers(odd, tokenizer, THREE) == generation.answers(lm, tokenizer, THREE)


def test_chat_templates_are_used(model):
    """The model reads exactly what the template writes."""
    lm, tokenizer = model
    chatty = copy.deepcopy(tokenizer)
    chatty.chat_template = "{% for turn in messages %}{{ turn['content'] }}\nAnswer:{% endfor %}"
    found = generation.answers(lm, chatty, THREE)
    assert found == generation.answers(lm, tokenizer, THREE)


def test_a_reply_that_was_begun_is_gone_on_with(model):
    """Of a template nothing that would end the turn is left, and the answer is what is new."""
    lm, tokenizer = model
    begun = [*THREE[0], {"role": "assistant", "content": "Ida is in the"}]
    chatty = copy.deepcopy(tokenizer)
    chatty.chat_template = "{% for t in messages %}{{ t['content'] + '<end>' }}{% endfor %}"
    assert chatty.decode(generation._encode(chatty, begun, 0)) == "Where is Ida?<end>Ida is in the"
    plain = "Where is Ida?\nAnswer: Ida is in the"
    assert tokenizer.decode(generation._encode(tokenizer, begun, 0)) == plain


@pytest.mark.parametrize(
    ("prompt", "line"),
    [
        (said(" \n")[0], "prompts[1] is empty"),
        ([], "prompts[1] is empty"),
        ([*said("")[0], {"role": "assistant", "content": "It is"}], "prompts[1] is empty"),
        (said("word " * 500)[0], "prompts[1] has 2508 tokens, the model's context holds 2048"),
    ],
)
def test_prompts_that_cannot_be_asked(model, prompt, line):
    with pytest.raises(ValueError, match=re.escape(line)):
        generation.answers(*model, [THREE[0], prompt])


class Words:
    """A tokenizer of five words, enough to read a sentence."""

    words = ("<end>", "\n", " barn", ".\n", "!", ".")

    def decode(self, ids, skip_special_tokens=False):
        return "".join(self.words[i] for i in ids if i or not skip_special_tokens)


@pytest.mark.parametrize(
    ("tokens", "text", "margins"),
    [
        ([2, 0, 4], "barn", (0.1,)),  # the token that ends an answer is no part of it
        ([2, 4, 1, 2], "barn!", (0.1, 0.2)),  # nor is what follows the first line
        ([2, 2, 5, 2], "barn barn.", (0.1, 0.2, 0.3)),  # or the first full stop
        ([1, 2, 3, 2], "barn.", (0.2, 0.3)),  # nor an empty line before it
        ([0, 0, 0], "", (0.1,)),  # an answer that ends at once has the margin of its end
    ],
)
def test_the_first_sentence_is_the_answer(tokens, text, margins):
    given = [0.1, 0.2, 0.3, 0.4][: len(tokens)]
    answer = generation._first_sentence(Words(), tokens, given, ends=[0])
    assert (answer.text, answer.margins) == (text, margins)


def test_progress_counts_prompts(model):
    seen = []
    asked = prompts.conversations(questions.generate(5, seed=0), examples=1)
    generation.answers(*model, asked, batch=2, on_progress=lambda *at: seen.append(at))
    assert seen == [(2, 5), (4, 5), (5, 5)]
