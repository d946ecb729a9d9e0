"""Windows of a schedule rebuilt by the exact program: compiled annealing.

A move frees a window of slots for a few pairs and puts the pairs back one after another, each by
the pair program (`formulations.caching.pairs`) over the window with the memory, energy and requests
that are left. The state at entry is kept; what follows the window keeps its choices, and its cost
as a function of the age at exit closes the program. Prices of the bound, scaled at random, keep the
first pairs from taking what later ones need more. A move is accepted or taken back as a whole, by
its true cost.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from formulations.caching.blocks import Blocks
from formulations.caching.pairs import serve

#: Most pairs freed by a move.
GROUP = 15


class State(NamedTuple):
    """A schedule, what it leaves over, and scratch. Places are q T + t."""

    picked: NDArray[np.int64]  # (Q T,) choices
    flow: NDArray[np.int64]  # (Q T, 3) requests from the server before, the own, the next
    free: NDArray[np.int64]  # (Q T,) requests served nowhere
    memory_left: NDArray[np.int64]  # (N, T)
    energy_left: NDArray[np.int64]  # (N, T)
    load: NDArray[np.int64]  # (T,) tokens on the link above its capacity, maybe negative
    group: NDArray[np.int64]  # (GROUP,)
    saved: NDArray[np.int64]  # (GROUP, T)
    saved_flow: NDArray[np.int64]  # (GROUP, T, 3)
    table: NDArray[np.float64]  # (T + 1, K + 1)
    off: NDArray[np.float64]  # (T + 1,)
    tail: NDArray[np.float64]  # (2, K + 1)
    weight: NDArray[np.float64]  # (choices,)
    most: NDArray[np.int64]  # (T,) requests that can be served, -1 when not resident


class Guide(NamedTuple):
    """Prices of the bound: of choices (choices,), and of requests taken from a cell (Q T,)."""

    choice: NDArray[np.float64]
    birth: NDArray[np.float64]


def state_of(blocks: Blocks, picked: NDArray[np.int64], flow: NDArray[np.int64]) -> State:
    """The state of a feasible schedule: choices (Q T,) and flows (Q T, 3)."""
    places, slots = len(picked), blocks.n_slots
    states = blocks.accuracy.shape[1]
    demand = blocks.requests.reshape(-1, slots)
    out = State(
        picked.copy(),
        flow.copy(),
        blocks.requests.copy(),
        np.repeat(blocks.memory_capacity[:, None], slots, axis=1),
        np.repeat(blocks.energy_budget[:, None], slots, axis=1),
        blocks.tokens @ demand - blocks.link_capacity,
        np.zeros(GROUP, dtype=np.int64),
        np.zeros((GROUP, slots), dtype=np.int64),
        np.zeros((GROUP, slots, 3), dtype=np.int64),
        np.zeros((slots + 1, states)),
        np.zeros(slots + 1),
        np.zeros((2, states)),
        np.zeros(blocks.n_choices),
        np.zeros(slots, dtype=np.int64),
    )
    for q in range(places // slots):
        occupy(blocks, out, q, 0, slots, 1)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def occupy(blocks, state, q, begin, end, sign):
    """Take (sign 1) or give back (-1) what pair q uses in [begin, end)."""
    slots, pairs = blocks.n_slots, blocks.n_pairs
    n = q // pairs
    for t in range(begin, end):
        place = q * slots + t
        choice = state.picked[place]
        if choice == 0:
            continue
        served = sign * (choice - 1)
        state.memory_left[n, t] -= sign * blocks.memory[q]
        state.energy_left[n, t] -= blocks.energy[q] * served
        state.load[t] -= blocks.tokens[q] * served
        state.free[place] -= sign * state.flow[place, 1]
        if state.flow[place, 0] > 0:
            state.free[place - pairs * slots] -= sign * state.flow[place, 0]
        if state.flow[place, 2] > 0:
            state.free[place + pairs * slots] -= sign * state.flow[place, 2]


@njit(cache=True, nogil=True, error_model="numpy")
def plan_cost(blocks, picked, q, begin, end, kappa, resident):
    """Cost of pair q's choices in [begin, end) from a state, and the state they end in.

    Hops and the shared link are left out.
    """
    slots, cost = blocks.n_slots, 0.0
    for t in range(begin, end):
        choice = picked[q * slots + t]
        cost += blocks.cost[blocks.first[q * slots + t] + choice]
        if choice == 0:
            kappa, resident = 0, False
            continue
        if not resident:
            cost += blocks.switching[q]
        resident = True
        x = choice - 1
        kappa += blocks.thoughts[q] * x - blocks.vanish[q]
        kappa = min(max(kappa, 0), blocks.kappa_max[q])
        cost += x * blocks.accuracy[q, kappa]
    return cost, kappa, resident


@njit(cache=True, nogil=True, error_model="numpy")
def total_cost(blocks, state):
    """Cost of a schedule."""
    total = 0.0
    for q in range(len(blocks.switching)):
        total += plan_cost(blocks, state.picked, q, 0, blocks.n_slots, 0, False)[0]
        total += _hop_cost(blocks, state, q, 0, blocks.n_slots)
    return total + _overflow(blocks, state, 0, blocks.n_slots)


@njit(cache=True, nogil=True, error_model="numpy")
def _overflow(blocks, state, begin, end):
    over = 0
    if blocks.overflow_cost > 0.0:
        for t in range(begin, end):
            over += max(0, state.load[t])
    return blocks.overflow_cost * over


@njit(cache=True, nogil=True, error_model="numpy")
def _hop_cost(blocks, state, q, begin, end):
    hops = 0
    if blocks.hop[q] < np.inf:
        for t in range(begin, end):
            place = q * blocks.n_slots + t
            hops += state.flow[place, 0] + state.flow[place, 2]
        return hops * blocks.hop[q]
    return 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _window_cost(blocks, state, q, begin, end, kappa, resident):
    """Cost of pair q from `begin` to where nothing depends on the window any more."""
    slots, stop = blocks.n_slots, end
    while stop < slots and state.picked[q * slots + stop] > 0:
        stop += 1
    cost = plan_cost(blocks, state.picked, q, begin, stop, kappa, resident)[0]
    return cost + _hop_cost(blocks, state, q, begin, end)


@njit(cache=True, nogil=True, error_model="numpy")
def _tail_cost(blocks, state, q, end, row):
    """Cost of the choices from slot `end` on for every age at exit (row) and for off.

    Counted until the pair is off, from where nothing depends on the exit.
    """
    slots, top = blocks.n_slots, blocks.kappa_max[q]
    stop = end
    while stop < slots and state.picked[q * slots + stop] > 0:
        stop += 1
    now, then = state.tail[0], state.tail[1]
    now[: top + 1] = 0.0
    for t in range(stop - 1, end - 1, -1):
        x = state.picked[q * slots + t] - 1
        then[: top + 1] = np.inf
        gain = blocks.thoughts[q] * x - blocks.vanish[q]
        serve(then, now, x, 0.0, blocks.accuracy[q], gain, top)
        now, then = then, now
    row[: top + 1] = now[: top + 1]
    return now[0] + blocks.switching[q] if stop > end else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _split(number, before, after):
    """How many of `number` requests come from the server before, the rest from the next."""
    first = max(number - after, min(before, (number + before - after + 1) // 2))
    return min(max(first, 0), number)


@njit(cache=True, nogil=True, error_model="numpy")
def _weigh(blocks, state, q, begin, end, guide, scale):
    """Fill `weight` and `most` in [begin, end): choices' costs with what is left, prices scaled."""
    slots, step, n = blocks.n_slots, blocks.n_pairs * blocks.n_slots, q // blocks.n_pairs
    first_of, cost, price, birth = blocks.first, blocks.cost, guide.choice, guide.birth
    weight, free, load = state.weight, state.free, state.load
    memory, energy, tokens = blocks.memory[q], blocks.energy[q], blocks.tokens[q]
    over, hop, places = blocks.overflow_cost, blocks.hop[q], len(state.free)
    near = hop < np.inf
    for t in range(begin, end):
        place = q * slots + t
        first = first_of[place]
        weight[first] = cost[first] + scale * price[first] + over * max(0, load[t])
        state.most[t] = -1
        if state.memory_left[n, t] < memory:
            continue
        most = first_of[place + 1] - first - 2
        if energy > 0:
            most = min(most, state.energy_left[n, t] // energy)
        own, before, after = free[place], 0, 0
        if near:
            before = free[place - step] if place >= step else 0
            after = free[place + step] if place + step < places else 0
        most = min(most, own + before + after)
        state.most[t] = most
        for x in range(most + 1):
            c = first + 1 + x
            w = cost[c] + scale * price[c]
            if over > 0.0:
                w += over * max(0, load[t] - tokens * x)
            if near and x > 0:
                w += scale * birth[place] * min(own, x)
                if x > own:
                    w += hop * (x - own)
                    left = _split(x - own, before, after)
                    if left > 0:
                        w += scale * birth[place - step] * left
                    if left < x - own:
                        w += scale * birth[place + step] * (x - own - left)
            weight[c] = w


@njit(cache=True, nogil=True, error_model="numpy")
def _insert(blocks, state, q, begin, end, kappa, resident, guide, scale):
    """Best choices of pair q in [begin, end) with what is left, written to the state."""
    slots, top, step = blocks.n_slots, blocks.kappa_max[q], blocks.n_pairs * blocks.n_slots
    thoughts, vanish, accuracy = blocks.thoughts[q], blocks.vanish[q], blocks.accuracy[q]
    table, off, weight, most = state.table, state.off, state.weight, state.most
    first_of, switching = blocks.first, blocks.switching[q]
    off[end] = _tail_cost(blocks, state, q, end, table[end])
    _weigh(blocks, state, q, begin, end, guide, scale)
    for t in range(end - 1, begin - 1, -1):
        first, row = first_of[q * slots + t], table[t]
        leave = weight[first] + off[t + 1]
        off[t] = leave
        if most[t] < 0:
            row[: top + 1] = leave
            continue
        row[: top + 1] = np.inf
        for x in range(most[t] + 1):
            gain = thoughts * x - vanish
            serve(row, table[t + 1], x, weight[first + 1 + x], accuracy, gain, top)
        off[t] = min(leave, row[0] + switching)
        for k in range(top + 1):
            row[k] = min(row[k], leave)
    picked, flow, free = state.picked, state.flow, state.free
    near = blocks.hop[q] < np.inf
    for t in range(begin, end):
        place = q * slots + t
        first = first_of[place]
        best, choice, then = weight[first] + off[t + 1], 0, 0
        entry = 0.0 if resident else switching
        for x in range(most[t] + 1):
            k = min(top, max(0, kappa + thoughts * x - vanish))
            value = entry + weight[first + 1 + x] + x * accuracy[k] + table[t + 1, k]
            if value < best:
                best, choice, then = value, 1 + x, k
        picked[place] = choice
        served = max(choice - 1, 0)
        own = min(served, free[place])
        flow[place, 0], flow[place, 1], flow[place, 2] = 0, own, 0
        if near and served > own:
            before = free[place - step] if place >= step else 0
            after = free[place + step] if place + step < len(free) else 0
            flow[place, 0] = _split(served - own, before, after)
            flow[place, 2] = served - own - flow[place, 0]
        kappa, resident = then, choice > 0


@njit(cache=True, nogil=True, error_model="numpy")
def _choose_group(blocks, group, rng):
    """Pairs to free, in random order; returns their number.

    Some of one server; with forwarding, which moves work between servers, mostly the same ones of
    two or three neighbours.
    """
    pairs, servers, count = blocks.n_pairs, blocks.n_servers, 0
    home, span = int(rng.random() * servers), 1
    if servers > 1 and blocks.hop[0] < np.inf and rng.random() < 0.7:
        span = 2 + int(rng.random() * 2)
    size = 2 + int(rng.random() * 5)
    size = min(size // span + 1, pairs) if span > 1 else min(size, pairs)
    if span > 1 and rng.random() < 0.5:
        home, span, size = 0, servers, min(1 + int(rng.random() * 3), pairs)
    for _ in range(size):
        p = int(rng.random() * pairs)
        for i in range(span):
            n, known = home + i, False
            if n >= servers or count == GROUP:
                break
            q = n * pairs + p
            for k in range(count):
                known = known or group[k] == q
            if not known:
                group[count] = q
                count += 1
    for i in range(count - 1, 0, -1):
        k = int(rng.random() * (i + 1))
        group[i], group[k] = group[k], group[i]
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def anneal(blocks, state, guide, moves, hot, cold, widest, rng, best, best_flow):
    """Make `moves` moves at temperatures from hot to cold.

    `best` (Q T,) and `best_flow` (Q T, 3) get the best schedule met. Returns how far it lies below
    the start, the same for the last one, and the number of moves accepted.
    """
    slots = blocks.n_slots
    kappas, residents = np.zeros(GROUP, np.int64), np.zeros(GROUP, np.bool_)
    current, lowest, accepted = 0.0, 0.0, 0
    best[:] = state.picked
    best_flow[:] = state.flow
    for move in range(moves):
        temperature = hot * (cold / hot) ** (move / moves)
        width = 1 + int(rng.random() * (min(widest, slots)))
        begin = int(rng.random() * (slots - width + 1))
        end = begin + width
        size = _choose_group(blocks, state.group, rng)
        before = _overflow(blocks, state, begin, end)
        for i in range(size):
            q = state.group[i]
            back = begin  # the state at entry, from where the pair was off last
            while back > 0 and state.picked[q * slots + back - 1] > 0:
                back -= 1
            entry = plan_cost(blocks, state.picked, q, back, begin, 0, False)
            kappas[i], residents[i] = entry[1], entry[2]
            before += _window_cost(blocks, state, q, begin, end, entry[1], entry[2])
        for i in range(size):
            q = state.group[i]
            state.saved[i, :width] = state.picked[q * slots + begin : q * slots + end]
            state.saved_flow[i, :width] = state.flow[q * slots + begin : q * slots + end]
            occupy(blocks, state, q, begin, end, -1)
        after = 0.0
        scale = rng.random() * 1.2 if rng.random() < 0.7 else 0.0
        for i in range(size):
            q = state.group[i]
            kappa, resident = kappas[i], residents[i]
            greed = scale if i < size - 1 else 0.0
            _insert(blocks, state, q, begin, end, kappa, resident, guide, greed)
            occupy(blocks, state, q, begin, end, 1)
            after += _window_cost(blocks, state, q, begin, end, kappa, resident)
        after += _overflow(blocks, state, begin, end)
        change = after - before
        if change <= 0.0 or rng.random() < np.exp(-change / temperature):
            current += change
            accepted += 1
            if current < lowest - 1e-9:
                lowest = current
                best[:] = state.picked
                best_flow[:] = state.flow
            continue
        for i in range(size):
            q = state.group[i]
            occupy(blocks, state, q, begin, end, -1)
            state.picked[q * slots + begin : q * slots + end] = state.saved[i, :width]
            state.flow[q * slots + begin : q * slots + end] = state.saved_flow[i, :width]
            occupy(blocks, state, q, begin, end, 1)
    return lowest, current, accepted
