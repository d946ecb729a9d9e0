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

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray

from formulations.caching.blocks import build
from formulations.caching.compact import Decision, Route, add_link, rows, solve_model
from formulations.caching.sizes import big_m_size
from formulations.dual.progress import Progress
from mecopt.caching import Backhaul, CachingInstance, CachingPlan, Forwarding
from mecopt.result import Result

Cell = tuple[int, ...]


@dataclass(frozen=True)
class _Sets:
    """What the model is indexed over, and X_npt."""

    deadline: float  # of building
    cells: list[Cell]  # (n, p, t)
    levels: list[Cell]  # (n, p, t, k)
    sources: list[Cell]  # (n, m, p, t)
    limit: NDArray[np.int64]

    def near(self, n: int, x: CachingInstance) -> list[int]:
        """Cells whose requests server n may serve."""
        around = (n - 1, n, n + 1) if x.is_forwarding else (n,)
        return [m for m in around if 0 <= m < x.n_servers]


def build_model(instance: CachingInstance, deadline: float = np.inf) -> pyo.ConcreteModel:
    """The model, constraints named by their labels.

    Raises
    ------
    OutOfTime
        If it is not built at `deadline` (`time.perf_counter`).
    """
    x, shape = instance, instance.requests.shape
    most = np.maximum(np.diff(build(x).first) - 2, -1).reshape(shape)
    cells = list(np.ndindex(*shape))
    levels = [(*cell, k) for cell in cells for k in range(int(x.kappa_max[cell[1]]) + 1)]
    sets = _Sets(deadline, cells, levels, [], np.maximum(most, 0))
    sets.sources.extend((n, m, p, t) for n, p, t in cells for m in sets.near(n, x))
    model = pyo.ConcreteModel("caching big-M")
    _variables(model, x, sets)
    for cell in cells:
        if most[cell] < 0:  # larger than the server
            model.a[cell].fix(0)
    _serving(model, x, sets)
    _ages(model, x, sets)
    total = _cost(model, x, sets)
    if isinstance(x.coupling, Backhaul):
        own = {(n, p, t): model.y[n, n, p, t] for n, p, t in cells}
        total += add_link(model, x, x.coupling, own)
    model.cost = pyo.Objective(expr=total)
    return model


def _variables(model: pyo.ConcreteModel, x: CachingInstance, sets: _Sets) -> None:
    cells, top = sets.cells, x.kappa_max.tolist()
    model.a = pyo.Var(cells, domain=pyo.Binary)
    model.up = pyo.Var(cells, bounds=(0, 1))
    model.x = pyo.Var(
        cells, domain=pyo.NonNegativeIntegers, bounds=lambda _, *c: (0, int(sets.limit[c]))
    )
    model.y = pyo.Var(sets.sources, bounds=(0, None))
    model.kappa = pyo.Var(cells, bounds=lambda _, n, p, t: (0, top[p]))
    model.cold = pyo.Var(cells, domain=pyo.Binary)
    model.w = pyo.Var(sets.levels, domain=pyo.Binary)
    model.s = pyo.Var(cells, bounds=(0, None))


def _before(variable: Any, n: int, p: int, t: int) -> Any:
    """A variable in the slot before, 0 in the first."""
    return variable[n, p, t - 1] if t else 0


def _serving(model: pyo.ConcreteModel, x: CachingInstance, sets: _Sets) -> None:
    """Rows of what a server has, and of whose requests it serves."""
    pairs, slots = range(x.n_pairs), list(np.ndindex(x.n_servers, x.n_slots))
    row = partial(rows, deadline=sets.deadline)
    model.memory = row(
        slots,
        lambda n, t: (
            sum(int(x.memory_mb[p]) * model.a[n, p, t] for p in pairs) <= int(x.capacity_mb[n])
        ),
    )
    model.energy = row(
        slots,
        lambda n, t: (
            sum(int(x.energy_10j[p]) * model.x[n, p, t] for p in pairs)
            <= int(x.energy_budget_10j[n])
        ),
    )
    model.resident = row(sets.cells, lambda *c: model.x[c] <= int(sets.limit[c]) * model.a[c])
    model.rise = row(sets.cells, lambda *c: model.up[c] >= model.a[c] - _before(model.a, *c))
    model.sources = row(
        sets.cells,
        lambda n, p, t: sum(model.y[n, m, p, t] for m in sets.near(n, x)) == model.x[n, p, t],
    )
    model.births = row(
        sets.cells,
        lambda m, p, t: (
            sum(model.y[n, m, p, t] for n in sets.near(m, x)) <= int(x.requests[m, p, t])
        ),
    )


def _ages(model: pyo.ConcreteModel, x: CachingInstance, sets: _Sets) -> None:
    """Rows of the ages of thoughts, and of the accuracy cost they give."""
    gain, vanish, top = x.thoughts.tolist(), x.vanish.tolist(), x.kappa_max.tolist()
    row = partial(rows, deadline=sets.deadline)
    model.age = row(
        sets.cells,
        lambda n, p, t: (
            model.kappa[n, p, t]
            <= _before(model.kappa, n, p, t)
            + gain[p] * model.x[n, p, t]
            - vanish[p]
            + (vanish[p] + 1) * model.cold[n, p, t]
        ),
    )
    model.age_cold = row(
        sets.cells, lambda n, p, t: model.kappa[n, p, t] <= top[p] * (1 - model.cold[n, p, t])
    )
    model.age_off = row(
        sets.cells, lambda n, p, t: model.kappa[n, p, t] <= top[p] * model.a[n, p, t]
    )
    ages = [range(k + 1) for k in top]
    model.level = row(sets.cells, lambda n, p, t: sum(model.w[n, p, t, k] for k in ages[p]) == 1)
    model.level_age = row(
        sets.cells,
        lambda n, p, t: sum(k * model.w[n, p, t, k] for k in ages[p]) <= model.kappa[n, p, t],
    )
    model.accuracy = row(
        sets.levels,
        lambda n, p, t, k: (
            model.s[n, p, t]
            >= float(x.accuracy_cost[p, k])
            * (model.x[n, p, t] - int(sets.limit[n, p, t]) * (1 - model.w[n, p, t, k]))
        ),
    )


def _cost(model: pyo.ConcreteModel, x: CachingInstance, sets: _Sets) -> Any:
    """The objective without the shared link."""
    total = sum(
        float(x.switch_cost[p]) * model.up[n, p, t]
        + float(x.serve_cost[p]) * model.x[n, p, t]
        + model.s[n, p, t]
        + float(x.cloud_cost[p])
        * (int(x.requests[n, p, t]) - sum(model.y[m, n, p, t] for m in sets.near(n, x)))
        for n, p, t in sets.cells
    )
    if isinstance(x.coupling, Forwarding):
        hop = x.coupling.hop_cost
        total += sum(float(hop[p]) * model.y[n, m, p, t] for n, m, p, t in sets.sources if m != n)
    return total


def solve_big_m(
    instance: CachingInstance,
    *,
    time_limit: float | None = None,
    gap: float = 1e-6,
    seed: int = 0,
    verbose: bool = False,
) -> Result[CachingInstance, CachingPlan]:
    """Solve the big-M model with HiGHS, on one thread; as `solve_network` otherwise."""
    progress = Progress(time_limit, gap, seed, verbose=False)  # HiGHS speaks for itself
    route = Route(instance, "big-m", progress, verbose)
    return solve_model(route, big_m_size(instance), build_model, _read)


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
