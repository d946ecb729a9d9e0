"""Means over draws, and what is left of them after an interrupt."""

from __future__ import annotations

import pytest

from mecopt.bench import online


def stop_at(seed: int):
    """Bounds of 2 and 4 a draw, until somebody presses Ctrl-C at a seed."""

    def one(n: int, drawn: int) -> online.Draw:
        if drawn == seed:
            raise KeyboardInterrupt
        return [2.0 * (n + 1)], None

    return one


def test_the_mean_of_all_draws():
    """(2 + 4) / 2 = 3."""
    found = online.over(range(5, 7), stop_at(99))
    assert found.clairvoyant_slots == pytest.approx(3.0)
    assert found.draws == 2
    assert found.online is None


def test_an_interrupt_keeps_the_draws_that_were_finished():
    """The first two of four: 3 again. None finished: there is nothing to keep."""
    found = online.over(range(5, 9), stop_at(7))
    assert (found.clairvoyant_slots, found.draws) == (pytest.approx(3.0), 2)
    with pytest.raises(KeyboardInterrupt):
        online.over(range(5, 9), stop_at(5))
