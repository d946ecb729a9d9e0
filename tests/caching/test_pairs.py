"""Pair blocks: the cheapest plan of one pair, against enumeration and by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from formulations.caching.blocks import Blocks, build, choice_places
from formulations.caching.pairs import marginals, price_pair, read_plan
from formulations.caching.windows import plan_cost
from mecopt.caching import CachingInstance, Pair
from tests.support.tiny_caching import tiny_instance


def cheapest(blocks: Blocks, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values and choices of all pairs."""
    value = np.zeros(len(blocks.switching))
    picked = np.zeros(len(blocks.first) - 1, dtype=np.int64)
    table = np.zeros((blocks.n_slots + 1, blocks.accuracy.shape[1]))
    off = np.zeros(blocks.n_slots + 1)
    for q in range(len(value)):
        value[q] = price_pair(blocks, q, weight, table, off)
        read_plan(blocks, q, weight, table, off, picked)
    return value, picked


def plans(blocks: Blocks, q: int) -> list[tuple[np.ndarray, float]]:
    """Every plan of a pair (choices of all pairs, the others off), and its cost."""
    slots = blocks.n_slots
    count = np.diff(blocks.first)[q * slots : (q + 1) * slots]
    out = []
    for choices in product(*(range(c) for c in count)):
        picked = np.zeros(len(blocks.first) - 1, dtype=np.int64)
        picked[q * slots : (q + 1) * slots] = choices
        out.append((picked, plan_cost(blocks, picked, q, 0, slots, 0, False)[0]))
    return out


def test_a_request_is_served_ahead_of_time_to_warm_the_context() -> None:
    """Serving at age 0 costs more than the cloud, but it makes the next slot cheap.

    Slot 0 cold: kappa = 0 + 2 x 1 - 1 = 1, accuracy 1 / (1 x 0.5) = 2, against 1.5 in the cloud.
    Slot 1: two requests at kappa = 1 + 4 - 1 = 4 (kappa_max): 2 x 1 / (4 x 0.5) = 1, cloud 3.
    With slot 0 unserved, slot 1 has kappa = 3 and costs 2 / 1.5 = 1.333.
    Serving both: 2 + 1 = 3; serving slot 1 alone: 1.5 + 1.333 = 2.833, which is best.
    """
    x = CachingInstance.from_pairs(
        [[[1, 2]]],
        [
            Pair(
                "p",
                memory_gb=1,
                energy_j=10,
                thoughts=2,
                accuracy=0.5,
                cloud_cost=1.5,
                vanish=1,
                kappa_max=4,
                beta=float(np.exp(-0.5)),
            )  # fmt: skip
        ],
        capacity_gb=[1],
        energy_budget_j=[100],
        accuracy_weight=2.0,
    )
    blocks = build(x)
    value, picked = cheapest(blocks, blocks.cost)
    assert value[0] == pytest.approx(1.5 + 4 / 3, abs=1e-6)
    assert picked[1] == 3  # resident, two served


@pytest.mark.parametrize("seed", range(15))
def test_cheapest_plan_is_the_least_of_all_plans(seed: int) -> None:
    """Under random prices the program finds the least priced cost over every path of choices."""
    blocks = build(tiny_instance(seed))
    prices = np.random.default_rng(seed).normal(scale=0.7, size=blocks.n_choices)
    value, picked = cheapest(blocks, blocks.cost + prices)
    slots = blocks.n_slots
    for q in range(len(value)):
        own = slice(q * slots, (q + 1) * slots)
        every = [
            cost + prices[blocks.first[own.start : own.stop] + choices[own]].sum()
            for choices, cost in plans(blocks, q)
        ]
        assert value[q] == pytest.approx(min(every), abs=1e-9)
        read = picked.copy()
        paid = plan_cost(blocks, read, q, 0, slots, 0, False)[0]
        assert paid + prices[blocks.first[:-1][own] + picked[own]].sum() == pytest.approx(value[q])


@pytest.mark.parametrize("seed", range(8))
def test_marginals_are_the_least_cost_through_each_choice(seed: int) -> None:
    """What a choice costs at least, over all plans that make it."""
    blocks = build(tiny_instance(seed))
    slots, states = blocks.n_slots, blocks.accuracy.shape[1]
    least = np.zeros(blocks.n_choices)
    table, off = np.zeros((slots + 1, states)), np.zeros(slots + 1)
    place, served = choice_places(blocks)
    for q in range(len(blocks.switching)):
        marginals(blocks, q, blocks.cost, table, off, np.zeros((2, states + 1)), least)
        every = plans(blocks, q)
        for c in np.flatnonzero(place // slots == q):
            through = [cost for picked, cost in every if picked[place[c]] == served[c] + 1]
            assert least[c] == pytest.approx(min(through), abs=1e-9)


def test_a_pair_larger_than_its_server_is_off() -> None:
    """Such a pair has one choice per slot."""
    x = CachingInstance.from_pairs(
        [[[3, 3]]],
        [Pair("p", memory_gb=5, energy_j=10, thoughts=1, accuracy=0.5, cloud_cost=1.0)],
        capacity_gb=[4],
        energy_budget_j=[100],
    )
    blocks = build(x)
    assert blocks.n_choices == 2
    value, picked = cheapest(blocks, blocks.cost)
    assert value[0] == pytest.approx(6.0)
    assert not picked.any()


def test_no_choice_serves_more_than_the_energy_of_a_slot() -> None:
    """Budget 50 J at 20 J a request: at most two of the seven requests."""
    x = CachingInstance.from_pairs(
        [[[7]]],
        [Pair("p", memory_gb=1, energy_j=20, thoughts=1, accuracy=0.5, cloud_cost=1.0)],
        capacity_gb=[4],
        energy_budget_j=[50],
    )
    assert build(x).n_choices == 1 + 3
