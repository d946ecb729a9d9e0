r"""Caching, exact, the usual way: ages of thoughts by a recursion with big constants.

For comparison with `formulations.caching.network`: far fewer variables, weaker bounds.

Sets
----
n, p, t   servers, pairs, slots
k         ages of thoughts 0..K_p = kappa_max_p
near(n)   cells whose requests server n may serve: n; with forwarding n - 1 and n + 1 too

Parameters
----------
m_p, e_p, M_n, E_n       memory (MB), energy per request (10 J), what a server has
R_npt                    requests born; X_npt = those of near(n), at most what energy allows
g_p, D_p                 thoughts per request, thoughts that vanish per slot
acc_pk                   accuracy cost of a request at age k; falls with k
edge_p, cloud_p          costs of a request at the edge (transmission and compute), in the cloud
sw_p                     cost of becoming resident
b_p, B_t, o              tokens of a request, of the shared link, cost of a token above (backhaul)
h_p                      cost of a request served next door (forwarding)

Variables
---------
a_npt        binary: resident
up_npt       becomes resident, >= 0
x_npt        integer: requests served, 0..X_npt
y_nmpt       of them born in cell m in near(n), >= 0
kappa_npt    age of thoughts, 0..K_p
cold_npt     binary: thoughts run out in this slot
w_nptk       binary: the age is priced as k
s_npt        accuracy cost, >= 0
over_t       tokens above the link's capacity, >= 0 (backhaul)

Objective
---------
minimise  sum_npt  sw_p up_npt + edge_p x_npt + s_npt + cloud_p (R_npt - sum_n' y_n'npt)
          + sum over m != n of h_p y_nmpt  +  sum_t o over_t

Constraints
-----------
(memory)     sum_p m_p a_npt <= M_n
(energy)     sum_p e_p x_npt <= E_n
(resident)   x_npt <= X_npt a_npt
(rise)       up_npt >= a_npt - a_np(t-1)
(sources)    sum_m y_nmpt = x_npt
(births)     sum_n y_nmpt <= R_mpt
(age)        kappa_npt <= kappa_np(t-1) + g_p x_npt - D_p + (D_p + 1) cold_npt
(age_cold)   kappa_npt <= K_p (1 - cold_npt)
(age_off)    kappa_npt <= K_p a_npt
(level)      sum_k w_nptk = 1
(level_age)  sum_k k w_nptk <= kappa_npt
(accuracy)   s_npt >= acc_pk x_npt - acc_pk X_npt (1 - w_nptk)
(link)       over_t >= sum_np b_p (R_npt - y_nnpt) - B_t

Ages need upper bounds only: accuracy costs fall with age, so larger is never worse, and an age of a
pair that is off is 0 by (age_off). Requests have to be served where they are born without
forwarding, so y_nnpt = x_npt.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyomo.environ as pyo

from formulations.caching.blocks import build
from formulations.caching.compact import Decision, solve_model
from formulations.dual.progress import Progress
from mecopt.caching import Backhaul, CachingInstance, CachingPlan, Forwarding
from mecopt.result import Result


def build_model(instance: CachingInstance) -> pyo.ConcreteModel:
    """The model, constraints named by their labels."""
    x = instance
    blocks = build(x)
    shape = x.requests.shape
    most = np.maximum(np.diff(blocks.first) - 2, -1).reshape(shape)
    cells = list(np.ndindex(*shape))
    levels = [(n, p, t, k) for n, p, t in cells for k in range(int(x.kappa_max[p]) + 1)]
    sources = [
        (n, m, p, t)
        for n, p, t in cells
        for m in ((n - 1, n, n + 1) if x.is_forwarding else (n,))
        if 0 <= m < x.n_servers
    ]
    acc, top = x.accuracy_cost, x.kappa_max.tolist()
    model = pyo.ConcreteModel("caching big-M")
    model.a = pyo.Var(cells, domain=pyo.Binary)
    for cell in cells:
        if most[cell] < 0:  # larger than the server
            model.a[cell].fix(0)
    limit = np.maximum(most, 0)
    model.up = pyo.Var(cells, bounds=(0, 1))
    model.x = pyo.Var(
        cells, domain=pyo.NonNegativeIntegers, bounds=lambda _, *c: (0, int(limit[c]))
    )
    model.y = pyo.Var(sources, bounds=(0, None))
    model.kappa = pyo.Var(cells, bounds=lambda _, n, p, t: (0, top[p]))
    model.cold = pyo.Var(cells, domain=pyo.Binary)
    model.w = pyo.Var(levels, domain=pyo.Binary)
    model.s = pyo.Var(cells, bounds=(0, None))

    def before(variable: Any, n: int, p: int, t: int) -> Any:
        return variable[n, p, t - 1] if t else 0

    def rows(rule: Any, index: Any = cells) -> pyo.Constraint:
        return pyo.Constraint(index, rule=lambda _, *key: rule(*key))

    servers_slots = [(n, t) for n in range(shape[0]) for t in range(shape[2])]
    pairs = range(x.n_pairs)
    model.memory = rows(
        lambda n, t: (
            sum(int(x.memory_mb[p]) * model.a[n, p, t] for p in pairs) <= int(x.capacity_mb[n])
        ),
        servers_slots,
    )
    model.energy = rows(
        lambda n, t: (
            sum(int(x.energy_10j[p]) * model.x[n, p, t] for p in pairs)
            <= int(x.energy_budget_10j[n])
        ),
        servers_slots,
    )
    model.resident = rows(lambda *c: model.x[c] <= int(limit[c]) * model.a[c])
    model.rise = rows(lambda *c: model.up[c] >= model.a[c] - before(model.a, *c))
    near = {c: [m for m in range(x.n_servers) if (c[0], m, *c[1:]) in model.y] for c in cells}
    model.sources = rows(
        lambda n, p, t: sum(model.y[n, m, p, t] for m in near[n, p, t]) == model.x[n, p, t]
    )
    model.births = rows(
        lambda m, p, t: sum(model.y[n, m, p, t] for n in near[m, p, t]) <= int(x.requests[m, p, t])
    )
    gain, vanish = x.thoughts.tolist(), x.vanish.tolist()
    model.age = rows(
        lambda n, p, t: (
            model.kappa[n, p, t]
            <= before(model.kappa, n, p, t)
            + gain[p] * model.x[n, p, t]
            - vanish[p]
            + (vanish[p] + 1) * model.cold[n, p, t]
        )
    )
    model.age_cold = rows(
        lambda n, p, t: model.kappa[n, p, t] <= top[p] * (1 - model.cold[n, p, t])
    )
    model.age_off = rows(lambda n, p, t: model.kappa[n, p, t] <= top[p] * model.a[n, p, t])
    ages = {p: range(top[p] + 1) for p in pairs}
    model.level = rows(lambda n, p, t: sum(model.w[n, p, t, k] for k in ages[p]) == 1)
    model.level_age = rows(
        lambda n, p, t: sum(k * model.w[n, p, t, k] for k in ages[p]) <= model.kappa[n, p, t]
    )
    model.accuracy = rows(
        lambda n, p, t, k: (
            model.s[n, p, t]
            >= float(acc[p, k])
            * (model.x[n, p, t] - int(limit[n, p, t]) * (1 - model.w[n, p, t, k]))
        ),
        levels,
    )
    total = sum(
        float(x.switch_cost[p]) * model.up[n, p, t]
        + float(x.serve_cost[p]) * model.x[n, p, t]
        + model.s[n, p, t]
        + float(x.cloud_cost[p])
        * (int(x.requests[n, p, t]) - sum(model.y[m, n, p, t] for m in near[n, p, t]))
        for n, p, t in cells
    )
    if isinstance(x.coupling, Forwarding):
        hop = x.coupling.hop_cost
        total += sum(float(hop[p]) * model.y[n, m, p, t] for n, m, p, t in sources if m != n)
    if isinstance(x.coupling, Backhaul):
        link = x.coupling
        model.over = pyo.Var(range(x.n_slots), bounds=(0, None))
        model.link = rows(
            lambda t: (
                model.over[t]
                >= sum(
                    int(link.tokens[p]) * (int(x.requests[n, p, t]) - model.y[n, n, p, t])
                    for n in range(x.n_servers)
                    for p in pairs
                )
                - int(link.capacity[t])
            ),
            range(x.n_slots),
        )
        total += link.overflow_cost * sum(model.over.values())
    model.cost = pyo.Objective(expr=total)
    return model


def solve_big_m(
    instance: CachingInstance,
    *,
    time_limit: float | None = None,
    gap: float = 1e-6,
    seed: int = 0,
    verbose: bool = False,
) -> Result[CachingInstance, CachingPlan]:
    """Solve the big-M model with HiGHS, on one thread; as `solve_network` otherwise.

    Raises
    ------
    ValueError
        If `time_limit`, `gap` or `seed` is out of range.
    """
    progress = Progress(time_limit, gap, seed, verbose=False)  # HiGHS speaks for itself
    return solve_model(
        instance,
        build_model(instance),
        _read,
        progress,
        method="big-m",
        verbose=verbose,
        # Ages and levels are exact integers; looser tolerances would let a level cheat.
        mip_feasibility_tolerance=1e-9,
    )


def _read(model: pyo.ConcreteModel, x: CachingInstance) -> Decision:
    """Choices (Q T,) and flows (Q T, 3)."""
    shape = x.requests.shape
    picked = np.zeros(shape, dtype=np.int64)
    flow = np.zeros((*shape, 3), dtype=np.int64)
    for cell in np.ndindex(*shape):
        if model.a[cell].value > 0.5:
            picked[cell] = 1 + round(model.x[cell].value)
    for n, m, p, t in model.y:
        flow[n, p, t, m - n + 1] = round(model.y[n, m, p, t].value)
    return picked.ravel(), flow.reshape(-1, 3)
