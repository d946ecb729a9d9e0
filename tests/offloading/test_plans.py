"""Plan decomposition: brute force, outcomes, prices, column generation and branching."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from formulations import solve
from formulations.dual.ascent import ascend
from formulations.dual.column_generation import polish
from formulations.offloading.branch import everything
from formulations.offloading.decomposition import solve_plans
from formulations.offloading.pricing.oracle import Oracle, root_branch
from formulations.offloading.tree import BranchOracle
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.replay import replay
from mecopt.offloading.scenarios import comllm
from mecopt.result import BoundKind, Result, Termination
from tests.support.leaves import leaf_instance
from tests.support.tiny import KINDS, brute_force, tiny_instance


def exactly(result: Result, instance: OffloadingInstance) -> None:
    """A proven answer equals brute force within 1e-6, and its schedule replays to its objective."""
    best, _ = brute_force(instance)
    if np.isinf(best):
        assert result.termination is Termination.INFEASIBLE
        assert result.bound == np.inf and result.schedule is None
        return
    scale = max(abs(best), 1e-9)
    assert result.termination is Termination.OPTIMAL
    assert abs(result.objective - best) <= 1e-6 * scale + 1e-9
    assert best - 1e-6 * scale - 1e-9 <= result.bound <= best + 1e-9 * max(1.0, scale)
    assert result.schedule is not None
    assert replay(instance, result.schedule.choice).objective == result.objective


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_equals_brute_force(kind: dict[str, bool]) -> None:
    """Objective and bound meet at the optimum of every kind of tiny instance."""
    for seed in range(200, 215):
        instance = tiny_instance(seed, **kind)
        exactly(solve_plans(instance, gap=1e-6, time_limit=600), instance)


def test_equals_brute_force_where_losses_and_lateness_matter() -> None:
    """The same on instances made to strain the relaxation, with enumeration of nodes off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("formulations.offloading.tree._ENUMERATE", 1)
        for seed in range(25):
            instance = leaf_instance(seed)
            result = solve_plans(instance, gap=1e-6, time_limit=0.5)
            best, _ = brute_force(instance)
            assert result.bound <= best + 1e-9 * max(1.0, abs(best)), seed
            assert result.objective >= best - 1e-9, seed


def late(deadline_s: float) -> OffloadingInstance:
    """A task of 2 s on the server that must meet its deadline."""
    task = Task(0.0, [Option("run", [Stage("server", 2.0)])], deadline_s=deadline_s)
    return OffloadingInstance.from_tasks([Resource("server")], [task])


def test_infeasible_is_proven() -> None:
    """No decision meets a deadline of 1 s; with 2 s the task just fits."""
    result = solve(late(1.0))
    assert result.termination is Termination.INFEASIBLE
    assert result.bound == np.inf and result.objective == np.inf and result.schedule is None
    assert solve(late(2.0)).objective == pytest.approx(2.0)


def test_infeasible_only_by_queueing_is_proven() -> None:
    """Each of two tasks of 2 s meets its 3 s alone, but not both on one server."""
    tasks = [Task(0.0, [Option("run", [Stage("server", 2.0)])], u, deadline_s=3.0) for u in "ab"]
    instance = OffloadingInstance.from_tasks([Resource("server")], tasks)
    assert solve(instance, time_limit=10).termination is Termination.INFEASIBLE


def test_zero_optimum_is_optimal() -> None:
    """A free drop costs nothing: objective and bound are 0, and so is the gap."""
    task = Task(0.0, [Option("run", [Stage("server", 1.0)])], drop_cost_s=0.0)
    result = solve(OffloadingInstance.from_tasks([Resource("server")], [task]))
    assert result.termination is Termination.OPTIMAL
    assert result.objective == 0.0 and result.bound == pytest.approx(0.0, abs=1e-9)


@pytest.fixture(scope="module")
def episode() -> OffloadingInstance:
    """About twenty tasks that crowd two slow servers."""
    return comllm.generate("slow-servers", 0, users=4, servers=2, slots=20)


@pytest.fixture(scope="module")
def solved(episode: OffloadingInstance) -> Result:
    """Solved to 2 %."""
    return solve_plans(episode, gap=0.02, time_limit=600)


def test_without_time_the_interval_is_valid(episode: OffloadingInstance, solved: Result) -> None:
    """At time_limit=0 there is a schedule and a proven bound, if not a good one."""
    result = solve_plans(episode, time_limit=0.0)
    assert result.termination is Termination.TIME_LIMIT
    assert result.bound_kind is BoundKind.CERTIFIED
    assert -np.inf < result.bound <= solved.objective and result.objective >= solved.bound
    assert result.gap > 0


def test_equal_seeds_give_equal_results(episode: OffloadingInstance, solved: Result) -> None:
    """A solve that ends by its gap, not by the clock, repeats itself."""
    again = solve_plans(episode, gap=0.02, time_limit=600)
    assert solved.termination is Termination.OPTIMAL
    assert again.bound == solved.bound and again.objective == solved.objective
    assert solved.schedule is not None and again.schedule is not None
    assert again.schedule.choice.tolist() == solved.schedule.choice.tolist()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_bound_is_below_every_schedule(data, episode: OffloadingInstance, solved: Result) -> None:
    """Whatever is decided costs at least the bound."""
    count = np.diff(episode.option_ptr)
    choice = data.draw(st.tuples(*(st.integers(-1, int(n) - 1) for n in count)))
    assert replay(episode, np.array(choice)).objective >= solved.bound


def test_a_start_is_kept_or_improved(episode: OffloadingInstance, solved: Result) -> None:
    """A good schedule handed in is not lost, even without time."""
    result = solve_plans(episode, time_limit=0.0, start=solved.schedule)
    assert result.objective <= solved.objective


def test_progress_is_monotone(solved: Result) -> None:
    """The bound only rises, the objective only falls, and the last row is the answer."""
    frame = solved.progress
    assert list(frame.columns) == ["seconds", "bound", "objective"]
    assert frame["seconds"].is_monotonic_increasing
    assert frame["bound"].is_monotonic_increasing
    assert frame["objective"].is_monotonic_decreasing
    assert frame["bound"].iloc[-1] == pytest.approx(solved.bound)
    assert frame["objective"].iloc[-1] == solved.objective


def test_prices_are_readable(episode: OffloadingInstance, solved: Result) -> None:
    """Server time has nonnegative prices per bucket; private devices and uplinks have none."""
    assert solved.prices is not None
    table = solved.prices.table()
    assert list(table.columns) == ["resource", "start_s", "end_s", "price"]
    assert len(table) > 0 and (table["price"] > 0).all() and (solved.prices.value >= 0).all()
    assert set(table["resource"]) <= {"server 0", "server 1"}
    assert np.allclose(table["end_s"] - table["start_s"], solved.prices.bucket_ns * 1e-9)
    mean = dict(zip(episode.resource_names, solved.prices.mean_by_resource(), strict=True))
    assert mean["device 0"] == mean["uplink 0"] == 0 < max(mean["server 0"], mean["server 1"])


def test_summary_and_verbose(solved: Result, capsys: pytest.CaptureFixture[str]) -> None:
    """The summary says outcome, interval and kind of bound; verbose prints progress lines."""
    text = solved.summary()
    for part in ("plans: optimal after", "objective", "s each", "(certified)", "gap"):
        assert part in text
    solve_plans(late(2.0), verbose=True)
    assert "bound 2" in capsys.readouterr().out


def root_view(instance: OffloadingInstance, shift: int) -> BranchOracle:
    return BranchOracle(Oracle(instance, shift), root_branch(instance))


def test_column_generation_never_loses(episode: OffloadingInstance) -> None:
    """Polished prices are worth at least the ascent's, and at most the master says they can be."""
    view = root_view(episode, 27)
    rise = ascend(view, np.zeros(len(view.capacity)), iterations=40)
    polished = polish(view, rise.prices, rounds=15)
    assert polished.value >= rise.value
    assert (polished.prices >= 0).all()
    assert view.dual_value(polished.prices, view.price(polished.prices)) == polished.value


def test_column_generation_solves_the_relaxation() -> None:
    """Three owners, one server, buckets of 2^30 ns, services of one bucket, drops cost 2.5 buckets.

    Starting at i + f uses 1 - f of bucket i and f of bucket i + 1, so whole starts are all that
    matter: costs 1 or 2 buckets, or the drop (starting at 2 costs 3), solved as an LP below.
    """
    width = 2**30 * 1e-9
    run = [Option("run", [Stage("server", width)])]
    tasks = [Task(0.0, run, u, drop_cost_s=2.5 * width) for u in "abc"]
    instance = OffloadingInstance.from_tasks([Resource("server")], tasks)
    # One owner's share of: start at 0, start at 1, drop. All owners alike: at most 1 per bucket.
    # min 3 (1 x0 + 2 x1 + 2.5 d), x0 + x1 + d = 1, 3 x0 <= 1, 3 x1 <= 1: (1 + 2 + 2.5) buckets.
    lp = linprog([3, 6, 7.5], A_ub=[[3, 0, 0], [0, 3, 0]], b_ub=[1, 1], A_eq=[[1, 1, 1]], b_eq=[1])
    assert lp.fun == pytest.approx(5.5)
    view = root_view(instance, 30)
    polished = polish(view, np.zeros(len(view.capacity)), rounds=200)
    assert polished.value * 1e-9 == pytest.approx(lp.fun * width, rel=1e-6)
    assert polished.master == pytest.approx(polished.value, rel=1e-6)
    # The optimum has no gap: one runs at once, one waits, one is dropped.
    assert brute_force(instance)[0] == pytest.approx(5.5 * width)


def test_alternatives_of_a_branch() -> None:
    """Fixing and removing leave the other tasks alone; the root cannot drop what must run."""
    instance = OffloadingInstance.from_tasks(
        [Resource("a"), Resource("b")],
        [
            Task(0.0, [Option(r, [Stage(r, 1.0)]) for r in "ab"], drop_cost_s=drop)
            for drop in (2.0, np.inf)
        ],
    )
    root = everything(instance)
    assert root.alternatives(instance, 0) == [0, 1, -1]
    assert root.alternatives(instance, 1) == [2, 3]
    assert root.only(instance, 1, 3).alternatives(instance, 1) == [3]
    assert root.only(instance, 0, -1).alternatives(instance, 0) == [-1]
    assert root.without(0, [0, -1]).alternatives(instance, 0) == [1]
    assert root.count(instance).tolist() == [3, 2]
