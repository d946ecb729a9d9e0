"""The exact caching models: network and big-M against brute force, and what they refuse."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pytest
from pyomo.contrib.solver.common.factory import SolverFactory

import formulations
from formulations.caching import big_m, network
from formulations.caching.blocks import build
from formulations.caching.closing import close, remaining
from formulations.caching.decomposition import Part
from formulations.caching.network_arrays import all_arcs, build_program
from mecopt.caching import CachingInstance, Pair
from mecopt.caching.policies.simple import Myopic
from mecopt.caching.rollout import rollout
from mecopt.caching.scenarios import t2drl as caching
from mecopt.result import BoundKind, Termination
from tests.support.tiny_caching import KINDS, brute_force, tiny_instance


@pytest.mark.parametrize("method", ["network", "big-m"])
@pytest.mark.parametrize("kind", KINDS)
def test_equal_to_brute_force(method: str, kind: str) -> None:
    """Objective, bound and replay; the bound is the solver's word."""
    for seed in range(100, 105):
        x = tiny_instance(seed, **KINDS[kind])
        best = brute_force(x).objective
        result = formulations.solve(x, method=method, gap=1e-6)
        assert result.objective == pytest.approx(best, rel=1e-6, abs=1e-9)
        assert result.bound == pytest.approx(best, rel=1e-6, abs=1e-9)
        assert result.termination is Termination.OPTIMAL
        assert result.bound_kind is BoundKind.SOLVER_CLAIMED
        assert result.method == method


@pytest.mark.parametrize("kind", KINDS)
def test_model_and_arrays_agree(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The labelled model, solved for small instances, and the arrays, for large: one optimum."""
    for seed in range(10):
        x = tiny_instance(seed, **KINDS[kind])
        labelled = formulations.solve(x, method="network", gap=1e-6)
        with monkeypatch.context() as patch:
            patch.setattr(network, "MOST_LABELLED", -1)
            arrays = formulations.solve(x, method="network", gap=1e-6)
        assert labelled.objective == pytest.approx(arrays.objective, rel=1e-6, abs=1e-9)
        assert labelled.bound == pytest.approx(arrays.bound, rel=1e-6, abs=1e-9)
        assert "status" in labelled.details and labelled.details.keys() == arrays.details.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_model_and_arrays_are_the_same_program(kind: str) -> None:
    """Rows of the model are those of the mathematics, its binaries those of the arrays."""
    x = tiny_instance(7, **KINDS[kind])
    model = network.build_model(x)
    blocks = build(x)
    program = build_program(blocks, all_arcs(blocks))
    assert len(program.choice) == len(model.z)
    labels = {c.local_name for c in model.component_objects(pyo.Constraint)}
    documented = {"source", "balance", "choice", "memory", "energy"}
    documented |= {"backhaul": {"link"}, "forwarding": {"served", "births"}}.get(kind, set())
    assert labels == documented


@pytest.mark.parametrize("module", [network, big_m])
def test_every_row_is_in_the_docstring(module: object) -> None:
    """Constraint names are the labels of the mathematics."""
    for kind in KINDS:
        model = module.build_model(tiny_instance(3, **KINDS[kind]))  # type: ignore[attr-defined]
        for row in model.component_objects(pyo.Constraint):
            assert f"({row.local_name})" in str(module.__doc__)


def test_network_bounds_better_than_big_m() -> None:
    """Linear relaxations: ages priced on arcs against ages behind big constants."""
    x = tiny_instance(11)
    values = []
    for module in (network, big_m):
        model = pyo.TransformationFactory("core.relax_integer_vars").create_using(
            module.build_model(x)
        )
        SolverFactory("highs").solve(model)
        values.append(pyo.value(model.cost))
    best = brute_force(x).objective
    assert values[1] < values[0] <= best + 1e-9


@pytest.mark.parametrize("method", ["network", "big-m"])
def test_a_pair_larger_than_its_server_stays_in_the_cloud(method: str) -> None:
    x = CachingInstance.from_pairs(
        [[[2, 1]]],
        [Pair("p", memory_gb=5, energy_j=10, thoughts=1, accuracy=0.9, cloud_cost=1.0)],
        capacity_gb=[4],
        energy_budget_j=[100],
    )
    assert formulations.solve(x, method=method).objective == pytest.approx(3.0)


def test_closing_keeps_every_better_schedule() -> None:
    """Arcs are left out by the bound alone: the optimum of what is left is the optimum."""
    x = caching.generate("ten", 5, agents=5, servers=1, slots=10)
    plan = rollout(x, Myopic())
    part = Part(plan, [0], gap=1e-6, seed=0)
    part.begin(1.0, np.inf)
    part.raise_bound(100, 0.5, 60.0, np.inf)
    everything = formulations.solve(x, method="network")
    arguments = part.links, part.link_prices, part.bound
    left = remaining(*arguments, plan.objective)
    assert len(left.place) < len(all_arcs(part.blocks).place)
    claimed, better, _ = close(
        *arguments, plan.objective, part.search.picked, seconds=60.0, gap=1e-6
    )
    assert better is not None
    part.search.offer(*better)
    assert part.search.objective == pytest.approx(everything.objective, rel=1e-6)
    assert claimed == pytest.approx(everything.objective, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_decomposition_closes_small_instances(kind: str) -> None:
    """Where prices alone leave a gap, the arcs that are left do not; the bound stays certified."""
    for seed in (1, 2):
        x = tiny_instance(seed, **KINDS[kind])
        result = formulations.solve(x, gap=1e-6, time_limit=30)
        best = brute_force(x).objective
        assert result.objective == pytest.approx(best, rel=1e-6)
        assert result.bound <= best + 1e-9
        assert result.details["solver_claimed_bound"] <= best + 1e-6
        assert result.termination in (Termination.OPTIMAL, Termination.STALLED)
        assert result.bound_kind is BoundKind.CERTIFIED
