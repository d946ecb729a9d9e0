r"""Snapshots with equal shares, exact: the number of queries at a server is an index.

Sets
----
i, j      users, servers
n         numbers of queries 1..min(room_j, users in reach of j)

Parameters
----------
l_i, w_i       delay on the device, worth of leaving it (kappa u_i)
q_j, c_ij      wait, upload + computing alone
g_ij, G        accuracy won at server j, accuracy to be won in all

Variables
---------
z_i       binary: the query stays on the device
x_ijn     binary: it is at server j, which serves n
y_jn      binary: server j serves n

Objective
---------
minimise  sum_i l_i z_i + sum_ijn (n c_ij - w_i) x_ijn + sum_jn n q_j y_jn

Constraints
-----------
(assign)    z_i + sum_jn x_ijn = 1
(one)       sum_n y_jn <= 1
(count)     sum_i x_ijn = n y_jn
(accuracy)  sum_ijn g_ij x_ijn >= G

The delay n c_ij of a query is linear in x_ijn, which is what the index buys; with y whole, the rest
is a transportation problem (with one row of accuracy beside it).
"""

from __future__ import annotations

import pyomo.environ as pyo

from formulations import highs
from formulations.accuracy_delay.compact import (
    Route,
    most_queries,
    require_equal,
    solve_model,
)
from formulations.dual.progress import Progress
from mecopt.accuracy_delay.assignment import Assignment
from mecopt.accuracy_delay.costs import costs_of
from mecopt.accuracy_delay.instance import ACCURACY_SCALE, QuerySnapshot
from mecopt.result import Result


def build_model(x: QuerySnapshot) -> pyo.ConcreteModel:
    """The model, constraints named by their labels."""
    require_equal(x, "counts")
    costs, users, servers = costs_of(x), range(x.n_users), range(x.n_servers)
    most = most_queries(x)
    numbers = [(j, n) for j in servers for n in range(1, most[j] + 1)]
    cells = [(i, j, n) for j, n in numbers for i in users if x.reachable[i, j]]
    model = pyo.ConcreteModel("accuracy-delay counts")
    model.z = pyo.Var(users, domain=pyo.Binary)
    model.x = pyo.Var(cells, domain=pyo.Binary)
    model.y = pyo.Var(numbers, domain=pyo.Binary)
    of_user: list[list[tuple[int, int, int]]] = [[] for _ in users]
    of_number: dict[tuple[int, int], list[tuple[int, int, int]]] = {key: [] for key in numbers}
    for cell in cells:
        of_user[cell[0]].append(cell)
        of_number[cell[1:]].append(cell)
    model.assign = pyo.Constraint(
        users, rule=lambda m, i: m.z[i] + sum(m.x[cell] for cell in of_user[i]) == 1
    )
    model.one = pyo.Constraint(
        [j for j in servers if most[j]],
        rule=lambda m, j: sum(m.y[j, n] for n in range(1, most[j] + 1)) <= 1,
    )
    model.count = pyo.Constraint(
        numbers,
        rule=lambda m, j, n: sum(m.x[cell] for cell in of_number[j, n]) == n * m.y[j, n],
    )
    to_win = x.accuracy_needed_units - int(x.accuracy_local_units.sum())
    if to_win > 0:
        won = sum(float(costs.gain[i, j]) / ACCURACY_SCALE * model.x[i, j, n] for i, j, n in cells)
        model.accuracy = pyo.Constraint(expr=won >= to_win / ACCURACY_SCALE)
    model.cost = pyo.Objective(
        expr=sum(float(costs.local[i]) * 1e-9 * model.z[i] for i in users)
        + sum(
            float(n * costs.linear[i, j] - costs.worth[i]) * 1e-9 * model.x[i, j, n]
            for i, j, n in cells
        )
        + sum(float(n * costs.queue[j]) * 1e-9 * model.y[j, n] for j, n in numbers)
    )
    return model


def _size(x: QuerySnapshot) -> highs.Size:
    most = most_queries(x)
    cells = sum(n * int(reach) for n, reach in zip(most, x.reachable.sum(axis=0), strict=True))
    return highs.Size(x.n_users + cells + sum(most), x.n_users + x.n_servers + sum(most) + 1)


def solve_counts(
    instance: QuerySnapshot,
    *,
    time_limit: float | None = None,
    gap: float = 1e-4,
    seed: int = 0,
    verbose: bool = False,
) -> Result[QuerySnapshot, Assignment]:
    """Solve by the model indexed by numbers of queries; the bound is HiGHS' word.

    Parameters and errors are those of `formulations.solve`; ValueError with optimal shares.
    """
    progress = Progress(time_limit, gap, seed, verbose)
    return solve_model(instance, Route("counts", _size, build_model), progress)
