"""What `formulations.solve` takes and refuses: one rule for every method of every family."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import formulations
from formulations import highs, methods
from formulations.dual.stopping import check_stopping, termination
from formulations.market import assignment
from mecopt.accuracy_delay import replay as replay_snapshot
from mecopt.caching import CachingInstance
from mecopt.caching import replay as replay_caching
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.replay import replay
from mecopt.result import BoundKind, Result, Termination
from tests.support import tiny, tiny_caching, tiny_snapshots

ROUTES = [(family, method) for family in methods.METHODS for method in methods.names(family)]


def instance_of(family: str) -> tuple[Any, float]:
    """A tiny instance and its optimum, by enumeration.

    Offloading: two tasks share one server for 1 s each, or are dropped for 3 s: 1 + 2 = 3 s.
    """
    if family == "caching":
        x = tiny_caching.tiny_instance(1)
        return x, tiny_caching.brute_force(x).objective
    if family == "accuracy_delay":
        z = tiny_snapshots.tiny_snapshot(4, "equal")
        return z, tiny_snapshots.brute_force(z)
    use = Option("server", [Stage("server", 1.0)])
    tasks = [Task(0.0, [use], owner=u, deadline_s=5.0, drop_cost_s=3.0) for u in "ab"]
    y = OffloadingInstance.from_tasks([Resource("server")], tasks)
    assert tiny.brute_force(y)[0] == pytest.approx(3.0)
    return y, 3.0


def replayed(result: Result) -> float:
    """Cost of the result's decision, replayed anew."""
    plan = result.schedule
    assert plan is not None
    if result.instance.family == "caching":
        return float(replay_caching(result.instance, plan.a, plan.flow).objective)
    if result.instance.family == "accuracy_delay":
        return replay_snapshot(result.instance, plan.choice).objective
    return float(replay(result.instance, plan.choice).objective)


@pytest.mark.parametrize(("family", "method"), ROUTES)
def test_no_time_gives_a_bound_and_a_schedule(family: str, method: str) -> None:
    """With time_limit=0 the bound holds and the schedule is real, however poor both are."""
    instance, best = instance_of(family)
    result = formulations.solve(instance, method=method, time_limit=0, gap=0.0)
    assert -np.inf < result.bound <= best + 1e-9 <= result.objective + 2e-9
    assert result.objective == replayed(result)
    assert result.termination in (Termination.OPTIMAL, Termination.TIME_LIMIT)
    if result.gap > 1e-9:
        assert result.termination is Termination.TIME_LIMIT


@pytest.mark.parametrize(("family", "method"), ROUTES)
def test_endless_time_is_a_limit(family: str, method: str) -> None:
    """Infinity is no limit: the solve ends by its gap."""
    instance, best = instance_of(family)
    result = formulations.solve(instance, method=method, time_limit=float("inf"), gap=0.5)
    assert result.bound <= best + 1e-9
    assert best <= result.objective + 1e-9 and result.gap <= 0.5
    assert result.termination is Termination.OPTIMAL


@pytest.mark.parametrize(("family", "method"), ROUTES)
@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("time_limit", float("nan"), "time_limit = nan must be a number of seconds >= 0"),
        ("time_limit", -1.0, "time_limit = -1.0 must be a number of seconds >= 0"),
        ("time_limit", float("-inf"), "time_limit = -inf must be a number of seconds >= 0"),
        ("time_limit", "5", "time_limit = '5' must be a number of seconds >= 0"),
        ("time_limit", 10**400, r"time_limit = 10+\.\.\.0+ must be a number of seconds >= 0"),
        ("gap", float("nan"), "gap = nan must be a finite number >= 0"),
        ("gap", -0.1, "gap = -0.1 must be a finite number >= 0"),
        ("gap", 10**400, r"gap = 10+\.\.\.0+ must be a finite number >= 0"),
        ("gap", float("inf"), "gap = inf must be a finite number >= 0"),
        ("seed", -1, "seed = -1 must be a whole number >= 0"),
        ("seed", 1.5, "seed = 1.5 must be a whole number >= 0"),
        ("seed", True, "seed = True must be a whole number >= 0"),
    ],
)
def test_numbers_out_of_range_are_refused_with_the_same_words(
    family: str, method: str, argument: str, value: Any, message: str
) -> None:
    """Errors name argument and value, whatever the method."""
    with pytest.raises(ValueError, match=message):
        formulations.solve(instance_of(family)[0], method=method, **{argument: value})


@pytest.mark.parametrize(("family", "method"), ROUTES)
def test_any_whole_seed_is_taken(family: str, method: str) -> None:
    """Seeds larger than a solver takes, and numpy's whole numbers."""
    instance, best = instance_of(family)
    for seed in (2**40, np.int64(3)):
        result = formulations.solve(instance, method=method, seed=seed, gap=0.5)
        assert result.bound <= best + 1e-9


def test_defaults_are_within_the_rule() -> None:
    check_stopping()
    check_stopping(np.float32(0.5), np.float64(0.0), np.int32(4))


@pytest.mark.parametrize(
    ("objective", "bound", "late", "expected"),
    [
        (101.0, 100.0, False, Termination.OPTIMAL),
        (102.0, 100.0, True, Termination.TIME_LIMIT),
        (102.0, 100.0, False, Termination.STALLED),
        (np.inf, 100.0, True, Termination.TIME_LIMIT_NO_INCUMBENT),
        (np.inf, 100.0, False, Termination.STALLED),
        (np.inf, np.inf, False, Termination.INFEASIBLE),
    ],
)
def test_why_a_solve_stops(
    objective: float, bound: float, late: bool, expected: Termination
) -> None:
    """At a gap of 1 %: from the interval, and whether time was over."""
    assert termination(objective, bound, 0.01, late=late) is expected


def test_an_interval_as_narrow_as_rounding_is_closed() -> None:
    """At a gap of 0 an interval of 1e-9 is closed where that is the margin, and not at half."""
    for margin, expected in ((1e-9, Termination.OPTIMAL), (5e-10, Termination.STALLED)):
        found = termination(1.0 + 8e-10, 1.0, 0.0, late=False, margin=margin)
        assert found is expected


# ------------------------------------------------------------------ instances and families
@pytest.mark.parametrize(
    ("instance", "message"),
    [
        ("x", "instance = 'x' must be an instance of a family"),
        (None, "instance = None must be an instance of a family"),
        (CachingInstance, "instance = <class .*CachingInstance'> must be an instance of a family"),
    ],
)
def test_what_is_no_instance_is_refused(instance: Any, message: str) -> None:
    """One line names the argument and the value, and says what an instance is."""
    with pytest.raises(ValueError, match=message) as error:
        formulations.solve(instance)
    assert "OffloadingInstance" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("family", ["offloading", "caching"])
def test_unknown_methods_are_refused(family: str) -> None:
    """The message lists the methods of the family."""
    known = ", ".join(methods.names(family))
    with pytest.raises(ValueError, match=f"method: unknown 'magic', one of {known}"):
        formulations.solve(instance_of(family)[0], method="magic")


@dataclass(frozen=True)
class Purse:
    """A toy family: pay one of these prices."""

    prices: tuple[float, ...]
    family: ClassVar[str] = "purse"
    content_hash: ClassVar[str] = "0" * 64
    cost_unit: ClassVar[str] = ""

    def spread(self, cost: float) -> str:
        return ""


@dataclass(frozen=True)
class Payment:
    """What is paid."""

    objective: float


warmed: list[str] = []


def pay_least(
    instance: Purse, *, time_limit: float | None, gap: float, seed: int, verbose: bool
) -> Result[Purse, Payment]:
    """The least price, which needs no search."""
    least = min(instance.prices)
    asked = {"time_limit": time_limit, "gap": gap, "seed": seed}
    stop = termination(least, least, gap, late=False)
    return Result(
        instance, Payment(least), least, BoundKind.CERTIFIED, stop, "least", asked, seconds=0.0
    )


def warm_up_purses() -> None:
    warmed.append("purse")


def test_a_family_from_elsewhere_adds_its_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """After `register` its instances are solved as any others; before, the message says so."""
    monkeypatch.setattr(methods, "METHODS", dict(methods.METHODS))
    monkeypatch.setitem(sys.modules, "toy_purse", sys.modules[__name__])
    with pytest.raises(ValueError, match="instance.family = 'purse' has no methods, one of off"):
        formulations.solve(Purse((2.0, 1.0)))
    methods.register("purse", {"least": "toy_purse:pay_least"}, warm_up="toy_purse:warm_up_purses")
    assert methods.names("purse") == ("least",) and methods.certified("purse") == "least"
    result = formulations.solve(Purse((2.0, 1.0)))
    assert result.objective == result.bound == 1.0 and result.method == "least"
    formulations.warm_up("purse")
    assert warmed == ["purse"]
    with pytest.raises(ValueError, match="at least one is needed"):
        methods.register("purse", {})


def test_unknown_families_have_no_warm_up() -> None:
    with pytest.raises(ValueError, match="family: unknown 'chess', one of offloading, caching"):
        formulations.warm_up("chess")


def test_the_table_names_functions_that_exist() -> None:
    """Every method and every warm-up of the table can be imported."""
    for family, routes in methods.METHODS.items():
        for method in routes.methods:
            assert callable(methods.solver(family, method))
        assert callable(methods.resolve_name(routes.warm_up))


# ------------------------------------------------------------------ the efficient trade
def crowded() -> Market:
    """A server of 3 MB with a seat for each of two buyers (5 and 4) of 2 MB: only one fits."""
    market = Market.of(
        [5, 4],
        [[0, 0]],
        price_range=(0, 10),
        compatible=[[True], [True]],
        link_cost=[[0], [0]],
    )
    return market.replace(memory=np.array([2, 2]), server_memory=np.array([3]))


@pytest.mark.parametrize("limit", [0, 0.0, 10, float("inf"), None])
def test_efficient_trade_within_a_time_limit(limit: float | None) -> None:
    """The buyer of 5 is found without search. The LP says at most 5 + 4 / 2 = 7, without it 9."""
    found = assignment.solve(crowded(), time_limit=limit)
    most = 9 if limit == 0 else 7
    assert 5 * HALF_UNITS <= found.lp_bound <= most * HALF_UNITS + 1e-6
    assert found.welfare == 5 * HALF_UNITS
    assert found.server is not None and found.trades == (found.server >= 0).sum()


def test_efficient_trade_believes_no_wrong_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A solver says 1, a trade of 5 is at hand: the best of each buyer, 5 + 4, is the bound."""
    monkeypatch.setattr(assignment, "_highs", lambda *_, **__: (1.0 * HALF_UNITS, None))
    found = assignment.solve(crowded())
    assert (found.welfare, found.lp_bound) == (5 * HALF_UNITS, 9 * HALF_UNITS)


def test_efficient_trade_refuses_what_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both buyers of 2 MB on the server of 3 MB is no assignment, whoever answers it."""
    both = highs.Outcome(np.ones(2), -9.0, -9.0, False, {})
    monkeypatch.setattr(highs, "run", lambda *_, **__: both)
    with pytest.raises(RuntimeError, match="more than seats or memory"):
        assignment.solve(crowded())


@pytest.mark.parametrize("limit", [-1.0, float("nan"), float("-inf")])
def test_efficient_trade_refuses_the_same_time_limits(limit: float) -> None:
    """The words are those of `formulations.solve`, and sorting checks them too."""
    for market in (crowded(), Market.of([5], [1], price_range=(0, 10))):
        with pytest.raises(ValueError, match=f"time_limit = {limit} must be a number of seconds"):
            assignment.solve(market, time_limit=limit)


# ------------------------------------------------------------------ silence
BANNER = """
import os, highspy
class Loud(highspy.Highs):
    made = 0
    def __init__(self):
        if not Loud.made:
            os.write(1, b"HiGHS banner")
        Loud.made += 1
        super().__init__()
highspy.Highs = Loud
"""
SOLVE = """
import formulations
from formulations import methods
from tests.test_solve_arguments import instance_of
for family in methods.METHODS:
    for method in methods.names(family):
        for limit in (0, 20):
            formulations.solve(instance_of(family)[0], method=method, time_limit=limit)
"""


@pytest.mark.parametrize("banner", ["", BANNER], ids=["as installed", "with a banner"])
def test_solving_writes_nothing_to_the_standard_output(banner: str) -> None:
    """HiGHS 1.16 prints a banner with the first solver of a process; nobody sees it."""
    root = Path(__file__).parent.parent
    answer = subprocess.run(
        [sys.executable, "-c", banner + SOLVE],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == ""


def test_hushing_leaves_the_standard_output_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    """What is printed before and after the first solver arrives."""
    highs._is_hushed = False
    print("before")
    highs.make()
    print("after")
    assert capfd.readouterr().out == "before\nafter\n"
