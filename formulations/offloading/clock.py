"""A bell that compiled kernels hear: a flag in memory that another thread sets when time is over.

A kernel cannot ask for the time, and how long one takes is hard to say beforehand: one pricing of
50,000 tasks is seconds of labels. So kernels that may run long give up Python's lock and look at
``stop[0]`` between two steps; anything but zero asks them to end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from formulations.dual import interrupt


def never() -> NDArray[np.int64]:
    """A flag (1,) that nobody sets."""
    return np.zeros(1, dtype=np.int64)


@contextmanager
def bell(deadline: float) -> Iterator[NDArray[np.int64]]:
    """A flag (1,) that is set when `time.perf_counter()` reaches `deadline`, or somebody asks."""
    stop = never()
    seconds = float(deadline) - time.perf_counter()

    def ring() -> None:
        stop[0] = 1

    if seconds > threading.TIMEOUT_MAX:
        with interrupt.telling(ring):
            yield stop
        return
    if seconds <= 0:
        ring()
    timer = threading.Timer(max(seconds, 0.0), ring)
    timer.daemon = True
    timer.start()
    try:
        with interrupt.telling(ring):
            yield stop
    finally:
        timer.cancel()
