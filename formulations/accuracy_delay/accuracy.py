r"""The most accurate decision: a transportation problem, solved as a linear program.

.. math::

    \max \sum_{ij} g_{ij} x_{ij} \quad\text{s.t.}\quad
    \sum_j x_{ij} \le 1\ \text{[assign]},\quad
    \sum_i x_{ij} \le room_j\ \text{[room]},\quad x \ge 0,

whose matrix is totally unimodular, so that vertices are whole.
"""

from __future__ import annotations

import numpy as np

from formulations import highs
from formulations.dual.progress import Progress
from mecopt.accuracy_delay.assignment import Assignment, replay
from mecopt.accuracy_delay.instance import ACCURACY_SCALE, LOCAL, QuerySnapshot
from mecopt.result import BoundKind, Result


def most_accurate(x: QuerySnapshot) -> Assignment:
    """A decision with the largest mean expected accuracy, whatever its delay."""
    gain = (x.accuracy_edge_units - x.accuracy_local_units[:, None]) / ACCURACY_SCALE
    gain = np.where(x.reachable, gain, -1.0)
    choice = np.where(gain.max(axis=1) > 0, gain.argmax(axis=1), LOCAL)
    count = np.bincount(choice[choice != LOCAL], minlength=x.n_servers)
    if (count > x.room).any():
        users, servers = np.nonzero(gain > 0)
        every = np.arange(len(users))
        ones = np.ones(len(users))
        lp = highs.program(
            [(users, every, ones), (x.n_users + servers, every, ones)],
            -gain[users, servers],
            ones,
            np.full(x.n_users + x.n_servers, -np.inf),
            np.concatenate([np.ones(x.n_users), x.room.astype(np.float64)]),
        )
        solver = highs.make(solver="simplex")
        solver.passModel(lp)
        solver.run()
        value = np.asarray(solver.getSolution().col_value)
        choice = np.full(x.n_users, LOCAL)
        picked = value > 0.5
        choice[users[picked]] = servers[picked]
    return replay(x, choice.astype(np.int64))


def reachable_accuracy(x: QuerySnapshot) -> Assignment:
    """A decision that is accurate enough, if there is any; the most accurate one if not."""
    on_devices = replay(x, np.full(x.n_users, LOCAL, dtype=np.int64))
    if on_devices.is_feasible:
        return on_devices
    quick = _by_gain(x)
    return quick if quick.is_feasible else most_accurate(x)


def _by_gain(x: QuerySnapshot) -> Assignment:
    """Pairs by the accuracy they win, largest first, as far as there is room."""
    gain = np.where(x.reachable, x.accuracy_edge_units - x.accuracy_local_units[:, None], 0)
    choice = np.full(x.n_users, LOCAL, dtype=np.int64)
    room = x.room.copy()
    for place in np.argsort(-gain, axis=None, kind="stable").tolist():
        i, j = divmod(place, x.n_servers)
        if gain[i, j] <= 0 or not room.any():
            break
        if choice[i] == LOCAL and room[j] > 0:
            choice[i] = j
            room[j] -= 1
    return replay(x, choice)


def infeasible(
    progress: Progress, x: QuerySnapshot, best: Assignment, method: str, kind: BoundKind
) -> Result[QuerySnapshot, Assignment]:
    """The answer that no decision is accurate enough; `best` says what can be reached."""
    return progress.result(
        x,
        None,
        np.inf,
        method=method,
        bound_kind=kind,
        late=False,
        details={
            "best_accuracy": best.expected_accuracy,
            "why": f"least_accuracy = {x.least_accuracy:g} is out of reach: the most accurate "
            f"decision has {best.expected_accuracy:.6g}",
        },
    )
