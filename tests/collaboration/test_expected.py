"""The bound for rules that know rates only: exact values of tiny cases stay below it."""

from itertools import product

import numpy as np
import pytest

import mecopt
from mecopt.bench.collaboration.bounds import rates_only
from mecopt.collaboration.episode import Tasks, World, instance_of
from mecopt.collaboration.expected import expected, worth
from mecopt.collaboration.failures import down_intervals, uninterrupted
from mecopt.collaboration.policies.by_name import RULES, rule
from mecopt.collaboration.scenarios import ledrl
from mecopt.offloading.replay import rollout
from tests.collaboration.hand_made import alone, line, made
from tests.support.tiny import brute_force


def test_worth_by_hand():
    """a > b > c: transfers of 0.5 s at rate 0.2, an execution of 1 s at rate 0.1, no node fails."""
    x = made(line(0.1, 0.2), [(0.0, 0, 5.0, 4.0)], 9.0)
    assert worth(x)[2] == pytest.approx(np.exp(-0.2 * 0.5) ** 2 * np.exp(-0.1))


@pytest.mark.parametrize(("failure", "repair"), [(0.3, 0.7), (0.5, 0.5), (0.9, 0.2), (0.0, 0.4)])
def test_uninterrupted_against_drawn_nodes(failure: float, repair: float):
    """Up for 2 s, among those that are not down and up again by then."""
    t, rng = 2.0, np.random.default_rng(0)
    fails = rng.exponential(size=40_000) / max(failure, 1e-12)
    again = fails + rng.exponential(size=40_000) / repair
    counted = ~((fails < t) & (again < t))
    drawn = (fails[counted] >= t).mean()
    assert uninterrupted(t, failure, repair) == pytest.approx(drawn, abs=0.012)


def up_after(t: float, failure: float, repair: float) -> float:
    """P(up at t | up at 0)."""
    share = repair / (failure + repair)
    return share + (1 - share) * np.exp(-(failure + repair) * t)


@pytest.mark.parametrize("failure", [0.05, 0.4, 1.5])
@pytest.mark.parametrize("repair", [0.2, 3.0, 20.0])
def test_a_failure_frees_a_place(failure: float, repair: float):
    """Two tasks of 2 s, released at 0 and 1 s, each due 2 s later, one place.

    Without failures only one of the two can be on time, so exp(-2 x failure) would be no bound: the
    second is also on time if the node fails and is repaired by 1 s. Exact value of the best rule
    that starts with the node up, by dynamic programming over what it sees at 1 s:
    run the first (on time with p = exp(-2 failure)), then the second if the node failed in between
    and is up, which adds p x (P(up at 1) - exp(-failure)). Running the second alone is worth less.
    """
    x = made(alone(failure, repair), [(0.0, 0, 1.0, 2.0), (1.0, 0, 1.0, 2.0)], 2.0)
    p = np.exp(-2.0 * failure)
    best = p + p * (up_after(1.0, failure, repair) - np.exp(-failure))
    assert best > p
    bound = x.n_tasks * rates_only(x, gap=0.0).bound
    assert bound >= best - 1e-9
    assert bound == pytest.approx(float(uninterrupted(2.0, failure, repair)), abs=1e-6)


def exact_queue(release, cycles, deadline: float, failure: float, damage: float) -> float:
    """Best expected number on time at one node that is not repaired, by dynamic programming.

    A rule decides at each release, knowing the tasks to come; the state is when the node is free
    of work, and whether it is up.
    """

    def value(k: int, free: float) -> float:
        """Of tasks k, k + 1, ... given that the node is up when k is released."""
        if k == len(release):
            return 0.0
        to_next = release[k + 1] - release[k] if k + 1 < len(release) else 0.0
        stays = np.exp(-failure * to_next)
        dropped = stays * value(k + 1, free)
        end = max(free, release[k]) + cycles[k]
        taken = stays * value(k + 1, end)
        if end <= release[k] + deadline:
            taken += np.exp(-failure * (end - release[k])) * np.exp(-damage * cycles[k])
        return max(dropped, taken)

    return value(0, 0.0)


def test_exact_dynamic_programming_stays_below_the_bound():
    """Random queues at one node that fails and (almost) never comes back."""
    loosest = 1.0
    for seed in range(25):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(1, 6))
        release = np.sort(rng.integers(0, 8, n) * 0.5)
        cycles = rng.integers(1, 6, n) * 0.5
        failure, damage = float(rng.choice([0.0, 0.05, 0.3])), float(rng.choice([0.0, 0.2]))
        rows = [(r, 0, 1.0, c) for r, c in zip(release, cycles, strict=True)]
        x = made(alone(failure, 1e-9, damage), rows, 3.0)
        best = exact_queue(release.tolist(), cycles.tolist(), 3.0, failure, damage)
        cost, _ = brute_force(expected(x))
        bound = x.n_tasks * rates_only(x, gap=0.0).bound
        assert bound >= -cost - 1e-9 >= best - 2e-9
        if failure == 0.0:  # then nothing is lost by looking at rates alone
            assert -cost == pytest.approx(best, abs=1e-6)
        loosest = min(loosest, best / bound)
    assert loosest > 0.3


def test_no_choice_beats_the_bound_on_average():
    """Every fixed decision of three tasks on the line, over 150 drawn worlds."""
    network = line(0.2, 0.1, 0.3)
    release, origin = np.array([0.0, 0.2, 0.4]), np.array([0, 1, 0])
    tasks = Tasks(release, origin, np.full(3, 4.0), np.array([3.0, 4.0, 2.0]), 4.0)
    rng = np.random.default_rng(0)
    worlds = [
        World(
            [down_intervals(rng, 0.3, 0.5, 5.0) for _ in network.nodes],
            rng.exponential(size=(3, 7)),
        )
        for _ in range(150)
    ]
    drawn = [instance_of(network, tasks, world, 2, {}) for world in worlds]
    bound = 3 * rates_only(drawn[0], gap=0.0).bound
    counts = np.diff(drawn[0].option_ptr)
    means = {
        choice: -np.mean([mecopt.replay(x, np.array(choice)).objective for x in drawn])
        for choice in product(*(range(-1, n) for n in counts))
    }
    assert 0.5 * bound < max(means.values()) < bound


@pytest.fixture(scope="module")
def futures():
    """Six futures of one small network, tasks and failures drawn anew, and their bounds."""
    drawn = [ledrl.generate("paper", 0, task_seed=s, nodes=4, slots=16) for s in range(6)]
    bounds = [rates_only(x, time_limit=0.5).bound for x in drawn]
    return drawn, float(np.mean(bounds))


@pytest.mark.parametrize("name", sorted(RULES))
def test_rules_stay_below_the_bound_on_average(name: str, futures):
    drawn, bound = futures
    on_time = [-rollout(x, rule(name)).objective / x.n_tasks for x in drawn]
    assert 0.0 < np.mean(on_time) < bound < 1.0


def test_only_the_prices_of_a_tree_count():
    """A solve that ends in a tree may be tighter: its leaves are replays, and do not count here."""
    x = ledrl.generate("paper", 9, nodes=3, slots=6, places=1)
    solved = mecopt.solve(expected(x), gap=0.0)
    found = rates_only(x, gap=0.0)
    assert solved.proof.root.parts
    assert found.planned - 1e-9 <= -solved.bound / x.n_tasks < found.bound
