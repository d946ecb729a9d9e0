"""Time limits of the caching routes: what is not built says so, and what is there is proven."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import formulations
from formulations.caching import big_m, compact, network, search, sizes
from formulations.caching.blocks import build
from formulations.caching.branching import Tree
from formulations.caching.coupling import Coupling
from formulations.caching.decomposition import Part
from formulations.caching.network_arrays import all_arcs, build_program
from formulations.caching.oracle import LinkOracle, Pricer
from formulations.caching.search import Search, fits
from formulations.caching.start import first_bound, first_plan
from formulations.dual.stopping import OutOfTime
from mecopt.caching.scenarios import t2drl as caching
from mecopt.certificates import verify
from mecopt.result import Termination
from tests.support.tiny_caching import KINDS, brute_force, tiny_instance


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_are_those_of_the_models(kind: str) -> None:
    """Counted without building: variables and constraints of both models."""
    for seed in range(6):
        x = tiny_instance(seed, **KINDS[kind])
        model = big_m.build_model(x)
        assert sizes.big_m_size(x) == (model.nvariables(), model.nconstraints())
        blocks = build(x)
        arcs = all_arcs(blocks)
        program = build_program(blocks, arcs)
        expected = (program.lp.num_col_, program.lp.num_row_), len(arcs.place)
        assert sizes.network_size(blocks) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_the_start_holds_the_optimum(kind: str) -> None:
    """The first bound is at most the optimum, which is at most the first plan; none is negative."""
    for seed in range(20):
        x = tiny_instance(seed, **KINDS[kind])
        best = brute_force(x).objective
        assert -1e-9 <= first_bound(build(x)) <= best + 1e-9
        assert best <= first_plan(x).objective + 1e-9


@pytest.mark.parametrize("method", ["network", "big-m"])
def test_a_model_too_large_for_the_limit_is_not_built(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`base` has 600,000 variables as big-M: within 1 s it is the start that is returned."""

    def never(*_: Any) -> None:
        raise AssertionError("built")

    for module, name in ((network, "build_program"), (network, "build_model")):
        monkeypatch.setattr(module, name, never)
    monkeypatch.setattr(big_m, "build_model", never)
    x = caching.generate("base", 0)
    result = formulations.solve(x, method=method, time_limit=1.0)
    size = sizes.big_m_size(x) if method == "big-m" else sizes.network_size(build(x))[0]
    assert f"not built: {size.variables:,} variables" in result.details["status"]
    assert result.details["constraints"] == size.constraints
    assert result.termination is Termination.TIME_LIMIT
    assert 0 < result.bound < result.objective == first_plan(x).objective


@pytest.mark.parametrize("module", [network, big_m])
def test_building_stops_at_the_deadline(module: Any) -> None:
    with pytest.raises(OutOfTime):
        module.build_model(tiny_instance(1), time.perf_counter() - 1.0)


def test_a_model_built_too_slowly_is_not_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Building took two thirds of the time, and setting HiGHS up takes longer than that."""
    monkeypatch.setattr(sizes, "AFTER_LABELLED", 1e9)
    monkeypatch.setattr(compact.highs, "solve_model", lambda *_: 1 / 0)
    result = formulations.solve(tiny_instance(1), method="big-m", time_limit=60)
    assert "not built" in result.details["status"] and result.schedule is not None


@pytest.mark.parametrize("preset", ["ten", "backhaul", "forwarding"])
@pytest.mark.parametrize("limit", [0.0, 0.1])
def test_what_little_time_proves_is_verified(preset: str, limit: float, tmp_path: Path) -> None:
    """Certificates of plans hold whatever the limit."""
    x = caching.generate(preset, 1, agents=5, servers=2, slots=10)
    result = formulations.solve(x, time_limit=limit)
    assert 0 <= result.bound <= result.objective
    path = tmp_path / "certificate.json.gz"
    verify.save(path, result)
    verdict = verify.verify(path)
    assert verdict.ok, verdict.problems


@pytest.mark.parametrize("preset", ["ten", "forwarding"])
def test_hurried_slots_bound_from_below(preset: str) -> None:
    """After the deadline slots are bounded by one energy price each; their choices still fit."""
    x = caching.generate(preset, 0, agents=6, servers=2, slots=30)
    blocks = build(x)
    prices = np.random.default_rng(3).normal(size=blocks.n_choices)
    exact, hurried = Pricer(blocks), Pricer(blocks)
    hurried.until = -np.inf
    full, _ = exact.slots(-prices)
    low, picked = hurried.slots(-prices)
    assert hurried.hurried and not exact.hurried
    assert (low <= full + 1e-9).all()
    hurried.energy_price[:] = exact.energy_price  # the best price bounds well
    assert hurried.slots(-prices)[0].sum() >= full.sum() - 0.05 * abs(full.sum())
    links = LinkOracle(blocks, hurried, Coupling(blocks))
    assert links.price(np.zeros(len(links.capacity))).slots is not None
    flow = np.zeros((len(picked), 3), dtype=np.int64)
    assert fits(blocks, np.minimum(picked, 1), flow)


def test_a_tree_keeps_what_it_has_proven_when_time_is_up() -> None:
    """Children whose slots were bounded in a hurry do not take the place of their parent."""
    x = caching.generate("ten", 3, agents=6, servers=1, slots=20)
    part = Part(first_plan(x), [0], gap=0.0, seed=0)
    part.begin(1.0, np.inf)
    tree = Tree(part.links, part.link_prices, part.search.offer_slots)
    bound, nodes = tree.bound, len(tree.nodes)
    part.pricer.until = -np.inf
    tree.grow(lambda: np.inf, np.inf)
    assert (tree.bound, len(tree.nodes)) == (bound, nodes)


def test_what_does_not_fit_is_seen() -> None:
    """All ten models are more than 80 GB, and no more requests are served than there are."""
    x = caching.generate("ten", 0, servers=1, slots=4)
    blocks = build(x)
    everything = np.ones(len(blocks.requests), dtype=np.int64)
    flow = np.zeros((len(everything), 3), dtype=np.int64)
    assert fits(blocks, 0 * everything, flow)
    assert blocks.memory.sum() > 80_000 and not fits(blocks, everything, flow)
    twice = flow.copy()
    twice[0, 1] = blocks.requests[0] + 1
    picked = np.zeros_like(everything)
    picked[0] = 1 + twice[0, 1]
    assert not fits(blocks, picked, twice)


def test_annealing_is_cold_when_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for 100 s with 10 s to go, by a clock of 1 s a look: the tenth step is a cold one."""
    blocks = build(caching.generate("ten", 0, agents=6, servers=1, slots=12))
    none = np.zeros(len(blocks.requests), dtype=np.int64)
    annealing = Search(blocks, none, np.zeros((len(none), 3), dtype=np.int64), seed=0)
    ticks, heats = iter(range(1000)), []
    monkeypatch.setattr(search, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    monkeypatch.setattr(search, "anneal", lambda *args: heats.append(args[4]))
    annealing.run(100.0, 10.0, 0.0)
    assert len(heats) == 10 and heats[0] == annealing.hot
    assert annealing.cold < heats[-1] < 2 * annealing.cold


def test_rounding_alone_leaves_nothing_open() -> None:
    """At gap 0 a single server is optimal when only the margin of the bound is left."""
    for seed in range(4):
        x = tiny_instance(seed)
        result = formulations.solve(x, gap=0.0, time_limit=600)
        assert result.termination is Termination.OPTIMAL
        best = brute_force(x).objective
        assert best - 1e-9 <= result.bound <= best
        assert result.objective == pytest.approx(best, rel=1e-12)
