r"""Offloading, compact: every choice and every FIFO queue in one mixed-integer linear program.

For instances of some tens of tasks; `formulations.offloading.decomposition` is the route beyond.
Each constraint below carries a label, and the Pyomo constraint has the label as its name. `milp` is
`formulations.offloading.compact_layout`.

Sets
----
k        tasks
o        options of a task; O_i are those that have step i
i, j     steps: (task, position), the stages of all options at that position (`milp.Step`)
q        stations: a resource between two down intervals (`milp.Station`); S_i may be visited by i
(i, j)   rivals at q: i may arrive before j and still be there when j arrives

Parameters (times in units of `milp.Layout.unit_ns`, costs in the same unit)
----------
R_k, D_k      release, relative deadline
c_k, w_k      cost of a late, lost or dropped task; cost of a unit of latency
p_io, phi_o   service time of step i under option o; fixed cost
m_q           parallel servers of a station
[U_q, E_q)    window of a station
lmin_o        length of the longest path through option o without waiting
delta         least difference of two times (0 where that is below a solver's tolerance)
M             big constants, each from earliest and latest times (`compact_windows.find_windows`)

Variables
---------
x_o, d_k         binary: option chosen; dropped
late_k, lost_i   binary: runs but late; lost at step i when its resource goes down
a_i, b_i, f_i    arrival, start, finish; a_i is R_k for first steps and f_j where i follows j
z_iq             presence of i at q: the sum of x_o over options that lead there, and a binary
                 where windows or earlier losses matter
first_ij         binary: i arrives before j (a constant where the windows say so)
held_jiq         binary: j is ahead of i and holds its server at least until i starts
still_jiq        binary: j is ahead of i and may still run when i starts (m_q > 1)
prompt_i         binary: i starts when it arrives
last_ijo         binary: j is the last of the steps that i waits for under option o
proof_i          binary: step i finishes after the deadline
L_k, F_k         latency and fixed cost that are paid (0 unless on time)

Objective
---------
minimise  sum_k  w_k L_k + F_k + c_k (d_k + late_k + sum_i lost_i)

Constraints
-----------
One way for each task; running late only where it holds up others, for otherwise a drop costs no
more:

(choice)          sum_o x_o + d_k = 1
(late_useful)     late_k + sum_i lost_i <= sum_o x_o, and late_k <= sum of x_o worth being late

Times of a step:

(service)         f_i = b_i + sum_o p_io x_o
(after)           b_i >= a_i
(join)            a_i >= f_j - M (1 - x_o)                      j before i in option o
(join_source)     a_i <= R_k + M sum of x_o in which i has predecessors
(join_last)       a_i <= f_j + M (1 - last_ijo)
(join_some)       sum_j last_ijo >= x_o

FIFO by (arrival, task, stage); ties count for i when i < j:

(order)           a_i <= a_j + M (1 - first_ij)
(order_strict)    a_j + delta <= a_i + M first_ij
(queue)           b_i >= f_j - M (3 - first_ji - z_iq - z_jq + still_jiq)
(running)         sum_j still_jiq <= m_q - 1

No idling while work waits. Needed unless nothing goes on from the resource and finishing later is
never cheaper; there, starting early is optimal by itself:

(no_wait)         b_i <= a_i + M (1 - prompt_i)
(busy)            sum_j held_jiq >= m_q (z_iq - prompt_i)
(busy_until)      b_i <= f_j + M (1 - held_jiq)
(busy_here)       held_jiq <= z_jq
(busy_before)     held_jiq <= first_ji
(absent)          prompt_i >= 1 - sum over O_i of x_o

Deadlines and costs, over the last steps i of a task:

(deadline)        f_i <= R_k + D_k + M (late_k + sum lost)
(late_is_late)    sum_i proof_i >= late_k - sum of x_o for which finishing later never pays
(late_proof)      f_i >= R_k + D_k + delta - M (1 - proof_i)
(latency)         L_k >= f_i - R_k - M (late_k + sum lost)
(latency_floor)   L_k >= sum_o lmin_o x_o - max lmin (late_k + sum lost)
(fixed)           F_k >= sum_o phi_o x_o - max(0, phi) (late_k + sum lost)
(fixed_floor)     F_k >= min(0, phi) (1 - d_k - late_k - sum lost)

Down intervals (chains). Work is lost at q when it arrives while q is down or would finish after
E_q; until then it holds its server, and what queues behind it is lost in turn:

(window_here)     sum of z_iq over one resource <= sum of x_o that lead there
(window_some)     sum of z_iq over one resource >= the same - sum of earlier lost
(window_alive)    sum_q z_iq <= 1 - sum of earlier lost
(window_from)     a_i >= U_q - M (1 - z_iq)
(window_until)    a_i <= E_q - delta + M (1 - z_iq)
(down)            lost_i >= z_iq                                 q down
(survive)         f_i <= E_q + M (1 - z_iq) + M lost_i           q up
(loss)            f_i >= E_q + delta - M (2 - z_iq - lost_i)     q up
(loss_here)       lost_i <= sum of z_iq with E_q finite

Times that differ by less than a solver's tolerance may be ordered either way by the model. When a
replay then costs more than the model claims, that decision is excluded and the solve goes on:

(exclude)         sum over what was chosen of (1 - x_o), (1 - d_k) >= 1

DAG options together with down intervals need cancellation of queued siblings, which this model
does not have; use ``method="plans"``.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray

from formulations import highs
from formulations.claims import Claim, gave_up, settle
from formulations.dual.progress import Progress
from formulations.dual.stopping import OutOfTime
from formulations.offloading import compact_layout as milp
from formulations.offloading import compact_start as milp_start
from formulations.offloading.compact_model import build_model
from formulations.offloading.first import alone, greedy, unsearched
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.replay import replay
from mecopt.offloading.schedule import Schedule
from mecopt.offloading.units import DROPPED
from mecopt.result import BoundKind, Result, Termination

#: Least seconds that a row of the model takes from the instance to the solver, and how long handing
#: a model over takes against making it.
_SECONDS_PER_ROW, _HAND_OVER = 1e-4, 1.5
#: Reasons to stop that are answers.
_REASONS = ("convergenceCriteriaSatisfied", highs.LATE, *highs.INFEASIBLE)


def solve_milp(
    instance: OffloadingInstance,
    *,
    time_limit: float | None = None,
    gap: float = 1e-6,
    seed: int = 0,
    verbose: bool = False,
    warm_start: Schedule | None = None,
) -> Result:
    """Solve the compact model with HiGHS, on one thread.

    Other parameters, and errors, are those of `formulations.solve`; the time limit includes
    building the model, and `verbose` prints the solver's log.

    Parameters
    ----------
    warm_start : Schedule, optional
        A schedule of this instance to start from; the result is never worse.

    Returns
    -------
    Result
        Method ``"milp"``. The schedule is the core's replay of the solver's choices, or of a
        decision that needs no model (the one-step oracle) where that is better. The bound is the
        solver's own word (`BoundKind.SOLVER_CLAIMED`). `details` holds the solver's version, its
        objective and bound in s, the size of the model, nodes, and decisions excluded. A model that
        cannot be made within the time limit is not: then `details` says about what size it would
        have, and the bound is the sum of what the tasks cost alone.

    Raises
    ------
    ValueError
        If the instance has both DAG options and down intervals, or `warm_start` belongs to another
        instance.
    """
    progress = Progress(time_limit, gap, seed, verbose=False)  # HiGHS speaks for itself
    _check_arguments(instance, warm_start)
    start = None if warm_start is None else replay(instance, warm_start.choice)
    if start is not None and not np.isfinite(start.objective):
        start = None
    size = milp.expected_size(instance)
    hopeless = size[1] * _SECONDS_PER_ROW > progress.seconds_left
    lonely = alone(instance)
    floor = lonely.bound_ns * 1e-9
    choices = unsearched(instance, lonely)
    choices.append(greedy(instance, choices[0], progress.seconds_left, 0.9 if hopeless else 0.3))
    known = [replay(instance, choice) for choice in choices] + ([] if start is None else [start])
    try:
        if hopeless:
            raise OutOfTime
        layout, model, solver = _build(instance, start, progress)
    except OutOfTime:
        status = highs.Size(*size).not_built("about ")
        return _not_built(instance, known, floor, size, progress, status, late=True)
    if not highs.took(solver, model):
        status = "model not solved: HiGHS does not take numbers as large as its"
        return _not_built(instance, known, floor, size, progress, status, late=False)
    while True:
        found = highs.solve_model(solver, model, progress.seconds_left, verbose)
        if found.incumbent_objective is not None:
            known.append(replay(instance, _choice(model, layout)))
        result = _result(layout, model, found, known, floor, progress)
        if result.termination is not Termination.STALLED or "refused" in result.details:
            return result
        chosen = [v for v in (*model.x.values(), *model.d.values()) if v.value > 0.5]
        model.exclude.add(sum(1 - v for v in chosen) >= 1)


def _build(
    x: OffloadingInstance, start: Schedule | None, progress: Progress
) -> tuple[milp.Layout, pyo.ConcreteModel, Any]:
    """Layout, model and solver, which holds `start` if there is one.

    Raises
    ------
    OutOfTime
        If they cannot be made in time.
    """
    layout = milp.lay_out(x, progress.check)
    begin = time.perf_counter()
    model = build_model(layout, progress.check)
    if start is not None:
        milp_start.set_values(model, layout, start.choice)
    # Pyomo hands the model over in one piece, which takes about as long as making it.
    if _HAND_OVER * (time.perf_counter() - begin) > progress.seconds_left:
        raise OutOfTime
    solver = highs.interface(gap=progress.gap, seed=progress.seed)
    solver.set_instance(model)
    if start is not None:
        _start_from(solver, model)
    return layout, model, solver


def _not_built(
    x: OffloadingInstance,
    known: list[Schedule],
    floor: float,
    size: tuple[int, int],
    progress: Progress,
    status: str,
    *,
    late: bool,
) -> Result:
    """What is known without the model, which has about `size` variables and constraints."""
    variables, constraints = size
    schedule = _best(known)
    objective = np.inf if schedule is None else schedule.objective
    return progress.result(
        x,
        schedule,
        min(floor, objective),
        method="milp",
        bound_kind=BoundKind.SOLVER_CLAIMED,
        late=late,
        details={
            "variables": variables,
            "constraints": constraints,
            "nodes": 0,
            "solver_objective": None,
            "solver_bound": -np.inf,
            "excluded": 0,
            "status": status,
        },
    )


def _best(known: list[Schedule]) -> Schedule | None:
    """The cheapest schedule that breaks no rule."""
    finite = [schedule for schedule in known if np.isfinite(schedule.objective)]
    return min(finite, key=lambda s: s.objective, default=None)


def _check_arguments(x: OffloadingInstance, warm_start: Schedule | None) -> None:
    if x.needs_events:
        raise ValueError(
            "instance: has DAG options and down intervals, which the compact model does not "
            'cover; use method "plans"'
        )
    if warm_start is not None and warm_start.instance.content_hash != x.content_hash:
        raise ValueError("warm_start: is a schedule of another instance")


def _start_from(solver: Any, model: pyo.ConcreteModel) -> None:
    """Hand the variables' values to HiGHS, which Pyomo's interface does not do by itself."""
    columns = solver._pyomo_var_to_solver_var_map
    start = {
        columns[id(v)]: float(v.value)
        for v in model.component_data_objects(pyo.Var)
        if id(v) in columns
    }
    index = np.fromiter(start, dtype=np.int32)
    value = np.fromiter(start.values(), dtype=np.float64)
    solver._solver_model.setSolution(len(start), index, value)


def _choice(model: pyo.ConcreteModel, layout: milp.Layout) -> NDArray[np.int64]:
    x = layout.instance
    choice = np.full(x.n_tasks, DROPPED, dtype=np.int64)
    for o in model.x:
        if model.x[o].value > 0.5:
            k = x.task_of_option[o]
            choice[k] = o - x.option_ptr[k]
    return choice


def _result(
    layout: milp.Layout,
    model: pyo.ConcreteModel,
    found: Any,
    known: list[Schedule],
    floor: float,
    progress: Progress,
) -> Result:
    """Replayed incumbent, claimed bound weighed against `floor`, and reason for stopping."""
    second = layout.unit_ns * 1e-9
    schedule = _best(known)
    objective = np.inf if schedule is None else schedule.objective
    reason = found.termination_condition.name
    claimed = -np.inf if found.objective_bound is None else found.objective_bound * second
    claimed = np.inf if reason in highs.INFEASIBLE else claimed
    incumbent = found.incumbent_objective
    incumbent = None if incumbent is None else incumbent * second
    counters = highs.counters(found, model)
    # What is excluded has been replayed; the claim is about the rest.
    claim = Claim(
        counters["solver"], min(claimed, objective) if len(model.exclude) else claimed, incumbent
    )
    if reason in _REASONS:
        bound, refused = settle(claim, floor=floor, known=objective)
    else:
        bound, refused = floor, gave_up(counters["solver"], reason)
    return progress.result(
        layout.instance,
        schedule,
        min(bound, objective),
        method="milp",
        bound_kind=BoundKind.SOLVER_CLAIMED,
        late=reason == highs.LATE,
        rounding=1e-12,
        details={
            **counters,
            **refused,
            "solver_objective": incumbent,
            "solver_bound": claimed,
            "excluded": len(model.exclude),
        },
    )
