"""What a server costs under prices: the compiled inner minimum of the Lagrangian.

For server j and every number n of queries, the users whose key

    n c_ij - reward_i + sigma r_ij

is among the n smallest; with optimal shares the slope sigma is the one at which the sum of their
roots meets sigma / 2 (or the limits of the region), found by bisection, since their value is
concave in sigma. `mecopt.certificates.accuracy_delay.values` has the mathematics, and recomputes
every bound.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: ns per cost unit, for squares of roots.
_SQUARE = 2.0**-20
#: Most bisections of a slope, and the width at which they end: it costs (width / 2)^2 units.
_BISECTIONS, _FINE = 40, 2.0**9


@njit(cache=True)
def _smallest(keys, n):
    """Positions of the n smallest keys, in no order."""
    if n == 0:
        return np.empty(0, dtype=np.int64)
    if n >= len(keys):
        return np.arange(len(keys))
    edge = np.partition(keys, n - 1)[n - 1]
    out = np.empty(n, dtype=np.int64)
    k = 0
    for i in range(len(keys)):
        if keys[i] < edge:
            out[k] = i
            k += 1
    for i in range(len(keys)):
        if k == n:
            break
        if keys[i] == edge:
            out[k] = i
            k += 1
    return out


@njit(cache=True)
def _least_square(slope, low, high):
    """min of T^2 - slope T over T in [low, high]."""
    t = min(max(0.5 * slope, low), high)
    return t * t - slope * t


@njit(cache=True)
def _sloped(c, r, reward, n, slope, low, high):
    """Value (ns, queue left out), chosen positions and their sum of roots at a slope."""
    picked = _smallest(n * c - reward + slope * _SQUARE * r, n)
    value, total = _least_square(slope, low, high) * _SQUARE, 0.0
    for i in picked:
        value += n * c[i] - reward[i] + slope * _SQUARE * r[i]
        total += r[i]
    return value, picked, total


@njit(cache=True)
def _best_slope(c, r, reward, n, low, high):
    """Largest value over slopes, with what it chooses and the slope."""
    # No n queries have a larger sum of roots than this, so no better slope lies above its double.
    first, last = 0.0, 2.0 * min(high, n * r.max())
    if low > 0.0:
        # Choices outside the limits are paid for by slopes beyond them.
        reach = np.abs(reward).max() / _SQUARE / max(r.max(), 1.0)
        first, last = -4.0 * reach, max(last, 2.0 * low) + 4.0 * reach
    if high < n * r.max():
        last = 2.0 * high + 4.0 * np.abs(reward).max() / _SQUARE / max(r.max(), 1.0)
    best, picked, total = _sloped(c, r, reward, n, 0.0, low, high)
    slope = 0.0
    for _ in range(_BISECTIONS):
        middle = 0.5 * (first + last)
        value, here, roots = _sloped(c, r, reward, n, middle, low, high)
        if value > best:
            best, picked, total, slope = value, here, roots, middle
        # The value rises with the slope while the chosen roots exceed the square's own T.
        at = min(max(0.5 * middle, low), high)
        if roots > at:
            first = middle
        elif roots < at:
            last = middle
        else:
            break
        if last - first < _FINE:
            break
    # The slope at which the choice itself is a fixed point proves most where there is one.
    value, here, roots = _sloped(c, r, reward, n, 2.0 * total, low, high)
    if value > best:
        best, picked, slope = value, here, 2.0 * total
    return best, picked, slope


@njit(cache=True)
def price_server(c, r, reward, queue, least, most, low, high, slopes, values):
    """Least value of one server, ns, and the positions it chooses.

    Slopes are kept from one call to the next: any slope proves something, so only the numbers of
    queries that would be chosen get a new one.

    Parameters
    ----------
    c, r, reward : (K,) float64
        Of the users who may be there: linear part and reward in ns, root.
    queue : float
    least, most : int
    low, high : float
    slopes : (K + 1,) float64
        Slope by number of queries; bettered.
    values : (K + 1,) float64
        For scratch.

    Returns
    -------
    value : float
        Infinite when no number of queries is possible.
    picked : (n,) int64
    """
    picked = np.empty(0, dtype=np.int64)
    end = min(most, len(c)) + 1
    if low > high or least >= end:
        return np.inf, picked
    square = r.any() if len(r) else False
    best = np.inf
    for n in range(least, end):
        values[n] = n * queue + _sloped(c, r, reward, n, slopes[n], low, high)[0]
        best = min(best, values[n])
        floor = n * queue
        for i in range(len(c)):
            floor += min(0.0, n * c[i] - reward[i])
        # Squares are >= 0 and times rise with n: with more queries no sum can be below this.
        if floor >= best:
            end = n + 1
            break
    fresh = np.zeros(end, dtype=np.bool_)
    while True:
        n = least
        for k in range(least, end):
            if values[k] < values[n]:
                n = k
        if fresh[n] or not square or n == 0:
            picked = _sloped(c, r, reward, n, slopes[n], low, high)[1]
            return values[n], picked
        value, picked, slope = _best_slope(c, r, reward, n, low, high)
        fresh[n] = True
        if value + n * queue > values[n]:
            values[n], slopes[n] = value + n * queue, slope
