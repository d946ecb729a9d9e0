"""GOA is the written loop; local search never loses; the other rules do what they say."""

import numpy as np
import pytest

from mecopt.accuracy_delay import replay, rollout
from mecopt.accuracy_delay.policies import by_name
from mecopt.accuracy_delay.policies.simple import Threshold
from mecopt.accuracy_delay.scenarios import goa
from tests.accuracy_delay.test_instance import two_users


def literal_goa(x):
    """Algorithm 1 as it is written: N rounds, every pair, the total delay worked out each time."""
    choice = np.full(x.n_users, -1)

    def total_delay(decision):
        away = decision >= 0
        count = np.bincount(decision[away], minlength=x.n_servers)
        total = int(x.local_ns[~away].sum())
        for i in np.flatnonzero(away):
            j = decision[i]
            total += int(x.queue_ns[j]) + int(count[j]) * int(x.linear_ns[i, j])
        return total

    for _ in range(x.n_users):
        now = total_delay(choice)
        best, pair = 0, None
        for i in np.flatnonzero(choice < 0):
            for j in range(x.n_servers):
                if (choice == j).sum() >= x.room[j] or not x.reachable[i, j]:
                    continue
                trial = choice.copy()
                trial[i] = j
                gap = int(x.worth_ns[i]) - (total_delay(trial) - now)
                if gap > best:
                    best, pair = gap, (i, j)
        if pair is None:
            break
        choice[pair[0]] = pair[1]
    return choice


@pytest.mark.parametrize("seed", range(40))
def test_goa_is_the_written_loop(seed):
    """Identical decisions on snapshots of all loads, with and without room, some out of reach."""
    rng = np.random.default_rng(seed)
    x = goa.generate(
        int(rng.integers(1, 16)),
        seed,
        servers=int(rng.integers(1, 5)),
        room=int(rng.integers(1, 9)),
        kappa_s=float(rng.choice([0.0, 2.0, 8.0])),
    )
    assert by_name.make("goa").act(x).tolist() == literal_goa(x).tolist()


def test_ties_go_to_the_first_user_and_server():
    """Two equal users, two equal servers, room for one each: user 0 to 0, then user 1 to 1."""
    x = two_users(
        servers=("e", "f"),
        bits=np.array([1e6, 1e6]),
        rate_bps=np.full((2, 2), 1e6),
        speed=np.array([60.0, 60.0]),
        queue_s=np.zeros(2),
        room=np.array([1, 1]),
        accuracy_edge=np.array([0.9, 0.9]),
        uncertainty=np.array([0.5, 0.5]),
    )
    assert by_name.make("goa").act(x).tolist() == [0, 1]


@pytest.mark.parametrize("shares", ["equal", "optimal"])
def test_local_search_never_loses(shares):
    """On 20 snapshots it costs at most what GOA costs, and less on some."""
    better = 0
    for seed in range(20):
        x = goa.generate(20, seed, shares=shares)
        greedy = rollout(x, by_name.make("goa")).objective
        found = rollout(x, by_name.make("goa-local-search")).objective
        assert found <= greedy
        better += found < greedy
    assert better > 0


def test_an_accuracy_is_reached_where_it_can_be():
    """GOA raises kappa until its decision is accurate enough."""
    x = goa.generate(20, 0, least_accuracy=0.8, kappa_s=0.0)
    for name in ("goa", "goa-local-search"):
        found = rollout(x, by_name.make(name))
        assert found.expected_accuracy >= 0.8
        assert np.isfinite(found.objective)
    assert rollout(x, by_name.make("delay-greedy")).objective == np.inf


def test_simple_rules():
    """b (0.75) is above the threshold; its link is the slower one but the only one there is."""
    x = two_users()
    assert by_name.make("all-local").act(x).tolist() == [-1, -1]
    assert by_name.make("nearest").act(x).tolist() == [0, 0]
    assert Threshold(0.5).act(x).tolist() == [-1, 0]
    with pytest.raises(ValueError, match="threshold = 2 must be between 0 and 1"):
        Threshold(2)


def test_least_loaded_levels():
    """Ten users over three servers in reach of all: nobody has two more than another."""
    x = goa.generate(10, 0)
    count = replay(x, by_name.make("least-loaded").act(x)).count
    assert count.max() - count.min() <= 1
