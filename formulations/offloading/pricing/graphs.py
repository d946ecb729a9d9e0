"""Compiled: split options that are graphs into sources, the chain on the longest path, the rest.

What the parts mean is said in `formulations.offloading.pricing.blocks`. Of several longest paths
the one with the lowest numbered stages is taken, as in `mecopt.certificates.offloading.structure`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Stands for "does not lead to the chain".
MISSES = -(2**61)


@njit(cache=True)
def _heads(lo, hi, service, pred_ptr, pred, head):
    """Longest path to the start of every stage of an option; sweeps until nothing changes."""
    for s in range(lo, hi):
        head[s - lo] = 0
    changed = True
    while changed:
        changed = False
        for s in range(lo, hi):
            for e in range(pred_ptr[s], pred_ptr[s + 1]):
                p = pred[e]
                reach = head[p - lo] + service[p]
                if reach > head[s - lo]:
                    head[s - lo] = reach
                    changed = True


@njit(cache=True)
def _tails(lo, hi, service, pred_ptr, pred, tail):
    """Longest path from the finish of every stage, where any leads; `tail` says where it starts."""
    changed = True
    while changed:
        changed = False
        for s in range(hi - 1, lo - 1, -1):
            if tail[s - lo] == MISSES:
                continue
            step = tail[s - lo] + service[s]
            for e in range(pred_ptr[s], pred_ptr[s + 1]):
                p = pred[e]
                if step > tail[p - lo]:
                    tail[p - lo] = step
                    changed = True


@njit(cache=True)
def _longest_path(lo, hi, service, pred_ptr, pred, head, path, on_path):
    """Write the stages of the longest path, last first; returns its length in ns and in stages."""
    total = np.int64(-1)
    s = lo
    for q in range(lo, hi):
        on_path[q - lo] = False
        if head[q - lo] + service[q] > total:
            total = head[q - lo] + service[q]
            s = q
    n = 0
    while s >= 0:
        path[n] = s
        on_path[s - lo] = True
        n += 1
        best, reach = np.int64(-1), np.int64(-1)
        for e in range(pred_ptr[s], pred_ptr[s + 1]):
            p = np.int64(pred[e])
            end = head[p - lo] + service[p]
            if end > reach or (end == reach and p < best):
                best, reach = p, end
        s = best
    return total, n


@njit(cache=True, nogil=True)
def split_options(stage_ptr, resource, service, pred_ptr, pred, private_dim, row, stop, out):
    """Write the parts of every option.

    Parameters
    ----------
    stage_ptr, resource, service, pred_ptr, pred : arrays
        Those of the instance.
    private_dim : (R,) int64
        Label dimension of private resources, -1 for others.
    row : (R,) int64
        First price row of shared resources, -1 for others.
    stop : (1,) int64
        Anything but zero ends the work.
    out : tuple of arrays, written
        base_lag (O,), source pointer (O + 1,) and source columns dim, service, lag; chain pointer
        and columns row, service, gap; loose pointer and columns row, service, head, tail.

    Returns
    -------
    bool
        False when it was stopped.
    """
    (
        base_lag, source_ptr, source_dim, source_service, source_lag,
        chain_ptr, chain_row, chain_service, chain_gap,
        loose_ptr, loose_row, loose_service, loose_head, loose_tail,
    ) = out  # fmt: skip
    widest = 0
    for o in range(len(stage_ptr) - 1):
        widest = max(widest, stage_ptr[o + 1] - stage_ptr[o])
    head = np.empty(widest, dtype=np.int64)
    tail = np.empty(widest, dtype=np.int64)
    to_chain = np.empty(widest, dtype=np.int64)
    on_path = np.empty(widest, dtype=np.bool_)
    path = np.empty(widest, dtype=np.int64)
    order = np.empty(widest, dtype=np.int64)
    sources = chains = loose = 0
    for o in range(len(stage_ptr) - 1):
        if stop[0] != 0:
            return False
        lo, hi = stage_ptr[o], stage_ptr[o + 1]
        _heads(lo, hi, service, pred_ptr, pred, head)
        total, length = _longest_path(lo, hi, service, pred_ptr, pred, head, path, on_path)
        for i in range(hi - lo):
            tail[i] = 0
        _tails(lo, hi, service, pred_ptr, pred, tail)
        n = 0  # shared stages of the path, first stage first
        for j in range(length - 1, -1, -1):
            if row[resource[path[j]]] >= 0:
                order[n] = path[j]
                n += 1
        if n > 0:
            for i in range(hi - lo):
                to_chain[i] = MISSES
            first = order[0]
            to_chain[first - lo] = -service[first]  # so that its own predecessors get 0
            _tails(lo, hi, service, pred_ptr, pred, to_chain)
        base_lag[o] = head[order[0] - lo] if n > 0 else total
        for s in range(lo, hi):
            r = resource[s]
            if private_dim[r] >= 0:
                source_dim[sources] = private_dim[r]
                source_service[sources] = service[s]
                source_lag[sources] = to_chain[s - lo] if n > 0 else tail[s - lo]
                sources += 1
            elif row[r] >= 0 and not on_path[s - lo]:
                loose_row[loose] = row[r]
                loose_service[loose] = service[s]
                loose_head[loose] = head[s - lo]
                loose_tail[loose] = tail[s - lo]
                loose += 1
        for j in range(n):
            s = order[j]
            after = head[order[j + 1] - lo] if j + 1 < n else total
            chain_row[chains] = row[resource[s]]
            chain_service[chains] = service[s]
            chain_gap[chains] = after - head[s - lo] - service[s]
            chains += 1
        source_ptr[o + 1], chain_ptr[o + 1], loose_ptr[o + 1] = sources, chains, loose
    return True
