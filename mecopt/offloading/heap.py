"""A binary heap of (time, item) pairs in two arrays, compiled; the smallest pair comes first."""

from __future__ import annotations

from numba import njit


@njit(cache=True, inline="always")
def push(heap_t, heap_s, size, t, s):
    """Insert the arrival of stage s at time t; returns the new size."""
    i = size
    while i > 0:
        parent = (i - 1) >> 1
        if heap_t[parent] < t or (heap_t[parent] == t and heap_s[parent] < s):
            break
        heap_t[i] = heap_t[parent]
        heap_s[i] = heap_s[parent]
        i = parent
    heap_t[i] = t
    heap_s[i] = s
    return size + 1


@njit(cache=True, inline="always")
def pop(heap_t, heap_s, size):
    """Remove the root (the caller has read it); returns the new size."""
    size -= 1
    t = heap_t[size]
    s = heap_s[size]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        right = child + 1
        if right < size and (
            heap_t[right] < heap_t[child]
            or (heap_t[right] == heap_t[child] and heap_s[right] < heap_s[child])
        ):
            child = right
        if t < heap_t[child] or (t == heap_t[child] and s <= heap_s[child]):
            break
        heap_t[i] = heap_t[child]
        heap_s[i] = heap_s[child]
        i = child
    heap_t[i] = t
    heap_s[i] = s
    return size
