"""Compiled bookkeeping of a decision: loads of servers, and what a move changes.

The time that all queries at server j take together is n (queue + A) + T^2 / 2^20, with n queries,
A the sum of their linear parts and T that of their roots. Every change below is a difference of
two such totals.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: ns per cost unit, for squares of roots.
_SQUARE = 2.0**-20


@njit(cache=True)
def loads(costs, choice):
    """(M,) queries n, sums A of linear parts and T of roots of a decision."""
    m = len(costs.queue)
    n = np.zeros(m, dtype=np.int64)
    a, t = np.zeros(m), np.zeros(m)
    for i in range(len(choice)):
        j = choice[i]
        if j >= 0:
            n[j] += 1
            a[j] += costs.linear[i, j]
            t[j] += costs.root[i, j]
    return n, a, t


@njit(cache=True)
def adding(costs, i, j, n, a, t):
    """What user i at server j adds to the time of all who are there, itself included, ns."""
    c, r = costs.linear[i, j], costs.root[i, j]
    return costs.queue[j] + a[j] + (n[j] + 1) * c + (2.0 * t[j] + r) * r * _SQUARE


@njit(cache=True)
def removing(costs, i, j, n, a, t):
    """What the time of all at server j falls by when user i leaves it, ns."""
    c, r = costs.linear[i, j], costs.root[i, j]
    return costs.queue[j] + a[j] + (n[j] - 1) * c + (2.0 * t[j] - r) * r * _SQUARE


@njit(cache=True)
def exchanging(costs, i, k, j, n, a, t):
    """What the time of all at server j rises by when user k takes the place of user i, ns."""
    c = costs.linear[k, j] - costs.linear[i, j]
    r = costs.root[k, j] - costs.root[i, j]
    return n[j] * c + (2.0 * t[j] + r) * r * _SQUARE


@njit(cache=True)
def put(costs, i, j, n, a, t):
    """Enter user i at server j."""
    n[j] += 1
    a[j] += costs.linear[i, j]
    t[j] += costs.root[i, j]


@njit(cache=True)
def take(costs, i, j, n, a, t):
    """Take user i away from server j."""
    n[j] -= 1
    a[j] -= costs.linear[i, j]
    t[j] -= costs.root[i, j]
