"""Caching rules: what each does on instances one can follow by hand, and that none sees ahead."""

from functools import cache
from itertools import product

import numpy as np
import pytest

from mecopt.caching import CachingInstance, Forwarding, Pair, replay, rollout
from mecopt.caching.policies import by_name as policies
from mecopt.caching.policies.evicting import Evicting
from mecopt.caching.policies.forecast import Ewma, Given
from mecopt.caching.policies.kernels.knapsack import choose
from mecopt.caching.policies.rolling import Rolling
from mecopt.caching.policies.simple import Myopic
from mecopt.caching.scenarios import t2drl as caching
from tests.support.tiny_caching import KINDS, brute_force, tiny_instance


def pair(name, memory_gb=4, **changes):
    """Warm at once (thoughts up to kappa_max), so that serving costs 0.1 and the cloud 1."""
    given = {
        "energy_j": 10,
        "thoughts": 5,
        "accuracy": 1.0,
        "cloud_cost": 1.0,
        "kappa_max": 5,
        "edge_cost": 0.1,
        "switch_cost": 0.5,
    }
    return Pair(name, memory_gb, **{**given, **changes})


def instance(requests, pairs, *, capacity_gb=8, budget_j=1000, **changes):
    """One server; requests (P, T)."""
    return CachingInstance.from_pairs(
        np.array([requests]),
        pairs,
        capacity_gb=[capacity_gb],
        energy_budget_j=[budget_j],
        **changes,
    )


# ------------------------------------------------------------------ textbook caches
def resident(plan):
    """Names of what is resident, slot by slot."""
    names = plan.instance.pair_names
    return ["".join(n for n, here in zip(names, row, strict=True) if here) for row in plan.a[0].T]


THREE = [pair("a"), pair("b"), pair("c")]


def test_fifo_evicts_what_was_loaded_first():
    """Room for two. a, b, then c: a goes although it was asked for in between."""
    x = instance([[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], THREE)
    assert resident(rollout(x, Evicting("fifo"))) == ["a", "ab", "ab", "bc"]


def test_lfu_evicts_what_was_asked_for_least_and_admits_only_in_place_of_less():
    """a twice, b once, c once: c is not asked for more than b, then it is."""
    x = instance([[1, 0, 1, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 1, 1]], THREE)
    assert resident(rollout(x, Evicting("lfu"))) == ["a", "ab", "ab", "ab", "ac"]


def test_least_age_evicts_the_coldest_context():
    """One thought vanishes a slot: at slot 3 a has 5 - 1 and b has 5 - 1 - 1 thoughts."""
    x = instance([[1, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]], THREE)
    plan = rollout(x, Evicting("least-age"))
    assert plan.kappa[0, :2, 2].tolist() == [5, 2] and resident(plan)[-1] == "ac"


def test_literal_caches_serve_cold_and_sensible_ones_do_not():
    """One thought a request, two vanish: kappa stays 0, an answer costs 2.5 x 0.5 / 0.05 = 25."""
    cold = pair("a", thoughts=1, vanish=2, accuracy=0.5)
    x = instance([[1, 1]], [cold])
    assert rollout(x, Evicting("fifo")).cost_split["accuracy"] == 50.0
    sensible = rollout(x, Evicting("fifo", sensible=True))
    assert sensible.edge_share == 0.0 and sensible.cost_split["switching"] == 0.0


def test_energy_limits_what_a_cache_serves():
    """Three requests of 10 J, 20 J a slot."""
    plan = rollout(instance([[3]], [pair("a")], budget_j=20), Evicting("fifo"))
    assert plan.x[0, 0, 0] == 2


def test_a_pair_larger_than_the_server_stays_in_the_cloud():
    x = instance([[1, 2]], [pair("a", memory_gb=9)])
    for name in policies.NAMES:
        if name != "rolling-rates":
            assert rollout(x, policies.make(name)).edge_share == 0.0, name


# ------------------------------------------------------------------ myopic
@pytest.mark.parametrize("seed", range(60))
def test_knapsack_finds_what_enumeration_finds(seed):
    """Gains, memory and energy at random; one item per pair or none."""
    rng = np.random.default_rng([1, seed])
    pairs = int(rng.integers(1, 6))
    count = rng.integers(0, 4, size=pairs)
    first = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    gain = rng.uniform(0.1, 5.0, size=first[-1])
    served = np.concatenate([np.sort(rng.integers(0, 5, size=n)) for n in count]).astype(np.int64)
    memory, energy = rng.integers(1, 9, size=pairs), rng.integers(0, 5, size=pairs)
    capacity, budget = int(rng.integers(0, 20)), int(rng.integers(0, 15))
    best = 0.0
    for pick in product(*(range(-1, n) for n in count)):
        items = [(p, first[p] + j) for p, j in enumerate(pick) if j >= 0]
        if sum(memory[p] for p, _ in items) <= capacity and (
            sum(energy[p] * served[j] for p, j in items) <= budget
        ):
            best = max(best, sum(gain[j] for _, j in items))
    chosen = np.empty(pairs, dtype=np.int64)
    prices = np.zeros(2)
    found = choose(first, gain, served, memory, energy, capacity, budget, prices, chosen)
    assert found == pytest.approx(best, abs=1e-12)
    taken = [(p, j) for p, j in enumerate(chosen) if j >= 0]
    assert all(first[p] <= j < first[p + 1] for p, j in taken)
    assert sum(memory[p] for p, _ in taken) <= capacity
    assert sum(energy[p] * served[j] for p, j in taken) <= budget


@pytest.mark.parametrize("kind", ["one server", "two servers"])
def test_myopic_is_optimal_when_there_is_one_slot(kind):
    """With a single slot nothing lies ahead."""
    from dataclasses import replace

    for seed in range(40):
        x = tiny_instance(seed, **KINDS[kind])
        x = replace(x, requests=x.requests[:, :, :1])
        found, best = rollout(x, Myopic()).objective, brute_force(x).objective
        assert found == pytest.approx(best, abs=1e-9)


def test_myopic_keeps_the_context_with_more_thoughts():
    """Both idle in slot 1, room for one beside c: a has more thoughts and stays."""
    a, b = pair("a", kappa_max=9, vanish=0), pair("b", thoughts=2, kappa_max=9, vanish=0)
    x = instance([[1, 0], [1, 0], [0, 3]], [a, b, pair("c")])
    assert resident(rollout(x, Myopic())) == ["ab", "ac"]


# ------------------------------------------------------------------ looking ahead
def test_rolling_loads_what_pays_off_later():
    """A load costs 2, a request saves 0.9: not worth it now, but a request comes every slot."""
    x = instance([[1] * 10], [pair("a", switch_cost=2.0)])
    assert rollout(x, Myopic()).edge_share == 0.0
    plan = rollout(x, Rolling(Given(np.ones((1, 1, 10)))))
    assert plan.edge_share == 1.0


def test_rolling_does_not_swap_for_a_single_slot():
    """Room for one. b is asked for twice a slot, a three times in slot 2 only.

    Slot 2: swapping costs 0.5 + 3 x 0.1 + 2 = 2.8, keeping b costs 2 x 0.1 + 3 = 3.2, but b must be
    loaded again for 0.5.
    """
    x = instance([[0, 0, 3] + [0] * 7, [2] * 10], [pair("a"), pair("b")], capacity_gb=4)
    assert resident(rollout(x, Myopic()))[:4] == ["b", "b", "a", "b"]
    rates = np.zeros((1, 2, 10))
    rates[0, 1] = 2.0
    assert resident(rollout(x, Rolling(Given(rates))))[:4] == ["b"] * 4


def test_servers_next_door_do_not_keep_the_same_pair_twice():
    """Two cells, room for one pair each, both ask for both: together they hold a and b."""
    x = CachingInstance.from_pairs(
        np.ones((2, 2, 10), dtype=int),
        [pair("a"), pair("b")],
        capacity_gb=[4, 4],
        energy_budget_j=[1000, 1000],
        coupling=Forwarding([0.05, 0.05]),
    )
    plan = rollout(x, Rolling(Given(np.ones((2, 2, 10)))))
    assert plan.a[:, :, -2].sum(axis=0).tolist() == [1, 1]
    assert plan.edge_share > 0.9


def test_forecast_averages_fade_into_the_long_run():
    """rate after h slots = slow + (fast - slow) fade^h."""
    forecast = Ewma(weight=0.5, fade=0.5, prior_slots=1.0)
    forecast.reset(instance([[2, 0]], [pair("a")]))
    for requests in ([[2]], [[0]]):
        forecast.see(np.array(requests))
    # Started from the mean over pairs of the first slot, 2: fast 2, 2, 1; slow (2 + 2 + 0) / 3.
    slow = 4 / 3
    expected = [slow + (1 - slow) * 0.5, slow + (1 - slow) * 0.25]
    assert forecast.rates(1, 2)[0, 0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        (np.ones((1, 1, 9)), r"forecast must have shape \(1, 1, 10\), has \(1, 1, 9\)"),
        (np.full((1, 1, 10), -1.0), r"forecast\[0, 0, 0\] = -1.0 is negative"),
        (np.full((1, 1, 10), np.nan), r"forecast\[0, 0, 0\] = nan is not a finite number"),
    ],
)
def test_forecasts_of_the_wrong_length_or_kind_are_refused(rates, message):
    x = instance([[1] * 10], [pair("a")])
    with pytest.raises(ValueError, match=message):
        rollout(x, Rolling(Given(rates)))


def test_a_horizon_of_nothing_is_refused():
    with pytest.raises(ValueError, match="horizon = 0 must be at least 1"):
        Rolling(horizon=0)


def test_true_rates_are_known_only_where_they_are():
    with pytest.raises(ValueError, match="has no known rates"):
        rollout(instance([[1]], [pair("a")]), policies.make("rolling-rates"))


def test_lookahead_beats_myopia_where_contexts_are_sticky():
    """Sticky episodes: loads cost five times as much as in `base`, so the future decides."""
    cost = {
        name: sum(
            rollout(
                caching.generate("sticky", s, slots=50, servers=1), policies.make(name)
            ).objective
            for s in range(5)
        )
        for name in ("myopic", "rolling", "rolling-rates", "priced")
    }
    assert cost["rolling-rates"] < cost["rolling"] < cost["myopic"]
    assert cost["priced"] < cost["myopic"]


# ------------------------------------------------------------------ every policy
@cache
def optimum(kind, seed):
    return brute_force(tiny_instance(seed, **KINDS[kind])).objective


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [n for n in policies.NAMES if n != "rolling-rates"])
def test_no_policy_beats_brute_force_and_every_plan_is_feasible(name, kind):
    for seed in range(15):
        x = tiny_instance(seed, **KINDS[kind])
        plan = rollout(x, policies.make(name))
        assert plan.objective >= optimum(kind, seed) - 1e-9
        assert replay(x, plan.a, plan.flow).objective == plan.objective


@pytest.mark.parametrize("preset", ["ten", "backhaul", "forwarding"])
@pytest.mark.parametrize("name", policies.NAMES)
def test_no_policy_sees_the_future(name, preset):
    """Other requests from slot 10 on change nothing before it."""
    from dataclasses import replace

    x = caching.generate(preset, 3, slots=20, agents=5, servers=2)
    other = x.requests.copy()
    other[:, :, 10:] = np.random.default_rng(0).poisson(1.0, size=other[:, :, 10:].shape)
    y = replace(x, requests=other)
    one, two = (rollout(z, policies.make(name)) for z in (x, y))
    assert np.array_equal(one.a[:, :, :10], two.a[:, :, :10])
    assert np.array_equal(one.flow[..., :10], two.flow[..., :10])


def test_policies_get_the_instance_without_its_requests():
    seen = []

    class Curious:
        name = "curious"

        def reset(self, instance):
            seen.append(instance)

        def act(self, observation):
            seen.append(observation.instance)
            return np.zeros((1, 1), dtype=bool), np.zeros((1, 1), dtype=int)

    rollout(instance([[1, 2]], [pair("a")]), Curious())
    assert all(x.requests.sum() == 0 for x in seen) and len(seen) == 3


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((np.ones((1, 2)) > 0, np.zeros((1, 1), dtype=int)), r"slot 0: a must have shape \(1, 1\)"),
        ((np.ones((1, 1)) > 0, np.zeros((1, 1))), "slot 0: x must hold whole numbers"),
        ((np.ones((1, 1)) > 0, np.ones((2, 1), dtype=int)), r"slot 0: x has shape \(2, 1\)"),
        ((np.zeros((1, 1)) > 0, np.ones((1, 1), dtype=int)), "served by a pair that is not"),
    ],
)
def test_malformed_answers_name_the_policy(answer, message):
    class Wrong:
        name = "wrong"

        def reset(self, instance):
            pass

        def act(self, observation):
            return answer

    with pytest.raises(ValueError, match=rf"policy 'wrong': .*{message}"):
        rollout(instance([[1]], [pair("a")]), Wrong())


def test_equal_instances_give_equal_plans():
    x = caching.generate("ten", 1, slots=30)
    for name in policies.NAMES:
        policy = policies.make(name)
        assert rollout(x, policy).objective == rollout(x, policy).objective, name


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="policy: unknown name 'lru', one of cloud, fifo"):
        policies.make("lru")
    with pytest.raises(ValueError, match="rule: unknown 'lru', one of fifo"):
        Evicting("lru")
