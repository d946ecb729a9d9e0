"""Ctrl-C in a solve: a wish to stop, after which every deadline is over.

Where nobody asked for `keeping`, Ctrl-C is the `KeyboardInterrupt` that it is everywhere.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_asked, _kept, _over = threading.Event(), threading.Event(), threading.Event()
#: How long a second Ctrl-C waits for Python to take it.
_PATIENCE_S = 2.0
#: Functions that stop solvers which look at no deadline of ours.
_cancels: set[Callable[[], None]] = set()


class Moment(float):
    """A value of `time.perf_counter` that lies in the past once a person asks to stop.

    So do moments that are worked out from one (half the way there), and the seconds to one are
    below zero then: comparisons say so, the numbers stay what they are.
    """

    def _now(self) -> float:
        return -float("inf") if _asked.is_set() else float(self)

    def __lt__(self, other: float) -> bool:
        return self._now() < float(other)

    def __le__(self, other: float) -> bool:
        return self._now() <= float(other)

    def __gt__(self, other: float) -> bool:
        return self._now() > float(other)

    def __ge__(self, other: float) -> bool:
        return self._now() >= float(other)

    def __add__(self, other: float) -> Moment:
        return Moment(float(self) + float(other))

    def __sub__(self, other: float) -> Moment:
        return Moment(float(self) - float(other))

    def __mul__(self, other: float) -> Moment:
        return Moment(float(self) * float(other))

    def __truediv__(self, other: float) -> Moment:
        return Moment(float(self) / float(other))

    __radd__, __rmul__ = __add__, __mul__

    __hash__ = float.__hash__

    def at_most(self, seconds: float) -> Moment:
        """This moment, or that in some seconds where it is earlier."""
        return Moment(min(float(self), time.perf_counter() + seconds))


def asked() -> bool:
    """Whether a person asked to stop the solve that runs."""
    return _asked.is_set()


@contextmanager
def keeping(on_ask: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Let the first Ctrl-C end a solve as its time limit does; the second one interrupts.

    If that does not reach Python soon, because a solver does not come back, it ends the process.

    Parameters
    ----------
    on_ask : callable
        Called at the first Ctrl-C, to say that it was heard.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is signal.SIG_IGN:
        yield
        return
    _over.clear()

    def heard(*_: Any) -> None:
        if _kept.is_set():
            raise KeyboardInterrupt
        _kept.set()
        _ask()
        on_ask()

    # Python calls a handler between two of its own steps, which a solver that runs for minutes
    # keeps waiting. The byte that the system writes at once is read by a thread.
    ours, systems = socket.socketpair()
    systems.setblocking(False)
    fd_before = signal.set_wakeup_fd(systems.fileno(), warn_on_full_buffer=False)
    listener = threading.Thread(target=_listen, args=(ours,), daemon=True)
    listener.start()
    signal.signal(signal.SIGINT, heard)
    try:
        yield
    finally:
        _over.set()
        signal.signal(signal.SIGINT, before)
        signal.set_wakeup_fd(fd_before)
        systems.close()
        listener.join()
        ours.close()
        _asked.clear()
        _kept.clear()


def _listen(channel: socket.socket) -> None:
    presses = 0
    while signals := channel.recv(16):
        presses += signals.count(signal.SIGINT)
        if presses:
            _ask()
        if presses > 1 and not _over.wait(_PATIENCE_S):
            os._exit(128 + signal.SIGINT)


def _ask() -> None:
    _asked.set()
    for cancel in list(_cancels):
        cancel()


@contextmanager
def telling(cancel: Callable[[], None]) -> Iterator[None]:
    """Have a function called when a person asks to stop, at once where that was before."""
    _cancels.add(cancel)
    if _asked.is_set():
        cancel()
    try:
        yield
    finally:
        _cancels.discard(cancel)


@contextmanager
def cancelling(solver: Any) -> Iterator[None]:
    """Let a `highspy.Highs` that runs be stopped by the wish to stop."""
    solver.HandleUserInterrupt = True
    with telling(solver.cancelSolve):
        yield
