"""What the agent of a node knows of each candidate: one row of numbers, compiled.

Times are believed ones, as an online policy sees them; they are in deadlines of the task, rates in
events per deadline. Nothing here is later than the release of the task. The columns of `LOCAL` say
what a node knows of itself, its links and its neighbours; `ROUTES` adds what it would know of all
routes, `RAW` leaves out what has to be worked out, the chance to be on time.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from learning.collaboration.process.batch import BITS
from mecopt.offloading.fifo import free_for
from mecopt.offloading.status import NEVER

RAW = (
    "keep",  # 1 for the node itself
    "up",  # whether the candidate is up
    "place_wait",  # until a place is free there for the task
    "execution",
    "execution_failures",
    "backlog",  # work that the candidate has left, over its places
    "link_wait",
    "transfer",
    "link_failures",
    "time_left",  # when it is there
    "hops",  # used when it is there, over the most
    "size",  # over what the fastest link carries in a deadline
    "cycles",  # over what a place of mean speed does in a deadline
    "arrivals",  # tasks a slot released there so far
)
LOCAL = (*RAW, "chance")  # that the task is on time if it goes there and stays
ROUTES = (*LOCAL, "best_chance")  # over all routes that go on through the candidate
COLUMNS = ROUTES
CHANCE_COLUMN = COLUMNS.index("chance")
#: Columns of each view.
VIEWS = {"raw": len(RAW), "local": len(LOCAL), "routes": len(ROUTES)}
#: Times and rates are cut here.
CEILING = 3.0


@njit(cache=True)
def chances(b, p, k, now, free, entries, up, scratch, out):
    """Chance (options,) that task k of episode p is on time, by option; returns the best.

    As `mecopt.collaboration.policies.beliefs.Beliefs.chance` has it: with the queues as they are,
    nothing for an option that would be late or ends at a node that is down.
    """
    best = 0.0
    first = b.task[k].option
    for o in range(first, b.task[k + 1].option):
        t = now
        s = b.option[o].stage
        for _ in range(b.option[o].hops + 1):
            r = b.stage[s].resource
            lo, hi = b.free_ptr[p, r], b.free_ptr[p, r + 1]
            t = max(t, free_for(free, lo, hi, r, t, entries, scratch)) + b.stage[s].takes
            s += 1
        out[o - first] = 0.0
        if up[b.stage[s - 1].resource] and t - now <= b.task[k].deadline:
            out[o - first] = b.option[o].intact * np.exp(
                -b.episode[p].node_failure_per_s * (t - now) * 1e-9
            )
            best = max(best, out[o - first])
    return best


@njit(cache=True)
def describe(
    b, p, k, place, now, free, entries, up, chance, seen, work, scratch, rows, mask, arrival
):
    """Rows (C, F) and mask (C,) of the decision at a place (node, hop, way so far, arrival there).

    Written are also the believed arrivals (C,) at the candidates. `seen` counts the tasks released
    at each node so far, `work` is what each has left in ns, over its places. Returns how many
    candidates are allowed.
    """
    node, hop, way, at = place
    rows[:] = 0.0
    mask[:] = False
    first, last = b.task[k].option, b.task[k + 1].option
    deadline = float(b.task[k].deadline)
    seconds = deadline * 1e-9
    below = (np.int64(1) << (BITS * hop)) - 1
    most_hops = 1
    allowed = 0
    columns = rows.shape[1]
    for o in range(first, last):
        most_hops = max(most_hops, b.option[o].hops)
        if b.option[o].way & below != way or b.option[o].hops < hop:
            continue
        c = (b.option[o].way >> (BITS * hop)) & 255
        row = rows[c]
        if not mask[c]:
            mask[c] = True
            allowed += 1
            there = node
            t = at
            row[0] = 1.0
            if c > 0:
                s = b.option[o].stage + hop
                link = b.stage[s].resource
                there = b.beside[p, node, c - 1]
                lo, hi = b.free_ptr[p, link], b.free_ptr[p, link + 1]
                begin = max(t, free_for(free, lo, hi, link, t, entries, scratch))
                row[0] = 0.0
                row[6] = min(CEILING, (begin - t) / deadline)
                row[7] = b.stage[s].takes / deadline
                row[8] = min(CEILING, b.failure[p, link] * seconds)
                t = begin + b.stage[s].takes
            arrival[c] = t
            lo, hi = b.free_ptr[p, there], b.free_ptr[p, there + 1]
            begin = max(t, free_for(free, lo, hi, there, t, entries, scratch))
            row[1] = 1.0 if up[there] else 0.0
            row[2] = min(CEILING, (begin - t) / deadline)
            row[3] = min(CEILING, b.task[k].cycles / b.speed[p, there] / seconds)
            row[4] = min(CEILING, b.failure[p, there] * seconds)
            row[5] = min(CEILING, work[there] / deadline)
            row[9] = max(-CEILING, 1.0 - (t - now) / deadline)
            row[11] = min(CEILING, b.task[k].bytes / (seconds * b.episode[p].most_bytes_per_s))
            row[12] = min(CEILING, b.task[k].cycles / (seconds * b.episode[p].mean_speed))
            row[13] = min(
                CEILING, seen[there] * float(b.episode[p].slot_ns) / (now + b.episode[p].slot_ns)
            )
        if (
            b.option[o].way >> (BITS * hop) == c
            and b.option[o].hops == hop + (c > 0)
            and columns > 14
        ):
            row[14] = chance[o - first]
        if columns > 15:
            row[15] = max(row[15], np.float32(chance[o - first]))
    for c in range(len(mask)):
        if mask[c]:
            rows[c, 10] = (hop + (c > 0)) / most_hops
    return allowed


@njit(cache=True)
def work_left(b, p, now, free, entries, scratch, out):
    """Time (N,) in ns that the work which is known of takes every node from now on, per place.

    `free` and `entries` are those of `mecopt.offloading.fifo.free_for`.
    """
    for r in range(b.episode[p].nodes):
        lo, hi = b.free_ptr[p, r], b.free_ptr[p, r + 1]
        free_for(free, lo, hi, r, NEVER, entries, scratch)
        total = 0.0
        if hi - lo == 1:  # scratch is not used for a single place
            total = max(0, free_for(free, lo, hi, r, NEVER, entries, scratch) - now)
        else:
            for u in range(hi - lo):
                total += max(0, scratch[u] - now)
        out[r] = total / max(1, hi - lo)


@njit(cache=True)
def waits(b, p, now, free, entries, scratch, out):
    """Wait (R,) in s at the back of the queue of every node and link, as in an observation."""
    for r in range(len(out)):
        lo, hi = b.free_ptr[p, r], b.free_ptr[p, r + 1]
        out[r] = max(0, free_for(free, lo, hi, r, NEVER, entries, scratch) - now) * 1e-9
