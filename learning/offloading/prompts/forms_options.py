"""States of any instance as text: a line per option, compact for the embedded model, or in words.

The compact form is written from option rows (`learning.offloading.states.option_features`), in
tenths of a task's scale, which is its deadline where it has one::

    x14.20 p0.00 m0.00 y0.00
    q0.00 b1.25 t2.10 e0.00 w0.40 z0.00 k0.00 s08
    q3.00 b0.00 t0.00 e5.10 w0.00 z0.00 k4.35 s21
    act

Options are called by names from the pool of `vocabulary.N_NAMES`, so nothing that an instance calls
its resources becomes a word of the prompt. Of more options than there are names, those of least
believed cost are listed.

The form in words tells the stages of every option with the names that the instance gives. A name is
quoted as a JSON string: blanks, line breaks and quotes in it cannot be taken for anything else.
"""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from learning.language import vocabulary
from learning.language.vocabulary import DROP, N_NAMES, OPTIONS, SERVER_NAMES, WORD_ID, number_index
from learning.offloading.prompts.forms_compact_natural import Naming
from learning.offloading.states.option_features import (
    BEHIND,
    COST,
    DEVICE,
    FIRST_WAIT,
    LATER_WAIT,
    LINK,
    PRESENT,
    SERVER,
    Reader,
)
from mecopt.offloading.observation import Observation
from mecopt.offloading.projection import wait_free
from mecopt.offloading.status import NEVER
from mecopt.offloading.units import INFINITE_NS, UNLIMITED

#: Columns of a row in the order of the line's keys; the cost comes last.
_COLUMNS = (FIRST_WAIT, LATER_WAIT, LINK, DEVICE, SERVER, BEHIND)
#: What a drop that is forbidden costs: the largest number.
_FORBIDDEN = 100.0
_N_STATE, _LINE = len(OPTIONS.state_keys), OPTIONS.line
_STATE_IDS = np.array([OPTIONS.key_id[key] for key in OPTIONS.state_keys])
_LINE_IDS = np.array([OPTIONS.key_id[key] for key in OPTIONS.line_keys])


def in_order(options: NDArray[np.float32]) -> Naming:
    """Options in the instance's order, named s01, s02, ..."""
    there = listed(options)
    order = np.argsort(~there, axis=1, kind="stable")[:, :N_NAMES]
    names = np.broadcast_to(np.arange(1, order.shape[1] + 1), order.shape)
    return _named(there, order, names)


def shuffled(options: NDArray[np.float32], rng: np.random.Generator) -> Naming:
    """Options in random order under random names."""
    there = listed(options)
    order = np.argsort(rng.random(there.shape) + ~there, axis=1)[:, :N_NAMES]
    names = 1 + np.argsort(rng.random((len(options), N_NAMES)), axis=1)[:, : order.shape[1]]
    return _named(there, order, names)


def listed(options: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(B, A - 1) options that get a line: those there are, the cheapest where they are too many."""
    there = options[:, :-1, PRESENT] > 0
    if there.shape[1] > N_NAMES:
        cost = np.where(there, options[:, :-1, COST], np.inf)
        rank = np.argsort(np.argsort(cost, axis=1, kind="stable"), axis=1)
        there &= rank < N_NAMES
    return there


def _named(there: NDArray[np.bool_], order: NDArray[np.int64], names: NDArray[np.int64]) -> Naming:
    line = np.arange(order.shape[1]) < there.sum(axis=1)[:, None]
    return Naming(np.where(line, order, -1), np.where(line, names, 0))


def _numbers(
    options: NDArray[np.float32], load: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(B, state keys) and (B, A - 1, line keys) numbers of the compact form."""
    cost = np.where(options[..., PRESENT] > 0, options[..., COST], np.inf).astype(np.float64)
    least = cost.min(axis=1, keepdims=True)
    above = np.minimum(10.0 * (cost - np.where(np.isfinite(least), least, 0.0)), _FORBIDDEN)
    state = np.column_stack([above[:, -1], load * (1.0, 10.0, 10.0)])
    rows = np.dstack([10.0 * options[:, :-1, _COLUMNS], above[:, :-1]])
    return state, rows


def option_ids(
    options: NDArray[np.float32], load: NDArray[np.float32], naming: Naming
) -> NDArray[np.int64]:
    """(B, T) tokens of the compact prompts, padded on the left; T = 5 + 8 x most lines.

    Equal to `learning.language.tokenizer.CompactTokenizer` on `option_texts`.
    """
    state, rows = _numbers(options, load)
    count = (naming.name > 0).sum(axis=1)
    n_lines = int(count.max(initial=0))
    b = len(options)
    # Lines in order, those of padding first.
    place = np.arange(n_lines) - (n_lines - count)[:, None]
    padding, at = place < 0, np.maximum(place, 0)
    option = np.maximum(np.take_along_axis(naming.order, at, axis=1), 0)
    lines = np.empty((b, n_lines, _LINE), dtype=np.int64)
    told = np.take_along_axis(rows, option[..., None], axis=1)
    lines[..., :-1] = _LINE_IDS + number_index(told)
    lines[..., -1] = vocabulary.FIRST_NAME - 1 + np.take_along_axis(naming.name, at, axis=1)
    lines[padding] = WORD_ID[vocabulary.PAD]
    head = _STATE_IDS + number_index(state)
    ids = np.empty((b, _N_STATE + _LINE * n_lines + 1), dtype=np.int64)
    ids[:, :_N_STATE], ids[:, _N_STATE:-1] = head, lines.reshape(b, -1)
    ids[:, -1] = WORD_ID[vocabulary.ACT]
    for i in np.flatnonzero(count < n_lines):  # what is padding goes before the state's own line
        gap = _LINE * (n_lines - int(count[i]))
        ids[i, gap : gap + _N_STATE] = head[i]
        ids[i, :gap] = WORD_ID[vocabulary.PAD]
    return ids


def option_texts(
    options: NDArray[np.float32], load: NDArray[np.float32], naming: Naming
) -> list[str]:
    """The compact prompt of each state."""
    state, rows = _numbers(options, load)

    def told(keys: dict[str, str], numbers: NDArray[np.float64]) -> list[str]:
        return [vocabulary.quantity(k, v) for k, v in zip(keys, numbers.tolist(), strict=True)]

    texts = []
    for i in range(len(options)):
        lines = [" ".join(told(dict(OPTIONS.state_keys), state[i]))]
        for option, name in zip(naming.order[i], naming.name[i], strict=True):
            if name:
                line = told(dict(OPTIONS.line_keys), rows[i, option])
                lines.append(" ".join([*line, SERVER_NAMES[name - 1]]))
        texts.append("\n".join([*lines, vocabulary.ACT]))
    return texts


def answer_ids(naming: Naming, n_options: int) -> NDArray[np.int64]:
    """(B, n_options + 1) word that names each option, and the drop; 0 for those without a line."""
    ids = np.zeros((len(naming.name), n_options + 1), dtype=np.int64)
    row, line = np.nonzero(naming.name)
    ids[row, naming.order[row, line]] = vocabulary.FIRST_NAME - 1 + naming.name[row, line]
    ids[:, -1] = WORD_ID[DROP]
    return ids


# -------------------------------------------------------------------------------------- in words
def words_of(observation: Observation, reader: Reader | None = None) -> str:
    """The state in words: stages, waits that this task would meet, deadline, weights; in s.

    Parameters
    ----------
    observation : Observation
    reader : Reader, optional
        Of its instance, made anew unless given.
    """
    x, task = observation.instance, observation.task
    rows = (reader or Reader(x)).options(observation)
    naming = in_order(rows[None])
    deadline, drop = x.deadline_ns[task], x.drop_cost_ns[task]
    late = "none" if deadline >= INFINITE_NS else f"{deadline * 1e-9:.6g} s"
    forbidden = "is not allowed" if drop >= INFINITE_NS else f"costs {drop * 1e-9:.6g}"
    lines = [
        f"Task of {_quoted(x.owner_names[x.owner[task]])}. Deadline: {late}. A second of latency "
        f"costs {x.latency_weight[task]:.6g}. Being late or dropped {forbidden}.",
    ]
    for option, name in zip(naming.order[0], naming.name[0], strict=True):
        if name:
            lines.append(f"{SERVER_NAMES[name - 1]}: {_option_in_words(observation, int(option))}")
    if drop < INFINITE_NS:
        lines.append(f"{DROP}: the task is not done.")
    return "\n".join([*lines, "Answer:"])


def _option_in_words(observation: Observation, option: int) -> str:
    x = observation.instance
    o = int(x.option_ptr[observation.task]) + option
    stages = [
        f"{_quoted(x.resource_names[r])} ({_quoted(x.resource_kinds[r])}, "
        f"{_wait_in_words(observation, int(r))}) {x.believed_ns[s] * 1e-9:.6g} s"
        for s in range(x.stage_ptr[o], x.stage_ptr[o + 1])
        for r in (x.stage_resource[s],)
    ]
    end = observation.completion_ns[option]
    done = f"done after {(end - observation.now_ns) * 1e-9:.6g} s" if end < NEVER else "down"
    return f"{', then '.join(stages)}; {done}, fixed cost {x.fixed_cost_ns[o] * 1e-9:.6g}."


def _wait_in_words(observation: Observation, resource: int) -> str:
    x = observation.instance
    if x.capacity[resource] == UNLIMITED:
        return "never a wait"
    now, units = observation.now_ns, np.empty(x.most_units, dtype=np.int64)
    ready = wait_free(
        x.arrays.free_ptr, resource, now, observation.free_ns, observation.entries, units
    )
    return f"free in {max(0, int(ready) - now) * 1e-9:.6g} s"


def _quoted(name: str) -> str:
    """A name as a JSON string of ASCII: one word of text whatever is in it."""
    return json.dumps(name)
