"""Compiled: the cheapest plan of one user in a known world, in regret plus priced server time.

A plan decides every task of the user. Decision 0 is the drop, 1 local, 2 + j server j on time,
2 + J + j server j too late: the cost of the drop and the upload all the same. The latter is never
worth it for the task, but a rule may run into it without knowing, and its later states are not
those of a drop.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from formulations.online.kernel import SLACK


@njit(cache=True)
def read(table, i, j, uplink_cells, device_cells):
    """V at waits before a slot has passed, constant beyond what the table holds."""
    a = min(max(i - uplink_cells, 0), table.shape[0] - 1)
    return table[a, min(max(j - device_cells, 0), table.shape[1] - 1)]


@njit(cache=True)
def paid(until, time, bucket):
    """Price of [0, time): `until` holds it at the ends of buckets, behind which time is free."""
    x = time / bucket
    b = int(x)
    if b >= len(until) - 1:
        return until[-1]
    return until[b] + (x - b) * (until[b + 1] - until[b])


@njit(cache=True)
def best_start(until, bucket, first, last, service):
    """Start in [first, last] of least start + price of the service, and that sum.

    It is piecewise linear in the start between ends of buckets and ends less the service; the sum
    is at least the start, which ends the search.
    """
    begin = first
    best = first + paid(until, first + service, bucket) - paid(until, first, bucket)
    if best <= first:
        return begin, best
    at = (int(first / bucket) + 1) * bucket
    other = (int((first + service) / bucket) + 1) * bucket - service
    while min(at, other) < min(best, last):
        for s in (at, other):
            if s <= last and s < best:
                x = s + paid(until, s + service, bucket) - paid(until, s, bucket)
                if x < best:
                    begin, best = s, x
        at += bucket
        other += bucket
    if first < last < best:
        x = last + paid(until, last + service, bucket) - paid(until, last, bucket)
        if x < best:
            begin, best = last, x
    return begin, best


@njit(cache=True)
def regrets(
    later, i, j, t, uplink_cells, device_cells, k, upload, compute, local, until, bucket,
    drop, deadline, weight, begin,
):  # fmt: skip
    """[regret] plus price of every decision on task k, released in slot t at waits (i, j) in cells.

    Fills `weight` (2 J + 2,), infinite for what cannot be, and starts at servers `begin` (J,).
    `later` is V of the next stage.
    """
    servers = upload.shape[1]
    weight[:] = np.inf
    weight[0] = drop + read(later, i, j, uplink_cells, device_cells)
    least = weight[0]
    wait = j / device_cells
    if wait + local[k] <= deadline + SLACK:
        to = j + int(local[k] * device_cells)
        weight[1] = wait + local[k] + read(later, i, to, uplink_cells, device_cells)
        least = min(least, weight[1])
    for s in range(servers):
        value = read(later, i + int(upload[k, s] * uplink_cells), j, uplink_cells, device_cells)
        weight[2 + servers + s] = drop + value
        reached = i / uplink_cells + upload[k, s]
        if reached + compute[k, s] <= deadline + SLACK:
            least = min(least, reached + compute[k, s] + value)
            last = t + deadline + SLACK - compute[k, s]
            begin[s], start = best_start(until[s], bucket, t + reached, last, compute[k, s])
            weight[2 + s] = start - t + compute[k, s] + value
    weight -= least


@njit(cache=True)
def decided(o, k, i, j, uplink_cells, device_cells, upload, local, longest_i, longest_j):
    """Waits at the start of the next slot after a decision; k < 0 for a slot without a task."""
    if k >= 0 and o == 1:
        j += int(local[k] * device_cells)
    elif k >= 0 and o >= 2:
        i += int(upload[k, (o - 2) % upload.shape[1]] * uplink_cells)
    i = min(max(i - uplink_cells, 0), longest_i)
    return i, min(max(j - device_cells, 0), longest_j)


@njit(cache=True)
def follow(
    table, uplink_cells, device_cells, arrived, upload, compute, local, until, bucket,
    drop, deadline, chosen, greedily,
):  # fmt: skip
    """Cost of the plan `chosen` (infinite where it cannot be), or of the cheapest next step."""
    servers = upload.shape[1]
    weight, begin = np.empty(2 * servers + 2), np.empty(servers)
    i = j = o = 0
    total = 0.0
    for t in range(len(arrived)):
        k = arrived[t]
        if k >= 0:
            regrets(
                table[t + 1], i, j, t, uplink_cells, device_cells, k, upload, compute, local,
                until, bucket, drop, deadline, weight, begin,
            )  # fmt: skip
            o = int(np.argmin(weight)) if greedily else chosen[k]
            total += weight[o]
        i, j = decided(
            o, k, i, j, uplink_cells, device_cells, upload, local,
            table.shape[1] - 1, table.shape[2] - 1,
        )  # fmt: skip
    return total


@njit(cache=True)
def plan(
    table, uplink_cells, device_cells, arrived, upload, compute, local, until, bucket,
    drop, deadline, upper, most, index, chosen, started,
):  # fmt: skip
    """Least cost of a plan, of which decisions go into `chosen` and starts into `started`.

    Labels are waits and the least cost to reach them; `index` (n, q) holds -1 and is left so.
    Regrets and prices are not negative, so labels above `upper`, the cost of some plan, lead
    nowhere. Of more than `most` labels a slot the further ones are given up; the least cost of one
    given up is at most what it could have led to, and is returned where it is less.
    """
    slots, servers = len(arrived), upload.shape[1]
    longest_i, longest_j = table.shape[1] - 1, table.shape[2] - 1
    weight, begin = np.empty(2 * servers + 2), np.empty(servers)
    at = np.zeros((slots + 1, most, 2), dtype=np.int32)
    before = np.zeros((slots + 1, most), dtype=np.int32)
    by = np.zeros((slots + 1, most), dtype=np.int32)
    when = np.zeros((slots + 1, most))
    cost = np.full((slots + 1, most), np.inf)
    size = np.zeros(slots + 1, dtype=np.int64)
    size[0], cost[0, 0] = 1, 0.0
    given_up = np.inf
    for t in range(slots):
        k = arrived[t]
        for label in range(size[t]):
            i, j = at[t, label, 0], at[t, label, 1]
            n_options = 1
            weight[0] = 0.0
            if k >= 0:
                regrets(
                    table[t + 1], i, j, t, uplink_cells, device_cells, k, upload, compute, local,
                    until, bucket, drop, deadline, weight, begin,
                )  # fmt: skip
                n_options = len(weight)
            for o in range(n_options):
                x = cost[t, label] + weight[o]
                if x > upper:
                    continue
                to_i, to_j = decided(
                    o, k, i, j, uplink_cells, device_cells, upload, local, longest_i, longest_j
                )
                place = index[to_i, to_j]
                if place < 0:
                    if size[t + 1] == most:
                        given_up = min(given_up, x)
                        continue
                    place = size[t + 1]
                    size[t + 1] += 1
                    index[to_i, to_j] = place
                    at[t + 1, place, 0], at[t + 1, place, 1] = to_i, to_j
                if x < cost[t + 1, place]:
                    cost[t + 1, place] = x
                    before[t + 1, place], by[t + 1, place] = label, o
                    when[t + 1, place] = begin[o - 2] if 2 <= o < 2 + servers else 0.0
        for place in range(size[t + 1]):
            index[at[t + 1, place, 0], at[t + 1, place, 1]] = -1
    if size[slots] == 0:
        return given_up
    label = int(np.argmin(cost[slots, : size[slots]]))
    value = min(cost[slots, label], given_up)
    for t in range(slots - 1, -1, -1):
        k = arrived[t]
        if k >= 0:
            chosen[k], started[k] = by[t + 1, label], when[t + 1, label]
        label = before[t + 1, label]
    return value


@njit(cache=True)
def add_usage(arrived, chosen, started, compute, bucket, usage):
    """Add the time at servers (J, buckets) of a user's tasks that are on time there."""
    servers, buckets = usage.shape
    for t in range(len(arrived)):
        k = arrived[t]
        if k < 0 or not 2 <= chosen[k] < 2 + servers:
            continue
        s = chosen[k] - 2
        time, end = started[k], started[k] + compute[k, s]
        b = int(time / bucket)
        while b < buckets and time < end:
            part = min(end, (b + 1) * bucket)
            usage[s, b] += max(0.0, part - time)
            time = part
            b += 1
