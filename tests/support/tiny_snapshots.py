"""Snapshots small enough to enumerate, and their enumeration."""

import itertools

import numpy as np

from mecopt.accuracy_delay import replay
from mecopt.accuracy_delay.scenarios import goa


def tiny_snapshot(seed, shares=None):
    """Up to six users and three servers with little room, kappa and floor drawn."""
    rng = np.random.default_rng(seed)
    return goa.generate(
        int(rng.integers(1, 7)),
        seed,
        servers=int(rng.integers(1, 4)),
        shares=shares or str(rng.choice(["equal", "optimal"])),
        room=int(rng.integers(1, 5)),
        kappa_s=float(rng.choice([0.0, 1.0, 5.0])),
        least_accuracy=float(rng.choice([0.0, 0.0, 0.6, 0.75])),
    )


def decisions(x):
    """Every decision that rooms and reach allow, replayed."""
    places = [[-1, *np.flatnonzero(reach)] for reach in x.reachable]
    for choice in itertools.product(*places):
        choice = np.array(choice)
        count = np.bincount(choice[choice >= 0], minlength=x.n_servers)
        if (count <= x.room).all():
            yield replay(x, choice)


def brute_force(x):
    """The least objective of all decisions; infinite when none is accurate enough."""
    return min(found.objective for found in decisions(x))
