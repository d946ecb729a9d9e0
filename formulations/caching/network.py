r"""Caching, exact: every pair's plan is a path through a network expanded over time.

Up to `MOST_LABELLED` arcs the labelled Pyomo model below is what is solved. Beyond, building it
takes longer than solving it, and `formulations.caching.network_arrays` hands the same rows to HiGHS
as arrays; so does `formulations.caching.closing` always. Both have the same optimum.

Sets
----
n, p, t   servers, pairs, slots
c         choices of a pair in a slot: off, or resident while x_c requests are served
s         states a slot is entered in: off, or resident with an age of thoughts k = 0..kappa_max
A         arcs (n, p, t, s, c): choice c in state s leads to the state s' = next(p, s, c): off, or
          age clip(k + g_p x_c - Delta_p, 0, kappa_max_p), with k = 0 when s is off

Parameters
----------
cost      of an arc: requests in the cloud, transmission and compute of the x_c, their accuracy at
          the new age, switching when s is off and c is not
m_p, e_p  memory (MB), energy per request (10 J); M_n, E_n what a server has
R_npt     requests born
b_p, B_t  tokens of a request, tokens the shared link carries; o cost of a token above (backhaul)
h_p       cost of a request served next door (forwarding)

Variables
---------
f         flow on arcs, >= 0 (continuous: paths are integral once z is)
z_nptc    binary: choice c is made
over_t    tokens above the link's capacity, >= 0 (backhaul)
y_njpt    requests served at n and born at n + j - 1, j = 0, 1, 2, >= 0 (forwarding)

Objective
---------
minimise  sum of cost f  +  sum_t o over_t  +  sum_npt h_p (y_n0pt + y_n2pt)

Constraints
-----------
(source)   sum_c f[n,p,0,off,c] = 1
(balance)  sum_c f[n,p,t,s,c] = flow on arcs of slot t - 1 into s          t > 0
(choice)   z_nptc = sum_s f[n,p,t,s,c]
(memory)   sum_p m_p sum_(c not off) z_nptc <= M_n
(energy)   sum_p e_p sum_c x_c z_nptc <= E_n
(link)     over_t >= sum_np b_p (R_npt - sum_c x_c z_nptc) - B_t
(served)   y_n0pt + y_n1pt + y_n2pt = sum_c x_c z_nptc
(births)   y_(n+1)0pt + y_n1pt + y_(n-1)2pt <= R_npt
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pyomo.environ as pyo

from formulations import highs
from formulations.caching import sizes
from formulations.caching.blocks import build
from formulations.caching.compact import Decision, Route, add_link, rows, solve_model
from formulations.caching.network_arrays import all_arcs, build_program, read_program
from formulations.claims import Claim
from formulations.dual.progress import Progress
from mecopt.caching import Backhaul, CachingInstance, CachingPlan, Forwarding
from mecopt.result import Result

Key = tuple[int, ...]

#: Most arcs of a model that is solved as it is written.
MOST_LABELLED = 2_000
#: The state "off" in arcs.
OFF = -1


def build_model(instance: CachingInstance, deadline: float = np.inf) -> pyo.ConcreteModel:
    """The model, row by row; small instances, as only its balances look at the deadline.

    Raises
    ------
    OutOfTime
        If those are not built at `deadline` (`time.perf_counter`).
    """
    x = instance
    blocks = build(x)
    arcs = all_arcs(blocks)
    names = [divmod(int(place), x.n_slots) for place in arcs.place]
    keys = [
        (*divmod(q, x.n_pairs), t, int(s), int(c))
        for (q, t), s, c in zip(names, arcs.state, arcs.served, strict=True)
    ]
    out_of: dict[Key, list[Key]] = {}
    into: dict[Key, list[Key]] = {}
    by_choice: dict[Key, list[Key]] = {}
    for key, to in zip(keys, arcs.to.tolist(), strict=True):
        n, p, t, s, c = key
        out_of.setdefault((n, p, t, s), []).append(key)
        into.setdefault((n, p, t + 1, to), []).append(key)
        by_choice.setdefault((n, p, t, c), []).append(key)
    m = pyo.ConcreteModel("caching")
    m.f = pyo.Var(keys, bounds=(0, None))
    m.z = pyo.Var(list(by_choice), domain=pyo.Binary)  # c = -1 is off, else requests served
    cost = dict(zip(keys, arcs.cost.tolist(), strict=True))
    served: dict[Key, Any] = dict.fromkeys(np.ndindex(*x.requests.shape), 0)
    for n, p, t, c in by_choice:
        if c > 0:
            served[n, p, t] += c * m.z[n, p, t, c]

    def conserve(*node: int) -> Any:
        return sum(m.f[k] for k in out_of[node]) == sum(m.f[k] for k in into[node])

    m.source = pyo.Constraint(
        [node for node in out_of if node[2] == 0],
        rule=lambda _, *node: sum(m.f[k] for k in out_of[node]) == 1,
    )
    m.balance = rows([node for node in out_of if node[2] > 0], conserve, deadline)
    m.choice = pyo.Constraint(
        list(by_choice), rule=lambda _, *k: m.z[k] == sum(m.f[arc] for arc in by_choice[k])
    )
    m.memory = pyo.Constraint(
        range(x.n_servers),
        range(x.n_slots),
        rule=lambda _, n, t: _at_most(
            sum(
                int(x.memory_mb[k[1]]) * m.z[k]
                for k in by_choice
                if (k[0], k[2]) == (n, t) and k[3] != OFF
            ),
            int(x.capacity_mb[n]),
        ),
    )
    m.energy = pyo.Constraint(
        range(x.n_servers),
        range(x.n_slots),
        rule=lambda _, n, t: _at_most(
            sum(int(x.energy_10j[p]) * served[n, p, t] for p in range(x.n_pairs)),
            int(x.energy_budget_10j[n]),
        ),
    )
    total = sum(cost[k] * m.f[k] for k in keys)
    if isinstance(x.coupling, Backhaul):
        total += add_link(m, x, x.coupling, served)
    elif isinstance(x.coupling, Forwarding):
        total += _forwarding(m, x, x.coupling, served)
    m.cost = pyo.Objective(expr=total)
    return m


def _at_most(body: Any, limit: int) -> Any:
    """A row ``body <= limit``, unless nothing is in its body."""
    return pyo.Constraint.Feasible if isinstance(body, int) else body <= limit


def _forwarding(
    m: pyo.ConcreteModel, x: CachingInstance, next_door: Forwarding, served: Any
) -> Any:
    """Rows of requests served next door; returns the cost of hops."""
    cells = list(np.ndindex(*x.requests.shape))
    m.y = pyo.Var(
        [(n, j, p, t) for n, p, t in cells for j in range(3) if 0 <= n + j - 1 < x.n_servers],
        bounds=(0, None),
    )
    m.served = pyo.Constraint(
        cells,
        rule=lambda _, n, p, t: (
            sum(m.y[n, j, p, t] for j in range(3) if (n, j, p, t) in m.y) == served[n, p, t]
        ),
    )
    m.births = pyo.Constraint(
        cells,
        rule=lambda _, n, p, t: (
            sum(m.y[n + 1 - j, j, p, t] for j in range(3) if (n + 1 - j, j, p, t) in m.y)
            <= int(x.requests[n, p, t])
        ),
    )
    hop = next_door.hop_cost
    return sum(float(hop[p]) * m.y[n, j, p, t] for n, j, p, t in m.y if j != 1)


def solve_network(
    instance: CachingInstance,
    *,
    time_limit: float | None = None,
    gap: float = 1e-6,
    seed: int = 0,
    verbose: bool = False,
) -> Result[CachingInstance, CachingPlan]:
    """Solve the network model with HiGHS, on one thread.

    Parameters and errors are those of `formulations.solve`; the time limit includes building the
    model, and `verbose` prints the solver's log. The result has method ``"network"``: its plan is
    the core's replay of the solver's choices, or the myopic plan where that is cheaper; its bound
    the solver's own word (`BoundKind.SOLVER_CLAIMED`) unless that is refused (`details["refused"]`,
    see `formulations.claims`). A model too large for the limit is not built: `details["status"]`
    says so, and what size it would have.
    """
    progress = Progress(time_limit, gap, seed, verbose=False)  # HiGHS speaks for itself
    route = Route(instance, "network", progress, verbose)
    size, n_arcs = sizes.network_size(route.blocks)
    if n_arcs <= MOST_LABELLED and route.has_time(2 * sizes.LABELLED * size.variables):
        return solve_model(route, size, build_model, _read)
    if not route.has_time(sizes.ARRAYS * size.variables):
        return route.not_built(size)
    begin = time.perf_counter()
    program = build_program(route.blocks, all_arcs(route.blocks))
    if not route.has_time(sizes.AFTER_ARRAYS * (time.perf_counter() - begin)):
        return route.not_built(size)
    limit = progress.seconds_left
    found = highs.run(program.lp, time_limit=limit, gap=gap, seed=seed, verbose=verbose)
    decision = objective = None
    if found.values is not None:
        decision, objective = read_program(route.blocks, program, found.values), found.objective
    claim = Claim(found.details["solver"], found.bound, objective)
    return route.result(decision, claim, found.details, late=found.late)


def _read(m: pyo.ConcreteModel, x: CachingInstance) -> Decision:
    """Choices (Q T,) and flows (Q T, 3) of a solved model."""
    picked = np.zeros(x.requests.shape, dtype=np.int64)
    for n, p, t, c in m.z:
        if m.z[n, p, t, c].value > 0.5:
            picked[n, p, t] = c + 1
    flow = np.zeros((*picked.shape, 3), dtype=np.int64)
    if x.is_forwarding:
        for n, j, p, t in m.y:
            flow[n, p, t, j] = round(m.y[n, j, p, t].value)
    else:
        flow[..., 1] = np.maximum(picked - 1, 0)
    return picked.ravel(), flow.reshape(-1, 3)
