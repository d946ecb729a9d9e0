"""Forms of the text that a pretrained model reads: in full sentences, or brief.

The *natural* form (`learning.offloading.prompts.forms_compact_natural.natural_texts`) describes the
task, the queues and the servers in Mbit, Mbps and GHz, and leaves it to the model to work out what
follows. The *brief* form gives the two parts of what each place takes, worked out by the
environment as in the compact form of the embedded model: until the upload has ended (waiting at the
device, for local), and from then on::

    1000 deadline
    0031 0385 local
    0253 0031 A
    0240 0070 B
    2000 drop
    Answer:

It has a third of the tokens; what is left to the model is to add and to compare. A name is one
token of the usual tokenizers and stands at the end of its line, where a causal model has read the
numbers that belong to it. Every number has four digits, so places line up between prompts.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from learning.language.vocabulary import DROP, LOCAL, N_NAMES
from learning.offloading.prompts import forms_compact_natural as prompts
from learning.offloading.prompts.forms_compact_natural import Naming
from learning.offloading.states.decision_states import States

#: Names of servers in the brief form, as many as in the other forms.
LETTERS = (*string.ascii_uppercase, "AA", "BB", "CC", "DD", "EE", "FF")
assert len(LETTERS) == N_NAMES

_BRIEF = {
    "slots": "Upload and computing in hundredths of a slot; name the place with the least sum.\n",
    "ms": "Upload and computing in ms; name the place with the least sum.\n",
}
#: Largest number of the brief form; everything beyond reads the same.
_LARGEST = 9999


@dataclass(frozen=True)
class Form:
    """How states are told.

    Parameters
    ----------
    name : str
    wordings : int
        Wordings that say the same.
    texts : callable
        (states, naming, units, wording) -> what follows the instructions, one text per state.
        Lines of options come last but one: local, servers in the order of the naming, drop.
    instructions : callable
        (units, wording) -> the fixed text before it.
    option_names : callable
        (naming, i) -> names of options 0..J + 1 of state i, empty where there is no such server.
    """

    name: str
    wordings: int
    texts: Callable[[States, Naming, str, int], list[str]]
    instructions: Callable[[str, int], str]
    option_names: Callable[[Naming, int], list[str]]


def brief_texts(states: States, naming: Naming, units: str, wording: int) -> list[str]:
    """The brief form without its instructions.

    Raises
    ------
    ValueError
        Unknown units or wording.
    """
    _check_brief(units, wording)
    scale = np.full(len(states), 100.0) if units == "slots" else states.slot_s * 1e3
    return [_brief_text(states, naming, i, scale[i]) for i in range(len(states))]


def _brief_text(s: States, naming: Naming, i: int, scale: float) -> str:
    def line(name: str, *slots: float) -> str:
        digits = [f"{int(min(max(x, 0.0) * scale + 0.5, _LARGEST)):04d}" for x in slots]
        return " ".join([*digits, name]) + "\n"

    lines = [
        line("deadline", s.deadline_slots[i]),
        line(LOCAL, s.device_wait_slots[i], s.device_slots[i]),
    ]
    for j, name in zip(naming.order[i], naming.name[i], strict=True):
        if name:
            upload = s.uplink_wait_slots[i] + s.transfer_slots[i, j]
            rest = s.wait_slots[i, j] + s.compute_slots[i, j]
            lines.append(line(LETTERS[name - 1], upload, rest))
    return "".join([*lines, line(DROP, s.drop_cost_slots[i]), "Answer:"])


def _brief_instructions(units: str, wording: int) -> str:
    _check_brief(units, wording)
    return _BRIEF[units]


def _check_brief(units: str, wording: int) -> None:
    if units not in _BRIEF:
        raise ValueError(f"units: unknown {units!r}, one of {', '.join(_BRIEF)}")
    if wording != 0:
        raise ValueError(f"wording = {wording}: brief prompts have one wording, 0")


FORMS = {
    "natural": Form(
        "natural",
        len(prompts.INSTRUCTIONS),
        partial(prompts.natural_texts, instructions=False),
        lambda units, wording: prompts.INSTRUCTIONS[wording],
        prompts.option_names,
    ),
    "brief": Form(
        "brief", 1, brief_texts, _brief_instructions, partial(prompts.option_names, pool=LETTERS)
    ),
}


def form_named(name: str) -> Form:
    """A form by name.

    Raises
    ------
    ValueError
        If there is none of this name.
    """
    if name not in FORMS:
        raise ValueError(f"form: unknown {name!r}, one of {', '.join(FORMS)}")
    return FORMS[name]
