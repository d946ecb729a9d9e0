"""The network model of `formulations.caching.network` as arrays for HiGHS.

Arcs can be left out by reduced cost: with prices of the bound, an arc whose cheapest path costs so
much more than the cheapest plan that no schedule through it beats a known one.
"""

from __future__ import annotations

from typing import NamedTuple

import highspy
import numpy as np
from numba import njit
from numpy.typing import NDArray

from formulations import highs
from formulations.caching.blocks import Blocks, choice_places
from formulations.caching.pairs import price_pair

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


class Arcs(NamedTuple):
    """Arcs in order of place q T + t. States are ages; -1 is off."""

    place: IntArray
    choice: IntArray  # global index of the choice
    served: IntArray  # requests served, -1 for off
    state: IntArray
    to: IntArray
    cost: FloatArray


class Program(NamedTuple):
    """The program, and where its variables are."""

    lp: highspy.HighsLp
    choice: IntArray  # choices that have a binary z
    z: int  # column of the first z
    y: int  # column of the first y, -1 without forwarding


def all_arcs(blocks: Blocks) -> Arcs:
    """Every arc that a path from the start can use."""
    nothing = np.zeros(blocks.n_choices)
    return arcs_within(blocks, blocks.cost, nothing, np.inf)


def arcs_within(blocks: Blocks, weight: FloatArray, loss: FloatArray, slack: float) -> Arcs:
    """Arcs on a path whose priced cost is within `slack` of its pair's cheapest plan.

    Parameters
    ----------
    weight : (choices,) float64
        Costs of the choices with the prices of the bound; infinite where a choice is out.
    loss : (choices,) float64
        What the bound rises besides when the choice is made (its slot block).
    slack : float
        Known cost less bound.
    """
    states = blocks.accuracy.shape[1]
    table, off = np.zeros((blocks.n_slots + 1, states)), np.zeros(blocks.n_slots + 1)
    reach = np.zeros((2, states + 1))
    parts: list[tuple[NDArray, ...]] = []
    slots = blocks.n_slots
    for q in range(len(blocks.switching)):
        choices = blocks.first[(q + 1) * slots] - blocks.first[q * slots]
        most = int(choices) * (states + 1)
        whole = [np.empty(most, dtype=np.int64) for _ in range(4)]
        cost = np.empty(most)
        count = _list_arcs(blocks, q, weight, loss, slack, table, off, reach, *whole, cost)
        parts.append(tuple(a[:count].copy() for a in (*whole, cost)))
    place, choice, state, to, cost = (np.concatenate([part[i] for part in parts]) for i in range(5))
    return Arcs(place, choice, choice - blocks.first[place] - 1, state, to, cost)


@njit(cache=True, nogil=True)
def _list_arcs(  # type: ignore[no-untyped-def]
    blocks, q, weight, loss, slack, table, off, reach, place_of, choice_of, from_of, to_of, cost_of
):
    """Write the arcs of one pair; returns their number."""
    slots, top = blocks.n_slots, blocks.kappa_max[q]
    value = price_pair(blocks, q, weight, table, off)
    now, then = reach[0], reach[1]
    now[:] = np.inf
    now[top + 1] = 0.0  # the last entry is "off"
    count = 0
    for t in range(slots):
        place = q * slots + t
        first = blocks.first[place]
        then[:] = np.inf
        for s in range(top + 2):
            if now[s] == np.inf:
                continue
            kappa, entry = (s, 0.0) if s <= top else (0, blocks.switching[q])
            for c in range(first, blocks.first[place + 1]):
                if weight[c] == np.inf:
                    continue
                x = c - first - 1
                if x < 0:
                    to, extra, rest = top + 1, 0.0, off[t + 1]
                else:
                    gain = blocks.thoughts[q] * x - blocks.vanish[q]
                    to = min(top, max(0, kappa + gain))
                    extra = entry + x * blocks.accuracy[q, to]
                    rest = table[t + 1, to]
                paid = now[s] + weight[c] + extra
                if paid + rest - value + loss[c] > slack:
                    continue
                then[to] = min(then[to], paid)
                place_of[count], choice_of[count] = place, c
                from_of[count] = s if s <= top else -1
                to_of[count] = to if to <= top else -1
                cost_of[count] = blocks.cost[c] + extra
                count += 1
        now, then = then, now
    return count


def build_program(blocks: Blocks, arcs: Arcs) -> Program:
    """Rows in the order of the model's labels: source and balance, choice, memory, energy, ..."""
    slots, pairs, servers = blocks.n_slots, blocks.n_pairs, blocks.n_servers
    n_arcs = len(arcs.place)
    width = int(blocks.kappa_max.max()) + 2
    node_out = arcs.place * width + arcs.state + 1
    node_in = (arcs.place + 1) * width + arcs.to + 1
    ends = (arcs.place + 1) % slots == 0  # arcs of the last slot lead nowhere
    nodes, row_out = np.unique(node_out, return_inverse=True)
    row_in = np.searchsorted(nodes, node_in)
    # An arc into a node that was left out leads nowhere either: it cannot be used.
    dead = ~ends & (nodes[np.minimum(row_in, len(nodes) - 1)] != node_in)
    chosen, z_of = np.unique(arcs.choice, return_inverse=True)
    place, served = choice_places(blocks)
    z_place, z_served = place[chosen], served[chosen]
    z_pair, z_slot = z_place // slots, z_place % slots
    z_row = z_pair // pairs * slots + z_slot
    n_z = len(chosen)
    entries: list[tuple[NDArray, NDArray, NDArray]] = []
    row = 0

    def put(rows: NDArray, columns: NDArray, values: NDArray) -> None:
        entries.append((rows, columns, np.broadcast_to(values, rows.shape)))

    low: list[FloatArray] = []
    high: list[FloatArray] = []

    def close(lower: NDArray, upper: NDArray) -> int:
        low.append(np.asarray(lower, dtype=np.float64))
        high.append(np.asarray(upper, dtype=np.float64))
        return row + len(low[-1])

    every = np.arange(n_arcs)
    put(row_out, every, np.array(1.0))
    put(row_in[~ends & ~dead], every[~ends & ~dead], np.array(-1.0))
    start = (nodes // width) % slots == 0
    row = close(start, start)
    z = n_arcs
    put(row + z_of, every, np.array(1.0))
    put(row + np.arange(n_z), z + np.arange(n_z), np.array(-1.0))
    row = close(np.zeros(n_z), np.zeros(n_z))
    on = z_served >= 0
    columns = z + np.arange(n_z)
    put(row + z_row[on], columns[on], blocks.memory[z_pair[on]].astype(float))
    row = close(np.full(servers * slots, -np.inf), np.repeat(blocks.memory_capacity, slots))
    use = z_served > 0
    put(row + z_row[use], columns[use], (blocks.energy[z_pair] * z_served)[use].astype(float))
    row = close(np.full(servers * slots, -np.inf), np.repeat(blocks.energy_budget, slots))
    cost = [arcs.cost, np.zeros(n_z)]
    upper = [np.where(dead, 0.0, np.inf), np.ones(n_z)]
    n_cols, y = n_arcs + n_z, -1
    if blocks.overflow_cost > 0:
        over = n_cols + np.arange(slots)
        put(row + np.arange(slots), over, np.array(1.0))
        tokens = (blocks.tokens[z_pair] * z_served)[use].astype(float)
        put(row + z_slot[use], columns[use], tokens)
        demand = blocks.tokens @ blocks.requests.reshape(-1, slots)
        row = close(demand - blocks.link_capacity, np.full(slots, np.inf))
        cost.append(np.full(slots, blocks.overflow_cost))
        upper.append(np.full(slots, np.inf))
        n_cols += slots
    elif np.isfinite(blocks.hop).any():
        y, places = n_cols, len(blocks.requests)
        at = np.arange(places)
        for j in range(3):
            column = y + j * places + at
            put(row + at, column, np.array(1.0))
            born = at + (j - 1) * pairs * slots
            near = (born >= 0) & (born < places)
            put(row + places + born[near], column[near], np.array(1.0))
            cost.append(np.zeros(places) if j == 1 else np.repeat(blocks.hop, slots))
            upper.append(np.where(near, np.inf, 0.0))
        put(row + z_place[use], columns[use], -z_served[use].astype(float))
        row = close(np.zeros(places), np.zeros(places))
        row = close(np.full(places, -np.inf), blocks.requests)
        n_cols += 3 * places
    lp = highs.program(entries, *(np.concatenate(part) for part in (cost, upper, low, high)))
    highs.make_integer(lp, z, z + n_z)
    return Program(lp, chosen, z, y)


def read_program(blocks: Blocks, program: Program, values: FloatArray) -> tuple[IntArray, IntArray]:
    """Choices (Q T,) and flows (Q T, 3) of a solution."""
    place, served = choice_places(blocks)
    taken = program.choice[values[program.z : program.z + len(program.choice)] > 0.5]
    picked = np.zeros(len(blocks.requests), dtype=np.int64)
    picked[place[taken]] = served[taken] + 1
    flow = np.zeros((len(picked), 3), dtype=np.int64)
    if program.y < 0:
        flow[:, 1] = np.maximum(picked - 1, 0)
    else:
        shares = values[program.y : program.y + 3 * len(picked)].reshape(3, -1).T
        flow = np.rint(shares).astype(np.int64)
    return picked, flow
