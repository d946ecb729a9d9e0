"""The compact exact formulation: known answers, brute force, limits and outcomes."""

from __future__ import annotations

import re

import numpy as np
import pyomo.environ as pyo
import pytest

from formulations.dual.stopping import OutOfTime
from formulations.offloading import compact as formulation
from formulations.offloading import compact_layout as milp
from formulations.offloading import compact_start as milp_start
from formulations.offloading.compact import solve_milp
from formulations.offloading.compact_model import build_model
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.replay import replay
from mecopt.offloading.scenarios import comllm
from mecopt.offloading.units import UNLIMITED
from mecopt.result import BoundKind, Termination
from tests.support.tiny import brute_force, tiny_instance


def route(name: str, *stages: tuple[str, float], fixed_cost_s: float = 0.0) -> Option:
    """A chain of (resource, service in s)."""
    return Option(name, [Stage(r, s) for r, s in stages], fixed_cost_s)


def solve_chosen(instance: OffloadingInstance) -> tuple[float, list[int]]:
    result = solve_milp(instance)
    assert result.termination is Termination.OPTIMAL
    assert result.schedule is not None
    assert result.objective == replay(instance, result.schedule.choice).objective
    return result.objective, result.schedule.choice.tolist()


def test_two_tasks_share_one_server() -> None:
    """Both on the fast server cost 1 + 2; one local costs 1 + 1.5, which is best."""
    options = [route("server", ("server", 1.0)), route("local", ("device", 1.5))]
    instance = OffloadingInstance.from_tasks(
        [Resource("server"), Resource("device")], [Task(0.0, options), Task(0.0, options)]
    )
    objective, choice = solve_chosen(instance)
    assert objective == pytest.approx(2.5)
    assert sorted(choice) == [0, 1]


def test_dropping_in_time_helps_those_behind() -> None:
    """The long task costs 3 alone and delays the others by 3 each: 3 + 4 + 5 > 5 + 1 + 2."""
    tasks = [
        Task(0.0, [route("run", ("server", service))], drop_cost_s=5.0)
        for service in (3.0, 1.0, 1.0)
    ]
    instance = OffloadingInstance.from_tasks([Resource("server")], tasks)
    objective, choice = solve_chosen(instance)
    assert objective == pytest.approx(8.0)
    assert choice == [-1, 0, 0]


def test_ties_in_nanoseconds_are_settled_by_replay() -> None:
    """A tie too fine for the solver's tolerance: the model may claim the wrong order, 2 + 7 = 9.

    The replay serves task 0 first (6 + 7 = 13), so the claim is excluded; the best is task 0 on its
    slow uplink, after task 1: 2 + (2.5 + 5) = 9.5.
    """
    fast, tasks = 1.000000001, []
    for k, service in enumerate((5.0, 1.0)):
        ways = [("fast", f"uplink {k}", fast), ("slow", f"slow uplink {k}", 2.5)]
        tasks.append(Task(0.0, [route(n, (up, s), ("server", service)) for n, up, s in ways]))
    resources = [f"{kind}uplink {k}" for kind in ("", "slow ") for k in (0, 1)]
    instance = OffloadingInstance.from_tasks([Resource(r) for r in (*resources, "server")], tasks)
    result = solve_milp(instance)
    assert result.termination is Termination.OPTIMAL
    assert result.objective == pytest.approx(9.5)
    assert result.details["excluded"] >= 1


def delayed_rival(deadline_s: float, fixed_cost_s: float = 0.0) -> OffloadingInstance:
    """Task 0 can hold up task 1 at their uplink, to the good of task 2 at the server."""
    tasks = [
        Task(
            0.0,
            [route("up", ("uplink", 2.0), fixed_cost_s=fixed_cost_s)],
            deadline_s=deadline_s,
            drop_cost_s=1.0,
        ),
        Task(0.0, [route("up", ("uplink", 1.0), ("server", 4.0))], drop_cost_s=50.0),
        Task(
            0.0,
            [route("up", ("own uplink", 2.0), ("server", 1.0))],
            deadline_s=5.0,
            drop_cost_s=10.0,
        ),
    ]
    resources = [Resource("uplink"), Resource("own uplink"), Resource("server")]
    return OffloadingInstance.from_tasks(resources, tasks)


def test_running_late_on_purpose_delays_a_rival() -> None:
    """A late task may hold a rival back at an uplink and so save a third task at the server.

    Without task 0, task 1 (uplink 1, server 4) takes the server from 1 to 5 and task 2, which
    arrives there at 2, ends at 2 + 3 + 1 = 6: too late, and its drop costs 10. Task 0 pays its
    drop cost of 1 either way. Running late, it holds the uplink until 2, so task 1 reaches the
    server at 3, after task 2 (served 2 to 3): costs 1 + (3 + 4) + 3 = 11 against 1 + 5 + 10 = 16.
    """
    instance = delayed_rival(deadline_s=1.0)
    objective, choice = solve_chosen(instance)
    assert choice == [0, 0, 0]
    assert objective == pytest.approx(11.0)
    assert replay(instance, choice).status.tolist() == [1, 0, 0]


def test_tied_arrivals_go_in_task_order() -> None:
    """Both uploads end at 1, so task 0 (service 5) goes first: 6 + 7. The order is no choice.

    Serving task 1 first would cost 2 + 7 = 9; a model that may break ties would claim it.
    """
    tasks = [
        Task(0.0, [route("up", (f"uplink {k}", 1.0), ("server", service))])
        for k, service in enumerate((5.0, 1.0))
    ]
    instance = OffloadingInstance.from_tasks(
        [Resource("uplink 0"), Resource("uplink 1"), Resource("server")], tasks
    )
    assert solve_chosen(instance)[0] == pytest.approx(13.0)


def test_on_time_task_pays_its_own_cost_even_if_dropping_were_cheaper() -> None:
    """As above, but task 0 ends in time: it pays 2 + 1.5 fixed, not its drop cost of 1.

    3.5 + (3 + 4) + 3 = 13.5, still below the 16 without it.
    """
    instance = delayed_rival(deadline_s=3.0, fixed_cost_s=1.5)
    objective, choice = solve_chosen(instance)
    assert choice == [0, 0, 0]
    assert objective == pytest.approx(13.5)


def test_two_servers_work_in_parallel() -> None:
    """Capacity 2, services 2, 2, 1: the third starts at 2 and ends at 3; 2 + 2 + 3 = 7."""
    tasks = [Task(0.0, [route("run", ("server", service))]) for service in (2.0, 2.0, 1.0)]
    instance = OffloadingInstance.from_tasks([Resource("server", capacity=2)], tasks)
    assert solve_chosen(instance)[0] == pytest.approx(7.0)


def test_dag_waits_for_its_slowest_branch() -> None:
    """Branches of 1 and 3 s join in a stage of 1 s: 4 s, plus a fixed cost of 0.5."""
    stages = [
        Stage("a", 1.0, after=()),
        Stage("b", 3.0, after=()),
        Stage("a", 1.0, after=(0, 1)),
    ]
    instance = OffloadingInstance.from_tasks(
        [Resource("a"), Resource("b", capacity=UNLIMITED)],
        [Task(0.0, [Option("split", stages, 0.5)])],
    )
    assert solve_chosen(instance)[0] == pytest.approx(4.5)


@pytest.mark.parametrize(("service", "cost"), [(2.0, 2.0), (2.5, 7.0)])
def test_work_must_finish_by_the_start_of_a_down_interval(service: float, cost: float) -> None:
    """Down from 2: finishing exactly at 2 succeeds, later is lost (drop cost 7)."""
    instance = OffloadingInstance.from_tasks(
        [Resource("server", down_s=[(2.0, 3.0)])],
        [Task(0.0, [route("run", ("server", service))], drop_cost_s=7.0)],
    )
    assert solve_chosen(instance)[0] == pytest.approx(cost)


@pytest.mark.parametrize("seed", range(30))
def test_agrees_with_brute_force(seed: int) -> None:
    """The optimum, the solver's own figure and enumeration are one number."""
    instance = tiny_instance(seed, max_tasks=4)
    best, _ = brute_force(instance)
    result = solve_milp(instance)
    if np.isinf(best):
        assert result.termination is Termination.INFEASIBLE
        return
    assert result.termination is Termination.OPTIMAL
    assert result.objective == pytest.approx(best, rel=1e-6, abs=1e-9)
    assert result.details["solver_objective"] == pytest.approx(best, rel=1e-6, abs=1e-6)
    assert result.bound <= best + 1e-9


# Presolve of HiGHS 1.15 claims 3.7 and 4.1 here.
@pytest.mark.parametrize(("seed", "best"), [(2474, 3.3), (3410, 3.6)])
def test_instances_on_which_presolve_lied(seed: int, best: float) -> None:
    """Instances found by fuzzing on which the solver's presolve cut off the optimum."""
    assert solve_milp(tiny_instance(seed), seed=1).objective == pytest.approx(best)


@pytest.mark.parametrize("seed", range(25))
def test_every_replay_is_a_feasible_point_of_its_own_cost(seed: int) -> None:
    """The model cuts off no decision: start values satisfy every row and cost what they replay."""
    instance = tiny_instance(seed, max_tasks=4)
    layout = milp.lay_out(instance)
    model = build_model(layout)
    rng = np.random.default_rng(seed)
    schedule = replay(instance, rng.integers(-1, np.diff(instance.option_ptr)))
    if np.isinf(schedule.objective):
        return
    milp_start.set_values(model, layout, schedule.choice)
    for row in model.component_data_objects(pyo.Constraint):
        assert min(row.lslack(), row.uslack()) > -1e-9, row.name
    # Useless lateness is turned into a drop, which may free others: never dearer.
    assert pyo.value(model.cost) * layout.unit_ns * 1e-9 <= schedule.objective + 1e-9


def test_small_comllm_episode_is_solved() -> None:
    """About ten tasks over three servers in nanoseconds: proven optimal, replay included."""
    result = solve_milp(comllm.generate("paper", 1, users=3, servers=3, slots=8))
    assert result.termination is Termination.OPTIMAL
    assert result.gap <= 1e-6
    assert result.bound_kind is BoundKind.SOLVER_CLAIMED
    assert "milp: optimal" in result.summary()


def test_infeasible_is_an_answer() -> None:
    """A task of 2 s that must end within 1 s and may not be dropped: a status, no exception."""
    instance = OffloadingInstance.from_tasks(
        [Resource("server")], [Task(0.0, [route("run", ("server", 2.0))], deadline_s=1.0)]
    )
    result = solve_milp(instance)
    assert result.termination is Termination.INFEASIBLE
    assert result.schedule is None
    assert np.isinf(result.bound)


def test_dags_with_down_intervals_are_refused() -> None:
    """What the model does not cover raises and names the method that does."""
    instance = tiny_instance(0, dag=True, down=True)
    assert instance.needs_events
    with pytest.raises(ValueError, match='use method "plans"'):
        solve_milp(instance)


def test_warm_start_of_another_instance_is_refused() -> None:
    """A schedule belongs to one instance."""
    other = replay(tiny_instance(1), np.full(tiny_instance(1).n_tasks, -1))
    with pytest.raises(ValueError, match="warm_start: is a schedule of another instance"):
        solve_milp(tiny_instance(0), warm_start=other)


@pytest.fixture(scope="module")
def hard() -> OffloadingInstance:
    """Far too large for a fraction of a second."""
    return comllm.generate("very-slow-servers", 0, users=3, servers=3, slots=50)


def test_out_of_time_while_building(hard: OffloadingInstance) -> None:
    """Without a model there are a schedule and a valid bound, and the size it would have had."""
    result = solve_milp(hard, time_limit=0.01)
    assert result.termination is Termination.TIME_LIMIT
    assert result.details["solver_objective"] is None
    assert result.objective <= replay(hard, np.full(hard.n_tasks, -1)).objective
    assert 0 < result.bound < result.objective
    model = build_model(milp.lay_out(hard))
    for what, have in (("variables", model.nvariables()), ("constraints", model.nconstraints())):
        assert have / 3 < result.details[what] < 3 * have
        assert f"{result.details[what]:,} {what}" in result.details["status"]


def test_building_stops_when_its_check_says_so(hard: OffloadingInstance) -> None:
    """Layout and model ask again and again whether to go on, so that no part of them is long."""
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1

    build_model(milp.lay_out(hard, check), check)
    assert calls > len(hard.service_ns)

    def late() -> None:
        raise OutOfTime

    with pytest.raises(OutOfTime):
        milp.lay_out(hard, late)
    with pytest.raises(OutOfTime):
        build_model(milp.lay_out(hard), late)


def test_time_limit_without_incumbent() -> None:
    """Where the one-step oracle breaks a deadline that must be met there is no schedule at hand.

    Task 0 takes the fast server (1 s, not 2 s), which task 1, due at 1.5 s, then waits for. Both
    deadlines can be met: the bound is not infinite.
    """
    fast, slow = Option("fast", [Stage("fast", 1.0)]), Option("slow", [Stage("slow", 2.0)])
    instance = OffloadingInstance.from_tasks(
        [Resource("fast"), Resource("slow")],
        [Task(0.0, [fast, slow], deadline_s=3.0), Task(0.0, [fast], deadline_s=1.5)],
    )
    result = solve_milp(instance, time_limit=0)
    assert result.termination is Termination.TIME_LIMIT_NO_INCUMBENT
    assert result.schedule is None
    assert 0 < result.bound <= 3.0
    assert np.isinf(result.gap)
    assert solve_milp(instance).objective == pytest.approx(3.0)


def test_warm_start_is_the_incumbent_when_time_runs_out(hard: OffloadingInstance) -> None:
    """The same limit with a schedule: the schedule is returned, with a bound below it."""
    start = replay(hard, np.zeros(hard.n_tasks, dtype=int))
    result = solve_milp(hard, time_limit=0.01, warm_start=start)
    assert result.termination is Termination.TIME_LIMIT
    assert result.objective <= start.objective
    assert result.bound < result.objective


def test_solver_accepts_the_warm_start(capfd: pytest.CaptureFixture[str]) -> None:
    """HiGHS says it found the start feasible; verbose prints its log."""
    instance = comllm.generate("paper", 1, users=3, servers=3, slots=8)
    local = replay(instance, np.zeros(instance.n_tasks, dtype=int))
    solve_milp(instance, warm_start=local, verbose=True)
    assert "MIP start solution is feasible" in capfd.readouterr().out


def test_equal_seeds_give_equal_results() -> None:
    """One thread and one seed: the same bound, nodes and schedule."""
    first, second = (solve_milp(tiny_instance(5), seed=3) for _ in range(2))
    assert first.bound == second.bound
    assert first.details == second.details


def test_labels_of_the_mathematics_are_names_of_the_model() -> None:
    """Every labelled constraint exists under its label, and there is no other."""
    labels = re.findall(r"^\((\w+)\)", formulation.__doc__ or "", re.MULTILINE)
    model = build_model(milp.lay_out(tiny_instance(0)))
    assert len(labels) == len(set(labels))
    assert set(labels) == {c.name for c in model.component_objects(pyo.Constraint)}
