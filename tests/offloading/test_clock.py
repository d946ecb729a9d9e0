"""The bell: kernels end when it rings, and what was found before stays."""

from __future__ import annotations

import time

import numpy as np
import pytest

from formulations.dual.ascent import ascend
from formulations.dual.column_generation import polish
from formulations.dual.stopping import OutOfTime
from formulations.offloading.clock import bell, never
from formulations.offloading.pricing.blocks import compile_blocks
from formulations.offloading.pricing.oracle import Oracle, root_branch
from formulations.offloading.search import descend
from formulations.offloading.tree import SafeOracle
from mecopt.offloading.scenarios import comllm
from tests.support.tiny import tiny_instance


def test_the_bell_rings_at_its_deadline() -> None:
    """A deadline that has passed rings at once, endless time never; one to come rings by itself."""
    with bell(time.perf_counter()) as stop:
        assert stop[0] == 1
    with bell(np.inf) as stop:
        assert stop[0] == 0
    with bell(time.perf_counter() + 0.01) as stop:
        while stop[0] == 0:
            time.sleep(0.001)


def test_pricing_ends_when_the_bell_rings() -> None:
    """No values come out of a pricing that was cut short; the ascent keeps what it had."""
    instance = comllm.generate("busy", 0, users=3, servers=2, slots=20)
    stop = never()
    oracle = Oracle(instance, stop=stop)
    view = SafeOracle(oracle, root_branch(instance))
    zero = np.zeros(oracle.n_rows)
    first = view.dual_value(zero, view.price(zero))

    def ring(t: int, best: float, priced: object) -> bool:
        stop[0] = t >= 3
        return False

    rise = ascend(view, zero, iterations=50, watch=ring)
    assert rise.iterations == 4 and rise.value >= first
    with pytest.raises(OutOfTime):
        oracle.price(zero, root_branch(instance))
    assert ascend(view, zero, iterations=50).value == -np.inf
    assert polish(view, zero).value == -np.inf


def test_graphs_are_not_compiled_without_time() -> None:
    """Options that are graphs are worked out one by one, as long as there is time."""
    graph = tiny_instance(1, dag=True)
    assert not graph.is_chain
    with pytest.raises(OutOfTime):
        compile_blocks(graph, 20, np.ones(1, dtype=np.int64))


def test_descent_looks_at_the_clock() -> None:
    """With the time over, the choice comes back as it went in."""
    instance = tiny_instance(2, dag=True, down=True)
    start = np.full(instance.n_tasks, -1, dtype=np.int64)
    assert descend(instance, start, rounds=9, seed=0, until=0.0).tolist() == start.tolist()
