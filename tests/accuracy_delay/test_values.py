"""Any prices bound every decision of a region; the parts of a split hold all of it."""

import numpy as np
import pytest

from mecopt.certificates.accuracy_delay.proof import Branch
from mecopt.certificates.accuracy_delay.values import Prices, Snapshot, everything
from tests.support.tiny_snapshots import decisions, tiny_snapshot


def holds(region, x, found):
    """Whether a decision lies in a region."""
    choice = found.choice
    at = {(int(i), int(choice[i])) for i in np.flatnonzero(choice >= 0)}
    totals = [int(x.root[choice == j, j].sum()) for j in range(x.n_servers)]
    return (
        region.fewest <= len(at) <= region.utmost
        and all(a <= n <= b for a, n, b in zip(region.least, found.count, region.most, strict=True))
        and all(a <= t <= b for a, t, b in zip(region.low, totals, region.high, strict=True))
        and region.settled <= at
        and not region.barred & at
    )


def random_branch(x, rng):
    """A split of any kind, at a place drawn."""
    kind = str(rng.choice(["all", "count", "total", "pair"]))
    j, i = int(rng.integers(x.n_servers)), int(rng.integers(x.n_users))
    at = {
        "all": int(rng.integers(x.n_users + 1)),
        "count": int(rng.integers(x.n_users + 1)),
        "total": int(rng.integers(1 + int(x.root[:, j].sum()))),
        "pair": i,
    }[kind]
    return Branch(kind, j, at, 1, 2)


def random_prices(x, rng):
    """Prices of the size of costs, some far off."""
    size = float(rng.choice([1e8, 1e9, 1e11])) * 2**20
    user = tuple(int(v) for v in rng.normal(0, size, x.n_users))
    slopes = tuple(
        tuple(int(v) for v in rng.integers(-(10**6), 10**8, int(rng.integers(0, 5))))
        for _ in range(x.n_servers)
    )
    accuracy = int(abs(rng.normal(0, size / 1e8))) * int(rng.integers(2))
    return Prices(user, accuracy, int(rng.normal(0, size)), slopes)


@pytest.mark.parametrize("seed", range(60))
def test_no_prices_lie(seed):
    """The value of a random region under random prices is below each of its decisions, and a
    region that is said to be empty is."""
    x = tiny_snapshot(seed)
    rng = np.random.default_rng([1, seed])
    exact, region = Snapshot(x), everything(x)
    for _ in range(int(rng.integers(4))):
        region = random_branch(x, rng).split(region)[int(rng.integers(2))]
    inside = [f for f in decisions(x) if f.is_feasible and holds(region, x, f)]
    for _ in range(5):
        value = exact.value(region, random_prices(x, rng))
        if value is None:
            assert not inside
        else:
            assert all(value <= found.units for found in inside)


@pytest.mark.parametrize("seed", range(30))
def test_parts_hold_everything(seed):
    """Every decision of the root lies in exactly one part of a split."""
    x = tiny_snapshot(seed)
    rng = np.random.default_rng([2, seed])
    first, second = random_branch(x, rng).split(everything(x))
    for found in decisions(x):
        assert holds(first, x, found) != holds(second, x, found)


@pytest.mark.parametrize("seed", range(20))
def test_exact_costs_are_those_of_the_replay(seed):
    """Whole numbers of 2^-20 ns, decision by decision; what is not accurate enough is said."""
    x = tiny_snapshot(seed)
    exact = Snapshot(x)
    for found in decisions(x):
        cost = exact.cost(found.choice.tolist())
        assert cost == found.units if found.is_feasible else "are asked for" in cost
