"""Cost to complete a chain of shared stages under prices, for every time it can be reached.

For one stage of length p the cost of starting at s is s + L(s + p) - L(s), L the cumulative price:
piecewise linear with kinks where s or s + p meets a bucket edge. Chains add kinks of later stages
shifted back; between kinks the cost to complete is concave (a sum of linear functions and a minimum
of one with a constant), so minima over waiting sit on kinks, and one backward pass of running
minima answers every arrival time.
"""

from __future__ import annotations

import numpy as np
from numba import njit

INF = np.inf


@njit(cache=True)
def price_between(price, cum, row, stride, shift, a, b):
    """Price paid for a stage on [a, b) of the resource whose rows start at `row`."""
    i = min(a >> shift, stride - 1)
    j = min(b >> shift, stride - 1)
    return (cum[row + j] + price[row + j] * (b - (j << shift))) - (
        cum[row + i] + price[row + i] * (a - (i << shift))
    )


@njit(cache=True)
def cumulate(price, stride, shift, cum):
    """Cumulative price at each bucket start; the last bucket of a resource is set free."""
    width = float(1 << shift)
    for row in range(0, len(price), stride):
        price[row + stride - 1] = 0.0
        cum[row] = 0.0
        for b in range(1, stride):
            cum[row + b] = cum[row + b - 1] + price[row + b - 1] * width


@njit(cache=True)
def next_kink(t, shift, ptr, lo, offsets, first, end):
    """Table position of the first kink at or after time t."""
    b = t >> shift
    within = t - (b << shift)
    j = first
    while j < end and offsets[j] < within:
        j += 1
    return ptr + (b - lo) * (end - first) + (j - first)


@njit(cache=True)
def complete(
    i, hi, t, row, service, gap, stride, shift, price, cum,
    table, table_ptr, table_lo, offsets, offset_ptr, weight, release, fixed,
):  # fmt: skip
    """Least cost to complete from chain stage i reached at time t (window not checked)."""
    best = INF
    paid = 0.0
    while i < hi:
        first, end = offset_ptr[i, 0], offset_ptr[i, 1]
        if end > first:
            at = next_kink(t, shift, table_ptr[i], table_lo[i], offsets, first, end)
            best = min(best, paid + table[at])
        paid += price_between(price, cum, row[i], stride, shift, t, t + service[i])
        t += service[i] + gap[i]
        i += 1
    return min(best, paid + weight * (t - release) + fixed)


@njit(cache=True)
def build_tables(
    lo, hi, arrival, latest, weight, release, fixed,
    row, service, gap, stride, shift, price, cum,
    table, table_ptr, table_lo, offsets, offset_ptr, used, n_off,
):  # fmt: skip
    """Running minima of the cost to complete for the chain stages [lo, hi) of one option.

    From kink to kink, ``table[table_ptr[i]:]`` holds the least cost of starting stage i at that
    kink or later; the entry behind the last kink is a start at the latest moment. A stage whose
    window carries no price gets no kinks: starting at once is best. Returns the new (used, n_off);
    used is -1 when `table` is too short.
    """
    width = 1 << shift
    ahead = 0
    for i in range(lo, hi - 1):
        ahead += service[i] + gap[i]
    for i in range(hi - 1, lo - 1, -1):
        start, last = arrival + ahead, latest + ahead
        offset_ptr[i, 0] = n_off
        offset_ptr[i, 1] = n_off
        table_ptr[i] = used
        table_lo[i] = start >> shift
        if i > lo:
            ahead -= service[i - 1] + gap[i - 1]
        later = i + 1 < hi and offset_ptr[i + 1, 1] > offset_ptr[i + 1, 0]
        if not later:
            whole = price_between(price, cum, row[i], stride, shift, start, last + service[i])
            if whole <= 0.0:
                continue
        # Kinks: bucket edges met by the start or the end of this stage, and those of the next.
        offsets[n_off] = 0
        count = n_off + 1
        edge = (-service[i]) & (width - 1)
        if edge > 0:
            offsets[count] = edge
            count += 1
        if later:
            back = service[i] + gap[i]
            for j in range(offset_ptr[i + 1, 0], offset_ptr[i + 1, 1]):
                v = (offsets[j] - back) & (width - 1)
                at = count
                while offsets[at - 1] > v:
                    at -= 1
                if offsets[at - 1] == v:
                    continue
                for m in range(count, at, -1):
                    offsets[m] = offsets[m - 1]
                offsets[at] = v
                count += 1
        n = count - n_off
        kinks = ((last >> shift) - (start >> shift) + 1) * n
        if used + kinks + 1 > len(table):
            return -1, n_off
        best = INF
        for step in range(kinks, -1, -1):
            s = last
            if step < kinks:
                s = (((start >> shift) + step // n) << shift) + offsets[n_off + step % n]
            if start <= s <= last:
                cost = price_between(price, cum, row[i], stride, shift, s, s + service[i])
                cost += complete(
                    i + 1, hi, s + service[i] + gap[i], row, service, gap, stride, shift, price,
                    cum, table, table_ptr, table_lo, offsets, offset_ptr, weight, release, fixed,
                )  # fmt: skip
                best = min(best, cost)
            table[used + step] = best
        used += kinks + 1
        offset_ptr[i, 1] = count
        n_off = count
    return used, n_off


@njit(cache=True)
def cheapest_moment(price, cum, row, stride, shift, service, first, last):
    """Start in [first, last] with the least price for a stage, and that price."""
    width = 1 << shift
    best = price_between(price, cum, row, stride, shift, first, first + service)
    when = first
    edge = (-service) & (width - 1)
    b = first >> shift
    while best > 0.0 and (b << shift) <= last:
        for s in ((b << shift), (b << shift) + edge):
            if first <= s <= last:
                cost = price_between(price, cum, row, stride, shift, s, s + service)
                if cost < best:
                    best = cost
                    when = s
        b += 1
    cost = price_between(price, cum, row, stride, shift, last, last + service)
    if cost < best:
        best = cost
        when = last
    return when, best
