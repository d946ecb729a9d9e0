"""The feasibility layer: whatever the scores, the decision fits memory and energy."""

import numpy as np
import pytest

from learning.caching import feasibility


def layer(score, share, requests, memory, capacity, energy, budget, advantage):
    """The layer: residents by score, requests by share, then the energy."""
    a = np.zeros(len(score), bool)
    feasibility.keep(score, memory, capacity, a)
    x = np.array([feasibility.wanted_requests(*pair) for pair in zip(share, requests, strict=True)])
    x *= a
    feasibility.trim(x, advantage, energy, budget)
    return a, x


def random_server(seed):
    """Scores, shares and a server of 1 to 12 pairs, some of them larger than the server."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 13))
    return {
        "score": rng.normal(size=n),
        "share": rng.normal(0.5, 1.0, size=n),
        "requests": rng.integers(0, 9, size=n),
        "memory": rng.integers(0, 60, size=n),
        "capacity": int(rng.integers(0, 100)),
        "energy": rng.integers(0, 30, size=n),
        "budget": int(rng.integers(0, 200)),
        "advantage": rng.normal(size=n),
    }


def test_keeps_by_score_per_gb_then_trims_by_advantage_per_joule():
    """Three pairs of 40, 30, 20 in 60: densities 4/40 = 0.10, 6/30 = 0.20, 3/20 = 0.15.

    Pair 1 (30) and pair 2 (20) fit, pair 0 does not. They serve 4 and 2 requests at 10 and 5 units
    of energy, 50 in all; 33 are allowed. Advantage per unit: 1/10 = 0.1 and 2/5 = 0.4, so pair 1
    gives up ceil(17 / 10) = 2 requests.
    """
    a, x = layer(
        score=np.array([4.0, 6.0, 3.0]),
        share=np.array([1.0, 1.0, 0.5]),
        requests=np.array([5, 4, 4]),
        memory=np.array([40, 30, 20]),
        capacity=60,
        energy=np.array([10, 10, 5]),
        budget=33,
        advantage=np.array([1.0, 1.0, 2.0]),
    )
    assert a.tolist() == [False, True, True]
    assert x.tolist() == [0, 2, 2]


def test_a_pair_too_large_is_passed_over():
    """The densest pair (50 of 40) cannot fit; the next ones still get their place."""
    a = np.zeros(3, bool)
    feasibility.keep(np.array([90.0, 2.0, 1.0]), np.array([50, 30, 10]), 40, a)
    assert a.tolist() == [False, True, True]


def test_what_is_not_wanted_is_not_kept():
    """Scores at or below zero leave the server empty even where there is room."""
    a = np.ones(2, bool)
    feasibility.keep(np.array([0.0, -1.0]), np.array([1, 1]), 100, a)
    assert not a.any()


@pytest.mark.parametrize("block", range(10))
def test_always_feasible(block):
    """Random scores, shares and servers, 200 a block: memory, energy and residency hold."""
    for seed in range(200 * block, 200 * block + 200):
        s = random_server(seed)
        a, x = layer(**s)
        assert s["memory"] @ a <= s["capacity"]
        assert s["energy"] @ x <= s["budget"]
        assert (x >= 0).all() and (x <= s["requests"] * a).all()


def test_an_action_that_fits_is_left_alone():
    """Where everything wanted fits, the layer changes nothing."""
    for seed in range(100):
        s = random_server(seed) | {"capacity": 10_000, "budget": 10_000}
        a, x = layer(**s)
        wanted = np.floor(np.clip(s["share"], 0, 1) * s["requests"] + 0.5) * (s["score"] > 0)
        assert (a == (s["score"] > 0)).all()
        assert (x == wanted).all()


def test_trimming_takes_no_more_than_needed():
    """One request more of the pair trimmed last would not fit."""
    for seed in range(300):
        s = random_server(seed) | {"capacity": 10_000}
        a, x = layer(**s)
        wanted = layer(**(s | {"budget": 10**6}))[1]
        cut = np.flatnonzero(x < wanted)
        if len(cut):
            last = cut[np.argmax((s["advantage"] / s["energy"].clip(1))[cut])]
            assert s["energy"] @ x + s["energy"][last] > s["budget"]


@pytest.mark.parametrize("block", range(3))
def test_without_the_layer_actions_are_cut_in_listed_order(block):
    """The ablation's replacement is feasible too, and says how far the action was from it."""
    for seed in range(200 * block, 200 * block + 200):
        s = random_server(seed)
        a, x = np.zeros(len(s["score"]), bool), np.zeros(len(s["score"]), np.int64)
        advantage = s.pop("advantage")
        excess = feasibility.clipped(**s, a=a, x=x)
        assert s["memory"] @ a <= s["capacity"]
        assert s["energy"] @ x <= s["budget"]
        assert (x >= 0).all() and (x <= s["requests"] * a).all()
        wanted, n = layer(**(s | {"capacity": 10**6, "budget": 10**6}), advantage=advantage)
        fits = s["memory"] @ wanted <= s["capacity"] and s["energy"] @ n <= s["budget"]
        assert (excess == 0) == fits
        if fits:
            assert (a == wanted).all() and (x == n).all()
