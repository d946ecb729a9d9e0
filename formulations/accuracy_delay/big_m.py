r"""Snapshots with equal shares, exact, the usual way: delays with big constants.

For comparison with `formulations.accuracy_delay.counts`: far fewer variables, weaker bounds.

Sets
----
i, j      users, servers in reach

Variables
---------
z_i       binary: the query stays on the device
x_ij      binary: it is at server j
n_j       queries at server j, 0..min(room_j, users in reach)
d_i       delay at a server, >= 0

Objective
---------
minimise  sum_i l_i z_i + d_i - w_i (1 - z_i)

Constraints (parameters as in `formulations.accuracy_delay.counts`)
-----------
(assign)    z_i + sum_j x_ij = 1
(count)     sum_i x_ij = n_j
(delay)     d_i >= q_j + c_ij n_j - D_ij (1 - x_ij),   D_ij = q_j + c_ij max n_j
(accuracy)  sum_ij g_ij x_ij >= G
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
    require_equal(x, "big-m")
    costs, users, servers = costs_of(x), range(x.n_users), range(x.n_servers)
    most = most_queries(x)
    pairs = [(i, j) for i in users for j in servers if x.reachable[i, j] and most[j]]
    model = pyo.ConcreteModel("accuracy-delay big-M")
    model.z = pyo.Var(users, domain=pyo.Binary)
    model.x = pyo.Var(pairs, domain=pyo.Binary)
    model.n = pyo.Var(servers, bounds=lambda _, j: (0, most[j]))
    model.d = pyo.Var(users, bounds=(0, None))
    model.assign = pyo.Constraint(
        users,
        rule=lambda m, i: m.z[i] + sum(m.x[i, j] for j in servers if (i, j) in m.x) == 1,
    )
    model.count = pyo.Constraint(
        servers, rule=lambda m, j: sum(m.x[i, j] for i in users if (i, j) in m.x) == m.n[j]
    )

    def delay(m: pyo.ConcreteModel, i: int, j: int) -> pyo.Expression:
        wait, alone = float(costs.queue[j]) * 1e-9, float(costs.linear[i, j]) * 1e-9
        longest = wait + alone * most[j]
        return m.d[i] >= wait + alone * m.n[j] - longest * (1 - m.x[i, j])

    model.delay = pyo.Constraint(pairs, rule=delay)
    to_win = x.accuracy_needed_units - int(x.accuracy_local_units.sum())
    if to_win > 0:
        won = sum(float(costs.gain[i, j]) / ACCURACY_SCALE * model.x[i, j] for i, j in pairs)
        model.accuracy = pyo.Constraint(expr=won >= to_win / ACCURACY_SCALE)
    model.cost = pyo.Objective(
        expr=sum(
            float(costs.local[i]) * 1e-9 * model.z[i]
            + model.d[i]
            - float(costs.worth[i]) * 1e-9 * (1 - model.z[i])
            for i in users
        )
    )
    return model


def _size(x: QuerySnapshot) -> highs.Size:
    pairs = int(x.reachable.sum())
    return highs.Size(2 * x.n_users + pairs + x.n_servers, x.n_users + x.n_servers + pairs + 1)


def solve_big_m(
    instance: QuerySnapshot,
    *,
    time_limit: float | None = None,
    gap: float = 1e-4,
    seed: int = 0,
    verbose: bool = False,
) -> Result[QuerySnapshot, Assignment]:
    """Solve by the model with big constants; the bound is HiGHS' word.

    Parameters and errors are those of `formulations.solve`; ValueError with optimal shares.
    """
    progress = Progress(time_limit, gap, seed, verbose)
    return solve_model(instance, Route("big-m", _size, build_model), progress)
