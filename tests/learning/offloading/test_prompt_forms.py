"""Brief prompts: what they say, how servers are called, and that answers in letters are read."""

from __future__ import annotations

import numpy as np
import pytest

from learning.language.parsing import parse
from learning.offloading.prompts import forms_compact_natural as prompts
from learning.offloading.prompts.forms_brief import FORMS, LETTERS, form_named
from learning.offloading.states import decision_states as states
from mecopt.offloading.scenarios import comllm

BRIEF = FORMS["brief"]


@pytest.fixture(scope="module")
def found():
    """States of two and of three servers."""
    three = states.collect([comllm.generate("paper", 0, servers=3, slots=3)])[:2]
    two = states.collect([comllm.generate("busy", 1, servers=2, slots=3)])[:2]
    return states.concat([three, two])


def test_a_line_is_two_times_in_hundredths_of_a_slot_that_add_up_to_the_latency(found):
    naming = prompts.in_order(found)
    for i, text in enumerate(BRIEF.texts(found, naming, "slots", 0)):
        latency = found.latency_slots[i]
        there = latency[1:][found.present[i]]
        names = ["deadline", "local", *LETTERS[: len(there)], "drop"]
        lines = [line.split() for line in text.splitlines()]
        assert [line[-1] for line in lines[:-1]] == names and lines[-1] == ["Answer:"]
        shown = [sum(map(int, line[:-1])) / 100 for line in lines[:-1]]
        # Deadline 10 slots, a drop costs 20; two numbers are rounded.
        assert shown == pytest.approx([10.0, latency[0], *there, 20.0], abs=0.01001)
        assert {len(number) for line in lines[:-1] for number in line[:-1]} == {4}
    waits = found.uplink_wait_slots[0] + found.transfer_slots[0, 0]
    assert int(BRIEF.texts(found, naming, "slots", 0)[0].splitlines()[2][:4]) == round(100 * waits)


def test_units_change_the_words_and_long_times_stay_four_digits(found):
    naming = prompts.in_order(found)
    slots, ms = (BRIEF.texts(found, naming, units, 0) for units in ("slots", "ms"))
    assert slots == ms  # a slot is 100 ms
    assert "of a slot" in BRIEF.instructions("slots", 0)
    assert "in ms" in BRIEF.instructions("ms", 0)
    slow = states.collect([comllm.generate("paper", 0, servers=1, slots=3, device_ghz=0.001)])
    assert "0000 9999 local" in BRIEF.texts(slow, prompts.in_order(slow), "slots", 0)[0]


def test_names_follow_the_naming_and_absent_servers_have_none(found):
    naming = prompts.shuffled(found, np.random.default_rng(0))
    for i in range(len(found)):
        names = BRIEF.option_names(naming, i)
        assert len(names) == 5 and (names[0], names[-1]) == ("local", "drop")
        assert sum(map(bool, names[1:-1])) == found.present[i].sum()
        for j, name in zip(naming.order[i], naming.name[i], strict=True):
            assert not name or names[1 + j] == LETTERS[name - 1]


@pytest.mark.parametrize(
    ("answer", "option", "reason"),
    [
        (" B", 1, ""),
        ("Answer: AA", 2, ""),
        ("Drop", 3, ""),
        ("a server", None, "no option named"),  # an article, not server A
        ("A", None, "absent server A"),
        ("B or AA", None, "several options named: B, AA"),
        ("I take B", None, "several options named: I, B"),
        ("BA", None, "no option named"),
        ("s01", None, "no option named"),
        ("", None, "empty answer"),
    ],
)
def test_letters_are_read_strictly(answer, option, reason):
    parsed = parse(answer, ["local", "B", "AA", "drop"])
    assert (parsed.option, parsed.reason) == (option, reason)


def test_what_does_not_exist_is_refused(found):
    naming = prompts.in_order(found)
    with pytest.raises(ValueError, match="form: unknown 'verse'"):
        form_named("verse")
    with pytest.raises(ValueError, match="units: unknown 'hours'"):
        BRIEF.texts(found, naming, "hours", 0)
    with pytest.raises(ValueError, match="wording = 1: brief prompts have one wording"):
        BRIEF.instructions("slots", 1)
