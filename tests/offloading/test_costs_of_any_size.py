"""Costs over many orders of magnitude: no constant stands for "very dear"."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from formulations import solve
from formulations.offloading.compact import solve_milp
from formulations.offloading.decomposition import ROUNDING, solve_plans
from formulations.offloading.first import alone, longest_paths_ns
from mecopt.certificates import verify as certificate
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.policies import worlds
from mecopt.offloading.replay import replay
from mecopt.offloading.scenarios import comllm
from mecopt.result import Termination
from tests.support.tiny import brute_force, tiny_instance
from tests.support.wild import wild_instance

ROUTES = ["plans", "milp"]


def gpu(seconds: float) -> list[Option]:
    return [Option("gpu", [Stage("gpu", seconds)])]


def on_one_gpu(*tasks: Task) -> OffloadingInstance:
    return OffloadingInstance.from_tasks([Resource("gpu")], tasks)


@pytest.mark.parametrize("method", ROUTES)
def test_of_two_dear_drops_the_cheaper_is_taken(method: str) -> None:
    """Only one of two tasks of 1 s fits: drop the one of 2e6 s, 2e6 + 1 s, not that of 5e7 s."""
    instance = on_one_gpu(
        Task(0.0, gpu(1.0), "a", deadline_s=1.0, drop_cost_s=2e6),
        Task(0.0, gpu(1.0), "b", deadline_s=1.0, drop_cost_s=5e7),
    )
    result = solve(instance, method=method, time_limit=60)
    assert result.termination is Termination.OPTIMAL
    assert result.objective == pytest.approx(2_000_001.0, rel=1e-15)


@pytest.mark.parametrize("method", ROUTES)
def test_a_long_task_runs_where_its_drop_is_dearer(method: str) -> None:
    """1e6 s of latency against a drop of 1e7 s."""
    result = solve(on_one_gpu(Task(0.0, gpu(1e6), drop_cost_s=1e7)), method=method, time_limit=60)
    assert result.termination is Termination.OPTIMAL
    assert result.objective == pytest.approx(1e6, rel=1e-15)


@pytest.mark.parametrize("method", ROUTES)
def test_a_heavy_weight_is_no_time_limit(method: str) -> None:
    """Options of 1 s and 3 s at a weight of 1e6: 1e6 s, proven long before the limit."""
    options = [Option(f"{s} s", [Stage("gpu", s)]) for s in (1.0, 3.0)]
    instance = on_one_gpu(Task(0.0, options, latency_weight=1e6))
    result = solve(instance, method=method, time_limit=60)
    assert result.termination is Termination.OPTIMAL
    assert result.objective == pytest.approx(1e6, rel=1e-15)


@pytest.mark.parametrize("seed", range(40))
def test_plans_equal_brute_force_over_fourteen_orders(seed: int) -> None:
    """With a gap of 0 the interval closes to the rounding of its costs, around the optimum."""
    instance = wild_instance(seed)
    best, choice = brute_force(instance)
    result = solve_plans(instance, gap=0.0, time_limit=600)
    if np.isinf(best):
        assert result.termination is Termination.INFEASIBLE
        return
    size = float(np.abs(replay(instance, choice).cost_s).sum())
    assert result.termination is Termination.OPTIMAL
    assert best <= result.objective <= best + ROUNDING * size
    assert result.objective - ROUNDING * size <= result.bound <= best + 1e-15 * size


@pytest.mark.parametrize("seed", range(40))
def test_milp_equals_brute_force_over_fourteen_orders(seed: int) -> None:
    """Within a solver's tolerance, 1e-6 of what the costs add up to."""
    instance = wild_instance(seed)
    best, choice = brute_force(instance)
    result = solve_milp(instance, gap=1e-6)
    if np.isinf(best):
        assert result.termination is Termination.INFEASIBLE
        return
    tolerance = 1e-6 * float(np.abs(replay(instance, choice).cost_s).sum())
    assert result.termination is Termination.OPTIMAL
    assert abs(result.objective - best) <= tolerance
    assert best - 2 * tolerance <= result.bound <= best + tolerance


def test_a_gap_of_zero_is_reached() -> None:
    """What is left when a tiny instance is solved out is rounding, and that is optimal."""
    for seed in range(40):
        result = solve_plans(tiny_instance(seed), gap=0.0, time_limit=600)
        assert result.termination in (Termination.OPTIMAL, Termination.INFEASIBLE)


def test_gains_and_losses_that_cancel_leave_the_optimum() -> None:
    """A gain of 1e8 s and a drop of 1e8 s in one plan: 1 s is left, of sums a thousand times 1e5.

    Task 0: 1 s - 1e8 s. Task 1 takes 3 s and may take 1 s, so it is dropped: + 1e8 s. Together 1 s.
    """
    gain = Option("gain", [Stage("gpu", 1.0)], fixed_cost_s=-1e8)
    instance = on_one_gpu(
        Task(0.0, [gain], drop_cost_s=5.0),
        Task(0.0, gpu(3.0), deadline_s=1.0, drop_cost_s=1e8),
    )
    result = solve_plans(instance, gap=0.0, time_limit=60)
    assert result.termination is Termination.OPTIMAL
    assert result.objective == pytest.approx(1.0, abs=1e-7)
    assert result.bound <= 1.0


def test_without_time_the_certificate_holds(tmp_path: Path) -> None:
    """At a limit of 0 nothing is priced: prices of zero prove the sum of everybody alone."""
    for instance in (comllm.generate("busy", 0), tiny_instance(1, dag=True), wild_instance(0)):
        result = solve_plans(instance, time_limit=0.0)
        assert result.details["iterations"] == 0
        assert result.schedule is not None and result.bound <= result.objective
        certificate.save(tmp_path / "c", result)
        assert certificate.verify(tmp_path / "c", time_limit=600).ok


def test_the_bound_of_everybody_alone() -> None:
    """Two tasks on one server, 2 s each, the second also for 3 s elsewhere or dropped at 2.5 s.

    Alone they cost 2 + 2; a deadline of 1 s that must be met cannot be, even alone.
    """
    resources = [Resource("gpu"), Resource("cpu")]
    elsewhere = Option("cpu", [Stage("cpu", 3.0)])
    tasks = [Task(0.0, gpu(2.0)), Task(0.0, [elsewhere, *gpu(2.0)], drop_cost_s=2.5)]
    known = alone(OffloadingInstance.from_tasks(resources, tasks))
    assert known.bound_ns == pytest.approx(4e9) and known.bound_ns <= 4e9
    assert known.option.tolist() == [0, 1] and known.dropped.tolist() == [False, False]
    late = alone(on_one_gpu(Task(0.0, gpu(2.0), deadline_s=1.0)))
    assert late.bound_ns == np.inf
    dropped = alone(on_one_gpu(Task(0.0, gpu(2.0), deadline_s=1.0, drop_cost_s=7.0)))
    assert dropped.bound_ns == pytest.approx(7e9) and dropped.dropped.tolist() == [True]


def test_everybody_alone_costs_at_most_the_optimum() -> None:
    """On chains, graphs and failures."""
    for seed in range(60):
        instance = tiny_instance(seed, dag=seed % 2 == 0, down=seed % 3 == 0, max_tasks=3)
        best, _ = brute_force(instance)
        assert alone(instance).bound_ns * 1e-9 <= best


def test_longest_paths() -> None:
    """A graph of 1 s, then 2 s beside 5 s, then 1 s after the 2 s: the longer way is 1 + 5 s."""
    stages = [
        Stage("gpu", 1.0, after=()),
        Stage("gpu", 2.0, after=(0,)),
        Stage("gpu", 5.0, after=(0,)),
        Stage("gpu", 1.0, after=(1,)),
    ]
    graph = on_one_gpu(Task(0.0, [Option("graph", stages), Option("chain", stages[:1])]))
    assert longest_paths_ns(graph).tolist() == [6_000_000_000, 1_000_000_000]


def test_sampled_futures_tell_dear_drops_from_forbidden_ones() -> None:
    """Drops of 2e6 s and 5e7 s keep their price; a forbidden one costs more than both together."""
    drops = [2e6, 5e7, np.inf]
    instance = on_one_gpu(*(Task(0.0, gpu(1.0), deadline_s=1.0, drop_cost_s=d) for d in drops))
    drop = worlds.combine([instance]).drop
    assert drop[:2].tolist() == [2e15, 5e16] and drop[2] > drop[:2].sum()
