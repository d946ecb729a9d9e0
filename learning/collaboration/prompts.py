"""The prompt in plain words, for models that read English.

Names of nodes come from outside: they are shown as JSON strings, cut to 40 characters, and nothing
is ever read back from them. Candidates are called by letters.
"""

from __future__ import annotations

import json

import numpy as np

from learning.collaboration.memory import CAUSES, SHORT_SLOTS
from learning.collaboration.sight import LETTERS, QUANTITIES, Seen, Sight

INSTRUCTIONS = (
    "You place computing tasks in a network of edge nodes that can fail. You speak for one node. "
    "Each of its tasks stays here or goes to a neighbour, which may pass it on, over at most three "
    "links in all. A task counts when it ends by its deadline: what waits too long is late, "
    "executions and transfers go wrong at the given rates per second, and a node that goes down "
    "loses its tasks. Choose where the tasks of the next {slots} slots should go, and say how "
    "risky that is."
)
#: How an answer in words begins, for models whose next token is read.
STRATEGY, RISK = "Best choice:", "Risk (low or high):"
#: What a model is to write when its text is read (`learning.collaboration.answers.parse`).
FORMAT = (
    "Answer with one line and nothing else: the letters from best to worst, separated by blanks, "
    "then a semicolon and the risk, for example: B A C; risk low"
)
_MOST_LETTERS = 40
_WORST = {
    "fine": "were on time",
    "late": "were late",
    "damaged": "went wrong on the way or there",
    "down": "were lost because a node went down",
}


def named(name: str) -> str:
    """A name of a node as it may stand in a prompt."""
    cut = name if len(name) <= _MOST_LETTERS else name[: _MOST_LETTERS - 3] + "..."
    return json.dumps(cut)


def instructions() -> str:
    """What is the same in every prompt."""
    return INSTRUCTIONS.format(slots=SHORT_SLOTS)


def texts(seen: Seen) -> list[str]:
    """What each node sees, in lines."""
    return [_text(seen, i) for i in range(len(seen))]


def _text(seen: Seen, i: int) -> str:
    sight, v = seen.where[i]
    task = sight.typical
    lines = [
        f"Node {named(sight.names[v][0])}. A typical task has {task.size_bytes / 1e6:.3g} MB and "
        f"{task.cycles / 1e9:.3g} Gcycles, due after {task.deadline_s:g} s.",
        *sentences(seen, i),
    ]
    for c in range(int(seen.count[i])):
        lines.append(f"{LETTERS[c]}: {_candidate(seen, i, c, sight, v)}")
    return "\n".join(lines)


def _candidate(seen: Seen, i: int, c: int, sight: Sight, v: int) -> str:
    value = dict(
        zip(
            QUANTITIES,
            (
                values[p]
                for (values, _), p in zip(QUANTITIES.values(), seen.places[i, c], strict=True)
            ),
            strict=True,
        )
    )
    state = "up" if seen.up[i, c] else "DOWN"
    who = "keep it here" if c == 0 else f"send it to {named(sight.names[v][c])}"
    there = (
        f"{who} ({state}); execution {value['e']:g} s, wait {value['w']:g} s, failures "
        f"{value['f']:g} per s"
    )
    if c == 0:
        return there
    behind = "" if value["b"] >= 20 else (
        f"; best node behind it ends {value['b']:g} s later, failures {value['g']:g} per s"
    )  # fmt: skip
    return (
        f"{there}; transfer {value['t']:g} s, wait {value['q']:g} s, failures {value['r']:g} per s"
        f"{behind}"
    )


def sentences(seen: Seen, i: int) -> list[str]:
    """What memory says, at most five sentences."""
    out = []
    for c in np.flatnonzero(seen.known.trouble[i] >= 0):
        share, cause = 10 * int(seen.known.share[i, c]), CAUSES[seen.known.trouble[i, c]]
        when = f"in the last {SHORT_SLOTS} slots" if seen.known.lately[i, c] else "so far"
        out.append(f"Of its tasks by {LETTERS[c]} {when}, {share} % {_WORST[cause]}.")
    return out
