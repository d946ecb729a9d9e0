"""Prompts and answers: text and tokens agree, names mean nothing, answers are read strictly."""

from __future__ import annotations

import numpy as np
import pytest

from learning.language import parsing, vocabulary
from learning.offloading.prompts import forms_compact_natural as prompts
from learning.offloading.states import decision_states as states
from mecopt.offloading.scenarios import comllm


@pytest.fixture(scope="module")
def some_states():
    """States with six and with three servers."""
    six = states.collect([comllm.generate("busy", 0, slots=8)])
    three = states.collect([comllm.generate("large", 1, slots=6, servers=3)])
    return states.concat([six, three])


# ---------------------------------------------------------------------------------- vocabulary
def test_numbers_are_rounded_to_hundredths_below_20_and_to_tenths_up_to_100():
    values = [-1.0, 0.0, 0.004, 2.534, 19.994, 19.997, 33.33, 250.0]
    words = [vocabulary.quantity("u", v) for v in values]
    assert words == ["u0.00", "u0.00", "u0.00", "u2.53", "u19.99", "u20.0", "u33.3", "u100.0"]


def test_every_word_has_one_id():
    """All of them there and back, over the words and two keys' numbers."""
    ids = [*range(len(vocabulary.WORDS) + vocabulary.N_NUMBERS), vocabulary.COMLLM.size - 1]
    assert [vocabulary.id_of(vocabulary.word_of(i)) for i in ids] == ids
    with pytest.raises(ValueError, match="word 'hello' is not in the vocabulary"):
        vocabulary.id_of("hello")
    with pytest.raises(ValueError, match="token = -1"):
        vocabulary.word_of(-1)


# ------------------------------------------------------------------------------------- compact
def test_compact_text_of_a_state(some_states):
    """One line for the user, one per server, and the word to answer."""
    s = some_states[-1]
    text = prompts.compact_texts(s, prompts.in_order(s))[0].splitlines()
    assert len(text) == 1 + 3 + 1
    assert text[-1] == "act"
    assert text[2] == (
        f"t{s.transfer_slots[0, 1]:.2f} b{s.wait_slots[0, 1]:.2f} w{s.compute_slots[0, 1]:.2f} s02"
    )
    assert text[0].startswith(f"u{s.uplink_wait_slots[0]:.2f} c{s.device_wait_slots[0]:.2f} l")


@pytest.mark.parametrize("units", prompts.UNITS)
def test_tokens_made_from_arrays_are_those_of_the_text(some_states, units):
    """The fast path never writes text; the tokenizer reads the text and must agree.

    In ms the text has hundredths of a slot too, except for the cost of a drop (tenths).
    """
    from learning.language.tokenizer import CompactTokenizer

    naming = prompts.shuffled(some_states, np.random.default_rng(0))
    ids = prompts.compact_ids(some_states, naming)
    texts = prompts.compact_texts(some_states, naming, units=units)
    read = CompactTokenizer()(texts, padding=True, return_tensors="np")["input_ids"]
    assert ids.shape == (len(some_states), 8 + 4 * 6)
    assert np.array_equal(ids, read)


def test_names_are_drawn_from_the_pool_and_servers_change_places(some_states):
    naming = prompts.shuffled(some_states, np.random.default_rng(1))
    for i in range(len(some_states)):
        count = some_states.present[i].sum()
        assert sorted(naming.order[i, :count]) == list(range(count))
        assert len(set(naming.name[i, :count])) == count and naming.name[i].max() <= 32
        assert not naming.name[i, count:].any()
    assert len({tuple(row) for row in naming.order}) > 10


def test_option_names_follow_the_naming(some_states):
    """Line 1 of a shuffled prompt names some server; its option has that name."""
    naming = prompts.shuffled(some_states, np.random.default_rng(2))
    words = prompts.option_word_ids(naming)
    for i in (0, len(some_states) - 1):
        names = prompts.option_names(naming, i)
        server = naming.order[i, 0]
        assert names[1 + server] == vocabulary.SERVER_NAMES[naming.name[i, 0] - 1]
        expected = [vocabulary.WORD_ID[name or vocabulary.PAD] for name in names]
        assert words[i].tolist() == expected


def test_more_servers_than_names_and_longer_prompts_than_the_context_are_refused():
    many = states.collect([comllm.generate("paper", 0, servers=33, slots=2)])
    with pytest.raises(ValueError, match="33 servers, there are names for 32"):
        prompts.in_order(many)
    with pytest.raises(ValueError, match="prompt 1 has 200 tokens .* context is 160"):
        prompts.check_context(np.array([20, 200]), 160)
    with pytest.raises(ValueError, match="units: unknown 'miles'"):
        prompts.compact_texts(
            many, prompts.shuffled(many[:0], np.random.default_rng(0)), units="miles"
        )


# ------------------------------------------------------------------------------------- natural
@pytest.mark.parametrize("wording", range(len(prompts.INSTRUCTIONS)))
def test_natural_prompts_begin_with_the_instructions_and_end_where_the_answer_begins(
    some_states, wording
):
    naming = prompts.in_order(some_states)
    texts = prompts.natural_texts(some_states, naming, wording=wording)
    bare = prompts.natural_texts(some_states, naming, wording=wording, instructions=False)
    for text, state in zip(texts, bare, strict=True):
        assert text == prompts.INSTRUCTIONS[wording] + state and text.endswith(":")
    assert f"{some_states.size_mbit[0]:.2f} Mbit" in texts[0] and "s06" in texts[0]
    assert "s04" not in texts[-1]  # three servers only


def test_natural_prompts_in_other_units(some_states):
    """A slot is 100 ms, 1 Mbit are 125 kB."""
    text = prompts.natural_texts(some_states, prompts.in_order(some_states), units="ms")[0]
    assert f"{some_states.size_mbit[0] * 125:.0f} kB" in text and "Deadline 1000 ms" in text
    with pytest.raises(ValueError, match="wording = 9"):
        prompts.natural_texts(some_states, prompts.in_order(some_states), wording=9)


# ------------------------------------------------------------------------------------- answers
NAMES = ["local", "s08", "s21", "drop"]


@pytest.mark.parametrize(
    ("answer", "option"),
    [("s21", 2), (" Local.\n", 0), ("drop", 3), ("s08 looks busy\nAnswer: s21", 2), ("s08 s08", 1)],
)
def test_answers_that_name_one_option(answer, option):
    assert parsing.parse(answer, NAMES) == parsing.Parsed(option)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "empty answer"),
        ("the second one", "no option named"),
        ("s30", "absent server s30"),
        ("s08 or s21", "several options named: s08, s21"),
        ("s2", "no option named"),
    ],
)
def test_answers_that_name_none_say_why(answer, reason):
    assert parsing.parse(answer, NAMES) == parsing.Parsed(None, reason)


def test_parse_rate_is_the_share_of_valid_answers():
    parsed = [parsing.parse(a, NAMES) for a in ("s21", "s30", "local", "hm")]
    assert parsing.parse_rate(parsed) == 0.5
