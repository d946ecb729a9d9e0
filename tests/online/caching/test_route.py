"""The online bound over T2DRL's generator: its law, its worlds, what it refuses."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest

from formulations.online.bound import OnlineBound, mean
from formulations.online.caching import control, online_bound
from formulations.online.caching.rule import PairValues, values_of
from formulations.online.caching.system import poisson, system_of
from mecopt.caching.policies.by_name import POLICIES
from mecopt.caching.rollout import rollout
from mecopt.caching.scenarios import t2drl

#: Short episodes of few agents at two servers whose memory is short.
SMALL = {"agents": 4, "servers": 2, "slots": 12, "capacity_gb": 14.0}


@functools.cache
def small(preset: str = "ten", seed: int = 3):
    return t2drl.generate(preset, seed, **SMALL)


def test_law_is_that_of_the_generator():
    """Mean of all rows: one request per agent, server and slot; and as the phases say."""
    system = system_of(small())
    assert system.expected_requests == pytest.approx(4 * 2 * 12, rel=1e-6)
    assert system.flip == pytest.approx(1 / 15)
    demand = t2drl.demand_of(small())
    rates = t2drl.true_rates(small())
    lull, burst = demand.factors
    high = np.isclose(rates, demand.mean[:, :, None] * burst)
    assert (high | np.isclose(rates, demand.mean[:, :, None] * lull)).all()
    assert high.any()
    assert (lull + burst) / 2 == pytest.approx(1.0)


def test_poisson_law_by_hand():
    """Rate 1: e^-1, e^-1, e^-1 / 2; what is cut is less than 1e-10, and nothing is too much."""
    law = poisson(np.array([[1.0, 1.0], [0.0, 4.0]]))
    np.testing.assert_allclose(law[0, 0, :3], np.exp(-1) * np.array([1, 1, 0.5]))
    assert law[1, 0, 0] == 1.0
    missing = 1 - law.sum(axis=2)
    assert ((missing > -1e-12) & (missing < 1e-10)).all()
    with pytest.raises(ValueError, match="are too many"):
        poisson(np.array([[1.0, 1e6]]))


def test_redrawn_changes_requests_only():
    """A shared link keeps its capacity; the same seed gives the same requests as `generate`."""
    x = small("backhaul")
    again = t2drl.redrawn(x, 5)
    assert (again.requests != x.requests).any()
    np.testing.assert_array_equal(again.coupling.capacity, x.coupling.capacity)
    assert again.blinded.content_hash == x.blinded.content_hash
    other = t2drl.generate("backhaul", 3, request_seed=5, **SMALL)
    np.testing.assert_array_equal(again.requests, other.requests)
    with pytest.raises(ValueError, match="seed"):
        t2drl.redrawn(x, -1)


@pytest.mark.parametrize("preset", ["ten", "backhaul"])
def test_no_rule_is_below_the_bound(preset):
    """40 draws of requests, luck taken off; worlds raise the bound of pairs alone."""
    x = small(preset)
    shared = online_bound(x, replicates=6, evaluations=20)
    alone = online_bound(x, method="pairs-alone", evaluations=20)
    assert alone.worlds == 0
    assert alone.lower_95_slots == alone.estimate_slots
    assert shared.estimate_slots > alone.estimate_slots
    values = values_of(x)
    for rule in ("rolling", "myopic", "pair-values"):
        policy = PairValues(values) if rule == "pair-values" else POLICIES.make(rule)
        left, luck = [], []
        for e in range(40):
            plan = rollout(t2drl.redrawn(x, e), policy)
            luck.append(control.luck_of(values, plan))
            left.append(plan.objective - luck[-1])
        error = np.std(left, ddof=1) / np.sqrt(40)
        assert np.mean(left) > shared.lower_95_slots - 2 * error
        assert np.std(left) < np.std(np.array(left) + luck)  # that is what luck is for
        assert abs(np.mean(luck)) < 4 * np.std(luck) / np.sqrt(40)


def test_file_and_back(tmp_path):
    """The unit is kept; a file from before there were units counts slots."""
    found = online_bound(small(), replicates=2, evaluations=3)
    found.save(tmp_path / "bound.json")
    again = OnlineBound.load(tmp_path / "bound.json")
    assert again.content_hash == found.content_hash
    assert again.unit == "cost"
    assert again.provenance["preset"] == "ten"
    slots = replace(found, unit="slots")
    assert slots.content_hash != found.content_hash
    document = slots.to_document()
    del document["unit"]
    assert OnlineBound.from_document(document).unit == "slots"
    with pytest.raises(ValueError, match="unit differs"):
        mean([found, slots])
    with pytest.raises(ValueError, match="unit: unknown 'euro'"):
        replace(found, unit="euro")


@pytest.mark.parametrize(
    ("instance", "given", "said"),
    [
        (lambda: small("forwarding"), {}, "serve each other's requests"),
        (lambda: replace(small(), meta={}), {}, "has no known rates"),
        (small, {"seed": -1}, "seed = -1"),
        (small, {"replicates": 1}, "replicates = 1"),
    ],
)
def test_bad_input(instance, given, said):
    with pytest.raises(ValueError, match=said):
        online_bound(instance(), **given)


def test_the_rule_of_the_tables_has_a_name():
    """`pair-values` as a scorecard makes it, with arguments that it does not need."""
    rule = POLICIES.make("pair-values", preset="ten", seed=0)
    assert rule.name == "pair-values"
