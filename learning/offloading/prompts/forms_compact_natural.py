"""States as text: a compact form for the embedded model, natural language for pretrained ones.

Both name the servers of a state from a pool of `vocabulary.N_NAMES` names in any order, so what a
model learns depends neither on how many servers there are nor on which. Fixed instructions come
first and the state last: a model can keep what it made of the instructions (their prefix).

The compact form gives times in slots (upload, wait and computing of this task at each server),
worked out by the environment; one line for the user, one per server, one word to answer::

    u0.00 c1.20 l4.16 p0.30 m4.16 d10.00 x20.0
    t2.53 b0.00 w0.31 s08
    t3.10 b0.44 w0.22 s21
    act

The natural form (COMLLM, arXiv 2604.07148, section "prompt") gives Mbit, Mbps and GHz.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from learning.language import vocabulary
from learning.language.vocabulary import (
    COMLLM,
    DROP,
    FIRST_NAME,
    LOCAL,
    N_NAMES,
    SERVER_NAMES,
    WORD_ID,
    number_index,
)
from learning.offloading.states.decision_states import States

UNITS = ("slots", "ms")
_N_STATE = len(COMLLM.state_keys)
_KEY_IDS = tuple(COMLLM.key_id.values())
_PAD, _ACT = WORD_ID[vocabulary.PAD], WORD_ID[vocabulary.ACT]


@dataclass(frozen=True, eq=False)
class Naming:
    """In which order the servers of each state are listed, and under which names.

    Parameters
    ----------
    order : (B, J) int64
        Server (column of the state) on each line; present servers first, then -1.
    name : (B, J) int64
        Number of the name on each line, 1..32; 0 where there is no line.
    """

    order: NDArray[np.int64]
    name: NDArray[np.int64]

    def __getitem__(self, index: slice | NDArray[np.int64]) -> Naming:
        return Naming(self.order[index], self.name[index])


def in_order(states: States) -> Naming:
    """Servers in the instance's order, named s01, s02, ...

    Raises
    ------
    ValueError
        If a state has more servers than there are names.
    """
    shape = states.present.shape
    if states.present.all() and shape[1] <= N_NAMES:  # the common case, on the hot path
        order = np.arange(shape[0] * shape[1]).reshape(shape) % shape[1]
        return Naming(order, order + 1)
    order = np.argsort(~states.present, axis=1, kind="stable")
    return _listed(
        states, order, np.broadcast_to(np.arange(1, N_NAMES + 1), (len(states), N_NAMES))
    )


def shuffled(states: States, rng: np.random.Generator) -> Naming:
    """Servers in random order under random names."""
    order = np.argsort(rng.random(states.present.shape) + ~states.present, axis=1)
    return _listed(states, order, 1 + np.argsort(rng.random((len(states), N_NAMES)), axis=1))


def _listed(states: States, order: NDArray[np.int64], names: NDArray[np.int64]) -> Naming:
    count = states.present.sum(axis=1)
    if len(count) and count.max() > N_NAMES:
        raise ValueError(f"states: {count.max()} servers, there are names for {N_NAMES}")
    line = np.arange(states.n_servers) < count[:, None]
    used = np.zeros(order.shape, dtype=np.int64)
    width = min(states.n_servers, N_NAMES)
    used[:, :width] = names[:, :width]
    return Naming(np.where(line, order, -1), np.where(line, used, 0))


# ----------------------------------------------------------------------------------- compact form
def compact_ids(states: States, naming: Naming) -> NDArray[np.int64]:
    """(B, T) tokens of the compact prompts, padded on the left; T = 8 + 4 x most servers.

    Equal to `learning.language.tokenizer.CompactTokenizer` on `compact_texts`.
    """
    s, n_lines = states, int((naming.name > 0).sum(axis=1).max(initial=0))
    ids = np.empty((len(s), _N_STATE + COMLLM.line * n_lines + 1), dtype=np.int64)
    _write_ids(
        s.size_mbit,
        s.uplink_wait_slots,
        s.device_wait_slots,
        s.device_ghz,
        s.density,
        s.arrival_probability,
        s.mean_size_mbit,
        s.slot_s,
        s.deadline_slots,
        s.drop_cost_slots,
        s.server_ghz,
        s.rate_mbps,
        s.wait_slots,
        naming.order,
        naming.name,
        ids,
    )
    return ids


@njit(cache=True)
def _write_ids(
    size, uplink, device, device_ghz, density, arrival, mean, slot_s, deadline, drop, ghz, rate,
    wait, order, name, ids,
):  # fmt: skip
    """One row of `ids` per state: padding, the user's quantities, a line per server, `act`."""
    u, c, local, p, m, d, x, t, b, w = _KEY_IDS
    for i in range(len(size)):
        lines = 0
        for line in range(name.shape[1]):
            lines += name[i, line] > 0
        at = ids.shape[1] - 8 - 4 * lines
        ids[i, :at] = _PAD
        gcycles = density[i] * size[i]
        on_device = gcycles / (device_ghz[i] * slot_s[i])
        ids[i, at] = u + number_index(uplink[i])
        ids[i, at + 1] = c + number_index(device[i])
        ids[i, at + 2] = local + number_index(on_device)
        ids[i, at + 3] = p + number_index(arrival[i])
        ids[i, at + 4] = m + number_index(on_device * mean[i] / size[i])
        ids[i, at + 5] = d + number_index(deadline[i])
        ids[i, at + 6] = x + number_index(drop[i])
        at += 7
        for line in range(lines):
            j = order[i, line]
            ids[i, at] = t + number_index(size[i] / (rate[i, j] * slot_s[i]))
            ids[i, at + 1] = b + number_index(wait[i, j])
            ids[i, at + 2] = w + number_index(gcycles / (ghz[i, j] * slot_s[i]))
            ids[i, at + 3] = FIRST_NAME - 1 + name[i, line]
            at += 4
        ids[i, at] = _ACT


def compact_texts(states: States, naming: Naming, *, units: str = "slots") -> list[str]:
    """The compact prompt of each state.

    Parameters
    ----------
    states : States
    naming : Naming
    units : str
        ``"slots"``, or ``"ms"`` (numbers with the suffix ms, to the ms).

    Raises
    ------
    ValueError
        Unknown units, or ms for states whose slot is not 100 ms (what the tokenizer takes a slot
        to be).
    """
    if units not in UNITS:
        raise ValueError(f"units: unknown {units!r}, one of {', '.join(UNITS)}")
    if units == "ms" and np.any(np.abs(states.slot_s - 0.1) > 1e-9):
        raise ValueError("units: ms needs slots of 100 ms")
    return [_compact_text(states, naming, i, units) for i in range(len(states))]


def _compact_text(s: States, naming: Naming, i: int, units: str) -> str:
    def time(key: str, slots: float) -> str:
        if units == "slots":
            return vocabulary.quantity(key, slots)
        return f"{key}{round(min(max(slots, 0.0), 1e4) * 100)}ms"

    mean = s.device_slots[i] * s.mean_size_mbit[i] / s.size_mbit[i]
    user = [
        time("u", s.uplink_wait_slots[i]),
        time("c", s.device_wait_slots[i]),
        time("l", s.device_slots[i]),
        vocabulary.quantity("p", s.arrival_probability[i]),
        time("m", mean),
        time("d", s.deadline_slots[i]),
        time("x", s.drop_cost_slots[i]),
    ]
    lines = [" ".join(user)]
    for j, name in zip(naming.order[i], naming.name[i], strict=True):
        if name:
            server = (
                time("t", s.transfer_slots[i, j]),
                time("b", s.wait_slots[i, j]),
                time("w", s.compute_slots[i, j]),
                SERVER_NAMES[name - 1],
            )
            lines.append(" ".join(server))
    return "\n".join([*lines, vocabulary.ACT])


# ----------------------------------------------------------------------------------- natural form
#: Fixed instructions, in several wordings that say the same.
INSTRUCTIONS = (
    "A mobile user has one computing task. Compute it on the user's device (local), upload it to "
    "one of the servers, or drop it. Latency is the waiting, the upload and the computing; a task "
    "that ends after its deadline counts as dropped. Choose the option with the least cost for "
    "this task and the tasks that come after it. Answer with the name of one option and nothing "
    "else.\n\n",
    "Decide where a task runs: on the phone itself (local), on one edge server, or nowhere "
    "(drop). What counts is the time until the task is done, waiting and transmission included, "
    "for this task and for later ones; being later than the deadline is as bad as dropping. Reply "
    "with one option name only.\n\n",
)


def natural_texts(
    states: States,
    naming: Naming,
    units: str = "slots",
    wording: int = 0,
    *,
    instructions: bool = True,
) -> list[str]:
    """The natural-language prompt of each state, up to where the answer begins.

    Parameters
    ----------
    states : States
    naming : Naming
    units : str
        ``"slots"`` with Mbit, or ``"ms"`` with kB and MB/s.
    wording : int
        Which of `INSTRUCTIONS` (and of the sentences that go with them).
    instructions : bool
        False leaves the fixed part away, for callers that keep its prefix.

    Raises
    ------
    ValueError
        Unknown units or wording.
    """
    if units not in UNITS:
        raise ValueError(f"units: unknown {units!r}, one of {', '.join(UNITS)}")
    if not 0 <= wording < len(INSTRUCTIONS):
        raise ValueError(f"wording = {wording} must be in [0, {len(INSTRUCTIONS)})")
    head = INSTRUCTIONS[wording] if instructions else ""
    return [head + _natural_text(states, naming, i, units, wording) for i in range(len(states))]


def _natural_text(s: States, naming: Naming, i: int, units: str, wording: int) -> str:
    slot_ms = s.slot_s[i] * 1e3

    def time(slots: float) -> str:
        return f"{slots:.2f} slots" if units == "slots" else f"{slots * slot_ms:.0f} ms"

    if units == "slots":
        size, load = f"{s.size_mbit[i]:.2f} Mbit", f"{s.mean_size_mbit[i]:.2f} Mbit"
    else:
        size, load = f"{s.size_mbit[i] * 125:.0f} kB", f"{s.mean_size_mbit[i] * 125:.0f} kB"
    gcycles = s.density[i] * s.size_mbit[i]
    texts = (
        (
            f"Task: {size}, {gcycles:.3f} Gcycles. Deadline {time(s.deadline_slots[i])}, a drop "
            f"costs {time(s.drop_cost_slots[i])}.\n"
            f"Load: {s.users[i]:.0f} users, each with {s.arrival_probability[i]:.2f} tasks per "
            f"slot of {slot_ms:.0f} ms, {load} on average.\n"
            f"Uplink: wait {time(s.uplink_wait_slots[i])}.\n"
            f"{LOCAL}: wait {time(s.device_wait_slots[i])}, {s.device_ghz[i]:.1f} GHz.\n"
        ),
        (
            f"The task has {size} and needs {gcycles:.3f} Gcycles before "
            f"{time(s.deadline_slots[i])} are over; dropping it costs "
            f"{time(s.drop_cost_slots[i])}.\n"
            f"There are {s.users[i]:.0f} users; per slot of {slot_ms:.0f} ms each has "
            f"{s.arrival_probability[i]:.2f} tasks of about {load}.\n"
            f"The uplink is busy for another {time(s.uplink_wait_slots[i])}.\n"
            f"{LOCAL}: {s.device_ghz[i]:.1f} GHz, free in {time(s.device_wait_slots[i])}.\n"
        ),
    )
    lines = [texts[wording]]
    for j, name in zip(naming.order[i], naming.name[i], strict=True):
        if name:
            mbps = s.rate_mbps[i, j]
            rate = f"{mbps:.2f} Mbps" if units == "slots" else f"{mbps / 8:.3f} MB/s"
            wait, ghz = time(s.wait_slots[i, j]), f"{s.server_ghz[i, j]:.1f} GHz"
            forms = (f"{rate}, wait {wait}, {ghz}", f"{ghz}, free in {wait}, reached at {rate}")
            lines.append(f"{SERVER_NAMES[name - 1]}: {forms[wording]}.\n")
    closing = ("Answer:", "Choice:")
    return "".join([*lines, f"{DROP}: give the task up.\n", closing[wording]])


# -------------------------------------------------------------------------------- names of options
def option_names(naming: Naming, i: int, pool: Sequence[str] = SERVER_NAMES) -> list[str]:
    """Names of options 0..J + 1 of state i, servers from a pool (empty where there is none)."""
    names = [""] * naming.order.shape[1]
    for j, name in zip(naming.order[i], naming.name[i], strict=True):
        if name:
            names[j] = pool[name - 1]
    return [LOCAL, *names, DROP]


def option_word_ids(naming: Naming) -> NDArray[np.int64]:
    """(B, J + 2) token of each option's name in the compact vocabulary; padding where absent."""
    batch, n_servers = naming.order.shape
    out = np.full((batch, n_servers + 2), WORD_ID[vocabulary.PAD])
    out[:, 0], out[:, -1] = WORD_ID[LOCAL], WORD_ID[DROP]
    row, line = np.nonzero(naming.name)
    out[row, 1 + naming.order[row, line]] = FIRST_NAME - 1 + naming.name[row, line]
    return out


def check_context(lengths: NDArray[np.int64], context: int, answer: int = 1) -> None:
    """Refuse prompts that, with `answer` tokens after them, do not fit into a model's context.

    Raises
    ------
    ValueError
        Names the longest prompt; nothing is ever cut off silently.
    """
    longest = int(np.argmax(lengths)) if len(lengths) else 0
    if len(lengths) and lengths[longest] + answer > context:
        raise ValueError(
            f"prompt {longest} has {lengths[longest]} tokens and needs {answer} more for the "
            f"answer, the model's context is {context}; give fewer servers or another model"
        )
