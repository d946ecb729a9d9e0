"""Saturated stations with exponential backoff, slot by slot, as the standard describes them.

Slow and literal on purpose; nothing is shared with the package. A slot is idle, a success or a
collision, and every counter above 0 falls by one in each of them.
"""

from __future__ import annotations

import numpy as np


def simulate(stations, slots, seed, cw_min=15, cw_max=1023, retry_limit=7):
    """What happened in a number of slots, under the names of `FixedPoint`'s fields."""
    rng = np.random.default_rng(seed)
    window = np.full(stations, cw_min + 1)
    retries = np.zeros(stations, dtype=int)
    counter = rng.integers(window)
    attempts = failures = frames = drawn = idle = successes = collisions = 0
    for _ in range(slots):
        sends = counter == 0
        count = int(sends.sum())
        counter[~sends] -= 1
        if count == 0:
            idle += 1
            continue
        attempts += count
        if count == 1:
            successes += 1
            over = sends
        else:
            collisions += 1
            failures += count
            retries[sends] += 1
            over = sends & (retries > retry_limit)
        frames += int(over.sum())
        window[sends] = np.minimum(2 * window[sends], cw_max + 1)
        window[over], retries[over] = cw_min + 1, 0
        counter[sends] = rng.integers(window[sends])
        drawn += int(counter[sends].sum())
    return {
        "transmit_probability": attempts / (slots * stations),
        "collision_probability": failures / attempts,
        "mean_backoff_slots": drawn / frames,
        "idle_slots_per_success": idle / successes,
        "collisions_per_success": collisions / successes,
    }
