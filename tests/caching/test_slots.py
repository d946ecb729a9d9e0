"""Slot blocks: memory and energy of one slot, against enumeration and an exact second program."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from formulations.caching import slots
from formulations.caching.blocks import Blocks, build
from mecopt.caching import CachingInstance, Pair
from mecopt.certificates.budget import Budget
from mecopt.certificates.caching.knapsack import cheapest


def instance(rng: np.random.Generator, pairs: int, number: int) -> CachingInstance:
    """Random sizes; two servers with different room."""
    made = [
        Pair(
            f"p{i}",
            memory_gb=float(rng.choice([6, 10, 22, 42])),
            energy_j=10.0 * rng.integers(0, 9),
            thoughts=1,
            accuracy=0.5,
            cloud_cost=1.0,
        )  # fmt: skip
        for i in range(pairs)
    ]
    return CachingInstance.from_pairs(
        rng.integers(0, 4, size=(2, pairs, number)),
        made,
        capacity_gb=rng.integers(10, 90, size=2),
        energy_budget_j=10.0 * rng.integers(3, 30, size=2),
    )


def solved(blocks: Blocks, cost: np.ndarray, picked: np.ndarray, price: np.ndarray) -> np.ndarray:
    """Values (N, T); `picked` and `price` are updated."""
    work = slots.slot_work(blocks)
    value = np.zeros((blocks.n_servers, blocks.n_slots))
    for n in range(blocks.n_servers):
        slots.price_slots(blocks, n, 0, blocks.n_slots, cost, price[n], picked, value[n], work)
    return value


def of_slot(blocks: Blocks, n: int, t: int, values: np.ndarray) -> list[np.ndarray]:
    """Values of every pair's choices in a slot."""
    places = (n * blocks.n_pairs + np.arange(blocks.n_pairs)) * blocks.n_slots + t
    return [values[blocks.first[i] : blocks.first[i + 1]] for i in places]


@pytest.mark.parametrize("seed", range(10))
def test_least_cost_of_a_slot_is_the_least_of_all_choices_that_fit(seed: int) -> None:
    """Also when the call before leaves its choices and prices behind, and costs have moved."""
    rng = np.random.default_rng(seed)
    blocks = build(instance(rng, 4, 3))
    cost = rng.normal(size=blocks.n_choices)
    picked = np.zeros(len(blocks.first) - 1, dtype=np.int64)
    price = np.zeros((2, 3))
    for _ in range(2):
        value = solved(blocks, cost, picked, price)
        for n, t in product(range(2), range(3)):
            own = slice(n * 4, n * 4 + 4)
            least = np.inf
            per_pair = of_slot(blocks, n, t, cost)
            for choice in product(*(range(len(c)) for c in per_pair)):
                at = np.array(choice)
                memory = blocks.memory[own] @ (at > 0)
                energy = blocks.energy[own] @ np.maximum(at - 1, 0)
                if memory <= blocks.memory_capacity[n] and energy <= blocks.energy_budget[n]:
                    total = sum(c[i] for c, i in zip(per_pair, choice, strict=True))
                    least = min(least, total)
            assert value[n, t] == pytest.approx(least, abs=1e-9)
            at = picked.reshape(8, 3)[own, t]
            assert blocks.memory[own] @ (at > 0) <= blocks.memory_capacity[n]
            assert sum(c[i] for c, i in zip(per_pair, at, strict=True)) == pytest.approx(least)
        cost = cost + rng.normal(scale=0.3, size=len(cost))


@pytest.mark.parametrize("levels", [slots.LEVELS, 7])
def test_integers_give_the_same_value(levels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """25 pairs, where enumeration ends: the search and the exact program of `mecopt verify` agree.

    With 7 memory levels the tables round, and the labels have to make up for it.
    """
    rng = np.random.default_rng(levels)
    blocks = build(instance(rng, 25, 4))
    unit = 2.0**20
    cost = np.rint(rng.normal(scale=1.5, size=blocks.n_choices) * unit)
    monkeypatch.setattr(slots, "LEVELS", levels)
    value = solved(blocks, cost, np.zeros(len(blocks.first) - 1, dtype=np.int64), np.zeros((2, 4)))
    for n, t in product(range(2), range(4)):
        pairs = [
            (int(blocks.memory[q]), int(blocks.energy[q]), [int(v) for v in costs])
            for q, costs in enumerate(of_slot(blocks, n, t, cost), start=0)
        ]
        memory, energy = int(blocks.memory_capacity[n]), int(blocks.energy_budget[n])
        exact = cheapest(pairs, memory, energy, Budget())
        assert value[n, t] == pytest.approx(exact, abs=1e-3)


def test_out_of_labels_the_bound_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that is too low keeps the Lagrangian a lower bound; the choices still fit."""
    rng = np.random.default_rng(3)
    blocks = build(instance(rng, 25, 2))
    cost = rng.normal(scale=1.5, size=blocks.n_choices)
    places = len(blocks.first) - 1
    exact = solved(blocks, cost, np.zeros(places, dtype=np.int64), np.zeros((2, 2)))
    work = slots.slot_work(blocks)
    short = work._replace(value=work.value[:2])
    picked, value = np.zeros(places, dtype=np.int64), np.zeros((2, 2))
    for n in range(2):
        slots.price_slots(blocks, n, 0, blocks.n_slots, cost, np.zeros(2), picked, value[n], short)
    assert (value <= exact + 1e-9).all()
    assert (value < exact - 1e-6).any()
