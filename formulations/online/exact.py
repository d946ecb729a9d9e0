"""The best online rule of a tiny system, by dynamic programming over all that can be known.

    [best]  C_t(h) = E_(arrivals) min_(options of all of them) C_(t+1)(h, arrivals, options)

with the arrivals of slot t, h all that has happened before, and C_T the cost of the replay: two
FIFO queues a user, one a server, those who reach a server at the same time in order of release.
Every rule that cannot see the future is one of those minimised over, so C_0 is V* of
`formulations.online` exactly. There are ``(1 + types x options) ** (users x slots)`` histories:
this is for tests and for teaching.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numba import njit
from numpy.typing import NDArray

from formulations.online.episodes import Episode
from formulations.online.tasks import System

#: Histories that are worked through, at most.
LARGEST = 50_000_000


def histories(system: System) -> int:
    """How many (arrivals, decisions) there are."""
    types = len(_tasks(system).weight)
    count: int = (1 + types * (system.servers + 2)) ** (system.users * system.slots)
    return count


def best_cost_slots(system: System) -> float:
    """Least expected cost of an episode over every online rule, slots.

    Raises
    ------
    ValueError
        If tasks do not have finitely many values, or there are more than `LARGEST` histories.
    """
    tasks = _tasks(system)
    if histories(system) > LARGEST:
        raise ValueError(f"system: {histories(system):.3g} histories, at most {LARGEST} are tried")
    most = system.users * system.slots
    return float(
        _expected(
            0,
            0,
            system.users,
            system.slots,
            system.arrival_probability,
            tasks.weight,
            tasks.upload,
            tasks.compute,
            tasks.local,
            system.deadline_slots,
            system.drop_cost_slots,
            np.zeros((4, most), dtype=np.int64),
        )
    )


def replayed_cost_slots(system: System, history: NDArray[np.int64]) -> float:
    """Cost of one history.

    Parameters
    ----------
    system : System
    history : (4, n) int64
        Slot, user, type and option of every task in order of release: option 0 local, 1 + j server
        j, the last the drop.
    """
    tasks = _tasks(system)
    return float(
        _replay(
            history.shape[1],
            tasks.upload,
            tasks.compute,
            tasks.local,
            system.deadline_slots,
            system.drop_cost_slots,
            history,
        )
    )


def worlds(system: System) -> Iterator[tuple[float, Episode, NDArray[np.int64]]]:
    """Every world of a tiny system: its probability, itself, and its tasks as a history of drops.

    There are ``(1 + types) ** (users x slots)`` of them.
    """
    tasks, p = _tasks(system), system.arrival_probability
    chance = np.append(p * tasks.weight, 1 - p)  # the last is -1, no task
    shape = (system.slots, system.users)
    for code in product(range(-1, len(tasks.weight)), repeat=system.users * system.slots):
        kinds = np.array(code).reshape(shape)
        arrived = np.full(shape, -1)
        arrived[kinds >= 0] = np.arange((kinds >= 0).sum())
        of = kinds[kinds >= 0]
        slot, user = np.nonzero(kinds >= 0)
        world = Episode(arrived, tasks.upload[of], tasks.compute[of], tasks.local[of])
        history = np.stack([slot, user, of, np.full(len(of), system.servers + 1)])
        yield float(chance[list(code)].prod()), world, history


def clairvoyant_cost_slots(system: System) -> float:
    """Expected cost of the best schedule of each world, everything known in advance."""
    total = 0.0
    for chance, _, history in worlds(system):
        decisions = product(range(system.servers + 2), repeat=history.shape[1])
        total += chance * min(
            replayed_cost_slots(system, np.vstack([history[:3], np.array(d, dtype=np.int64)]))
            for d in decisions
        )
    return total


def _tasks(system: System):  # type: ignore[no-untyped-def]
    if not system.is_finite:
        raise ValueError("system: its tasks do not have finitely many values")
    return system.draw(1, np.random.default_rng(0))


@njit(cache=True)
def _expected(t, n, users, slots, arrival, weight, upload, compute, local, deadline, drop, history):
    """C_t of the first n tasks of `history`; entries behind them are overwritten."""
    if t == slots:
        return _replay(n, upload, compute, local, deadline, drop, history)
    kinds, options = len(weight) + 1, upload.shape[1] + 2
    total = 0.0
    for a in range(kinds**users):
        p, m, code = 1.0, n, a
        for u in range(users):
            kind = code % kinds
            code //= kinds
            if kind == 0:
                p *= 1.0 - arrival
            else:
                p *= arrival * weight[kind - 1]
                history[0, m], history[1, m], history[2, m] = t, u, kind - 1
                m += 1
        if p == 0.0:
            continue
        best = np.inf
        for c in range(options ** (m - n)):
            code = c
            for k in range(n, m):
                history[3, k] = code % options
                code //= options
            best = min(
                best,
                _expected(
                    t + 1,
                    m,
                    users,
                    slots,
                    arrival,
                    weight,
                    upload,
                    compute,
                    local,
                    deadline,
                    drop,
                    history,
                ),
            )
        total += p * best
    return total


@njit(cache=True)
def _replay(n, upload, compute, local, deadline, drop, history):
    """Cost of the first n tasks: uplinks and devices in order of release, then servers."""
    servers = upload.shape[1]
    total = 0.0
    reach = np.empty(n)
    for k in range(n):
        user, option = history[1, k], history[3, k]
        reach[k] = np.inf
        if option == servers + 1:
            total += drop
            continue
        # When the user's queue of this kind is free: as its tasks before k left it.
        free = 0.0
        for i in range(k + 1):
            o = history[3, i]
            if history[1, i] != user or o == servers + 1 or (o == 0) != (option == 0):
                continue
            service = local[history[2, i]] if o == 0 else upload[history[2, i], o - 1]
            free = max(free, float(history[0, i])) + service
        if option == 0:
            latency = free - history[0, k]
            total += latency if latency <= deadline + 1e-9 else drop
        else:
            reach[k] = free
    order = np.argsort(reach, kind="mergesort")
    free_at = np.zeros(servers)
    for k in order:
        if reach[k] == np.inf:
            break
        j = history[3, k] - 1
        free_at[j] = max(free_at[j], reach[k]) + compute[history[2, k], j]
        latency = free_at[j] - history[0, k]
        total += latency if latency <= deadline + 1e-9 else drop
    return total
