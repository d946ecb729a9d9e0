"""What a solver claims is used only while nothing contradicts it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import formulations
from formulations import highs, methods
from formulations.caching import network
from formulations.claims import Claim, settle
from formulations.offloading.compact import solve_milp
from mecopt.result import BoundKind, Result, Termination
from tests.support.tiny_caching import KINDS, brute_force, tiny_instance
from tests.support.wild import wild_instance


def test_a_claim_that_nothing_contradicts_stands() -> None:
    """Bounds between what holds anyway (2) and the best schedule (5) are taken, others clipped."""
    assert settle(Claim("S", 4.0, 5.0), floor=2.0, known=5.0, replayed=5.0) == (4.0, {})
    assert settle(Claim("S", 1.0), floor=2.0, known=5.0) == (2.0, {})
    assert settle(Claim("S", -np.inf), floor=2.0, known=np.inf) == (2.0, {})
    assert settle(Claim("S", np.inf), floor=2.0, known=np.inf) == (np.inf, {})


def test_tolerances_of_a_solver_are_no_contradiction() -> None:
    """A bound above the schedule by 1e-7 of it is rounding: the bound is the schedule's cost."""
    assert settle(Claim("S", 5.0 + 5e-7), floor=2.0, known=5.0) == (5.0, {})


@pytest.mark.parametrize(
    ("claim", "replayed", "words"),
    [
        (Claim("S", 9.7415), 8.6415, "no decision costs less than 9.7415, and one costs 8.6415"),
        (Claim("S", np.inf), 8.6415, "claims that there is no decision, and one costs 8.6415"),
        (Claim("S", np.nan), 8.6415, "no decision costs less than nan"),
        (Claim("S", 1.0, 1.5), 8.6415, "a decision of 1.5, and none costs less than 2.0"),
        (Claim("S", 3.0, 7.0), 8.6415, "its decision costs 7.0, and it costs 8.6415"),
        (Claim("S", 3.0, 7.0), np.inf, "its decision costs 7.0, and it costs inf"),
    ],
)
def test_a_claim_that_is_contradicted_leaves_what_holds_anyway(
    claim: Claim, replayed: float, words: str
) -> None:
    """A replayed schedule of 8.6415 and a bound of 2 are known; both numbers are said."""
    with pytest.warns(RuntimeWarning, match=words):
        bound, details = settle(claim, floor=2.0, known=8.6415, replayed=replayed)
    assert bound == 2.0
    assert words in details["refused"]


# Presolve of HiGHS 1.14 claims 20.6, 34.5 and 12.6 here, of brute force's 13.2, 6.76 and 8.03.
@pytest.mark.parametrize("seed", [23, 33, 36])
def test_instances_on_which_presolve_lied(seed: int) -> None:
    """With any version the big-M model of a shared link has the optimum of brute force."""
    x = tiny_instance(seed, **KINDS["backhaul"])
    result = formulations.solve(x, method="big-m")
    assert result.objective == pytest.approx(brute_force(x).objective)
    assert result.termination is Termination.OPTIMAL
    assert "refused" not in result.details


def test_every_integer_program_has_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays and labelled models go to HiGHS without presolve; linear programs keep it."""
    seen: list[dict[str, Any]] = []
    make = highs.make
    monkeypatch.setattr(highs, "make", lambda **options: seen.append(options) or make(**options))
    lp = highs.program(
        [(np.zeros(1, int), np.zeros(1, int), np.ones(1))],
        -np.ones(1), np.ones(1), np.zeros(1), np.full(1, 0.5),
    )  # fmt: skip
    assert highs.run(lp, gap=0.0).objective == pytest.approx(-0.5)
    highs.make_integer(lp, 0, 1)
    assert highs.run(lp, gap=0.0).objective == pytest.approx(0.0)
    assert [options.get("presolve") for options in seen] == [None, "off"]
    options = highs.interface(gap=0.0, seed=0).config.solver_options
    assert {name: options[name] for name in highs.INTEGER} == highs.INTEGER


@pytest.mark.parametrize("worse", [1.0, np.inf])
def test_a_wrong_optimum_is_refused(monkeypatch: pytest.MonkeyPatch, worse: float) -> None:
    """HiGHS says that all in the cloud (or nothing) is optimal; the myopic plan is cheaper."""
    x = tiny_instance(10)
    cloud = float((x.requests * x.cloud_cost[None, :, None]).sum()) + worse
    said = highs.Outcome(None, np.inf, cloud, False, {"solver": "HiGHS 0", "status": "Optimal"})
    monkeypatch.setattr(network, "MOST_LABELLED", -1)
    monkeypatch.setattr(highs, "run", lambda *_, **__: said)
    best = brute_force(x).objective
    with pytest.warns(RuntimeWarning, match="HiGHS 0: claims"):
        result = formulations.solve(x, method="network")
    assert 0 <= result.bound <= best + 1e-9 <= result.objective + 2e-9
    assert result.termination is Termination.STALLED
    assert "its bound is not used" in result.details["refused"]


def test_a_bound_above_the_schedule_is_an_error_whoever_says_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`solve` compares the two numbers itself, and asks for a report."""
    plan = SimpleNamespace(objective=1.0)
    x = tiny_instance(0)
    broken: Result = Result(
        x, plan, 2.0, BoundKind.CERTIFIED, Termination.OPTIMAL, "plans", {}, seconds=0.0
    )
    monkeypatch.setattr(methods, "solver", lambda *_: lambda *_, **__: broken)
    with pytest.raises(RuntimeError, match=r"certified bound 2\.0 is above .* of 1\.0; please rep"):
        formulations.solve(x)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_solver_that_stops_for_an_odd_reason_says_nothing(monkeypatch):
    """A program over [0, 1] that is called unbounded: no values, no bound, and why.

    HiGHS 1.15.1 does so for a model some rows of which it left out.
    """
    one = np.ones(1)
    entries = [(np.array([0]), np.array([0]), one)]
    lp = highs.program(entries, -one, one, -one, one)
    assert highs.run(lp, gap=0.0).objective == -1.0
    monkeypatch.setattr(highs, "_ENDS", ())
    found = highs.run(lp, gap=0.0)
    assert found.values is None and found.bound == -np.inf
    assert "its bound is not used" in found.details["refused"]


def test_a_model_with_numbers_too_large_is_not_solved() -> None:
    """HiGHS leaves rows with 10^17 out without a word; no decision keeps the instance's rules."""
    result = solve_milp(wild_instance(707), gap=1e-6, time_limit=60.0)
    assert result.termination == "infeasible"
    assert "does not take numbers as large" in result.details["status"]
