"""Certificates of caching results: what holds is accepted, what was changed is not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import formulations
from mecopt.caching.scenarios import t2drl as caching
from mecopt.certificates import verify as certificate
from mecopt.certificates.budget import Budget
from mecopt.certificates.caching.values import exact_cost
from mecopt.certificates.scales import COST_SCALE
from tests.support.tiny_caching import KINDS, tiny_instance


@pytest.fixture(scope="module", params=["ten", "backhaul", "forwarding"])
def document(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, compiled_caching: None
) -> Any:
    """A certificate of a small instance, as JSON, better than that of zero prices.

    Solves end by their gap: a limit in seconds would leave a busy machine with the first prices.
    """
    x = caching.generate(request.param, 0, agents=12, servers=2, slots=8)
    path = tmp_path_factory.mktemp("proof") / "certificate.json"
    result = formulations.solve(x, gap=1e-3, time_limit=600)
    assert result.gap <= 1e-3
    certificate.save(path, result)
    return json.loads(path.read_text())


def verdict(document: Any, folder: Path, **changes: Any) -> certificate.Verdict:
    """Check the document with some fields changed."""
    path = folder / "changed.json"
    path.write_text(json.dumps({**document, **changes}))
    return certificate.verify(path)


def test_what_was_solved_is_accepted(document: Any, tmp_path: Path) -> None:
    found = verdict(document, tmp_path)
    assert found.ok, found.problems
    assert found.cost_unit == ""


def test_a_higher_bound_is_rejected(document: Any, tmp_path: Path) -> None:
    """The claim has no room: solvers keep only what rounding could have taken."""
    found = verdict(document, tmp_path, bound=document["bound"] * (1 + 1e-6))
    assert not found.ok
    assert "below the claimed bound" in found.problems[0]


def test_another_objective_is_rejected(document: Any, tmp_path: Path) -> None:
    found = verdict(document, tmp_path, objective=document["objective"] * 1.001)
    assert "the replay costs" in found.problems[0]


def test_any_prices_prove_something(document: Any, tmp_path: Path) -> None:
    """Zero prices: the bound in which every pair has the server to itself, and no more."""
    nothing = {
        "links": [[0] * len(prices) for prices in document["links"]],
        "coupling": [0] * len(document["coupling"]),
    }
    assert not verdict(document, tmp_path, **nothing).ok
    assert verdict(document, tmp_path, **nothing, bound=0.0).ok


def test_too_few_prices_are_rejected(document: Any, tmp_path: Path) -> None:
    links = [document["links"][0][:-1], *document["links"][1:]]
    assert "link prices" in verdict(document, tmp_path, links=links).problems[0]


def test_coupling_prices_out_of_range_are_rejected(document: Any, tmp_path: Path) -> None:
    """A negative price, one above the cost of overflow, or one for nothing."""
    rows = document["coupling"]
    assert not verdict(document, tmp_path, coupling=[-1, *rows[1:]]).ok
    if document["instance"]["coupling"] is None:
        assert not verdict(document, tmp_path, coupling=[1]).ok
    elif document["instance"]["coupling"]["kind"] == "backhaul":
        found = verdict(document, tmp_path, coupling=[2**40, *rows[1:]])
        assert "above the cost of overflow" in found.problems[0]


def test_a_plan_beyond_memory_is_rejected(document: Any, tmp_path: Path) -> None:
    """Everything resident everywhere does not fit."""
    a = np.ones_like(np.array(document["a"])).tolist()
    found = verdict(document, tmp_path, a=a)
    assert "breaks a constraint: memory" in found.problems[0]


def test_a_changed_instance_is_not_read(document: Any, tmp_path: Path) -> None:
    body = {**document["instance"], "accuracy_weight": 9.0}
    with pytest.raises(ValueError, match="content_hash"):
        verdict(document, tmp_path, instance=body)


def test_a_missing_field_is_named(document: Any, tmp_path: Path) -> None:
    body = {key: value for key, value in document.items() if key != "links"}
    with pytest.raises(ValueError, match="malformed field 'links'"):
        verdict(body, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_exact_replay_is_the_cores(kind: str) -> None:
    """In units of 2^-30, on random feasible decisions: none resident but one pair."""
    for seed in range(5):
        x = tiny_instance(seed, **KINDS[kind])
        result = formulations.solve(x, time_limit=0.1)
        plan = result.schedule
        assert plan is not None
        total = exact_cost(x, plan.a.astype(int).tolist(), plan.flow.tolist(), Budget())
        assert isinstance(total, int)
        assert total == round(plan.objective * COST_SCALE)


def test_exact_replay_names_what_is_broken() -> None:
    """More served than born; a request served by a pair that is off."""
    x = caching.generate("ten", 0, agents=3, servers=1, slots=4)
    shape = (1, 3, 4)
    flow = np.zeros((1, 3, 3, 4), dtype=int)
    flow[0, 1, 0, 0] = 1
    off = np.zeros(shape, dtype=int)
    assert "a[0][0][0] = 0 with 1 served" in str(
        exact_cost(x, off.tolist(), flow.tolist(), Budget())
    )
    flow[0, 1, 0, 0] = 0
    flow[0, 0, 0, 0] = 1
    on = off.copy()
    on[0, 0, 0] = 1
    assert "flow[0][0][0][0] = 1" in str(exact_cost(x, on.tolist(), flow.tolist(), Budget()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"a": [[[0.99]]]}, "a: must hold whole numbers"),
        ({"x": [[[1], [1, 2]]]}, "x: rows of different lengths"),
        ({"links": [[0, 10**400, 0]]}, "links: price 1000.* is not a whole number below 2"),
        ({"links": [["1"]]}, "links: price '1' is not a whole number"),
        ({"coupling": [0.5]}, "coupling: price 0.5 is not a whole number"),
    ],
)
def test_what_is_not_whole_is_refused(
    document: Any, tmp_path: Path, changes: Any, message: str
) -> None:
    """Rounding it would check another certificate than the one in the file."""
    with pytest.raises(ValueError, match=message):
        verdict(document, tmp_path, **changes)


def test_the_optimum_lies_between_the_two_numbers(document: Any, tmp_path: Path) -> None:
    """A claimed objective a little too low passes as rounding, but the replay's cost is told."""
    low = document["objective"] * (1 - 5e-10)
    found = verdict(document, tmp_path, objective=low)
    assert found.ok and found.objective >= document["objective"] > low


def test_a_link_that_costs_nothing_still_gives_a_certificate(tmp_path: Path) -> None:
    """Backhaul with overflow for free: the instance has a coupling, the prices are all zero."""
    x = tiny_instance(3, servers=2, coupling="backhaul")
    x = replace(x, coupling=replace(x.coupling, overflow_cost=0.0))
    path = tmp_path / "certificate.json"
    certificate.save(path, formulations.solve(x, time_limit=1.0))
    assert certificate.verify(path).ok
