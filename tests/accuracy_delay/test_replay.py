"""What a decision costs, by hand."""

import math
from fractions import Fraction

import numpy as np
import pytest

from mecopt.accuracy_delay import replay, rollout
from mecopt.accuracy_delay.assignment import seconds_of
from mecopt.accuracy_delay.instance import UNITS_PER_S
from mecopt.accuracy_delay.scenarios import goa
from tests.accuracy_delay.test_instance import two_users
from tests.support.tiny_snapshots import decisions, tiny_snapshot


def test_equal_shares():
    """Both at the server: each waits 0.5 s and takes twice its time alone.

    a: 0.5 + 2 (1 + 1) = 4.5, b: 0.5 + 2 (4 + 1) = 10.5; worth 2 (0.25 + 0.75) = 2.
    """
    found = replay(two_users(kappa_s=2.0), [0, 0])
    assert found.delay_s.tolist() == [4.5, 10.5]
    assert found.objective == 4.5 + 10.5 - 2.0
    assert found.bandwidth_share.tolist() == [0.5, 0.5]
    assert found.expected_accuracy == 0.9


def test_optimal_shares():
    """Uploads of 1 and 4 s take (1 + 2)^2 = 9 s together, shared 1 : 2.

    a: 0.5 + 1 (1 + 2) + 2 = 5.5, b: 0.5 + 2 (1 + 2) + 2 = 8.5; equal shares would take 15 in all.
    """
    found = replay(two_users(shares="optimal"), [0, 0])
    assert found.delay_s == pytest.approx([5.5, 8.5], rel=1e-7)
    assert found.objective == pytest.approx(14.0, rel=1e-7)
    assert found.bandwidth_share == pytest.approx([1 / 3, 2 / 3], rel=1e-6)


def test_an_accuracy_that_is_not_reached():
    """One away: accuracies 0.9 and 0.4, mean 0.65; with 0.7 asked for the objective is infinite."""
    enough, short = (two_users(least_accuracy=a) for a in (0.65, 0.7))
    assert replay(enough, [0, -1]).objective == 0.5 + 2 + 10
    assert replay(short, [0, -1]).objective == np.inf
    assert replay(short, [0, -1]).weighted_s == 12.5


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ([0], r"choice must have shape \(2,\)"),
        ([0, 1], r"choice\[1\] = 1 is no server 0..0, and not -1"),
        ([0.0, 0.0], "choice: must hold whole numbers"),
    ],
)
def test_decisions_that_are_none(choice, message):
    """Shape, range and type are refused with the value."""
    with pytest.raises(ValueError, match=message):
        replay(two_users(), choice)


def test_room_and_reach_hold():
    """Two queries where one fits, and a server out of reach."""
    with pytest.raises(ValueError, match=r"queries at server\[0\] = 2 are more than it has room"):
        replay(two_users(room=np.array([1])), [0, 0])
    lost = two_users(rate_bps=np.array([[1e6], [0.0]]))
    with pytest.raises(ValueError, match=r"choice\[1\] = 0 is a server that the user does not"):
        replay(lost, [0, 0])


def test_seconds_are_rounded_down():
    """The value is not above the exact one, and the next float is."""
    for units in (2**55 + 3, -(2**55) - 3, 10**18 + 1, 0):
        value = Fraction(seconds_of(units))
        assert value <= Fraction(units, UNITS_PER_S)
        assert Fraction(math.nextafter(seconds_of(units), math.inf)) > Fraction(units, UNITS_PER_S)


@pytest.mark.parametrize("seed", range(12))
def test_the_objective_is_the_sum_of_its_parts(seed):
    """Delays less worth, to rounding of floats, for every decision; optimal shares never cost
    more than equal ones."""
    x = tiny_snapshot(seed, "optimal")
    equal = tiny_snapshot(seed, "equal")
    for found in decisions(x):
        worth = x.kappa_s * x.uncertainty[found.choice >= 0].sum()
        assert found.weighted_s == pytest.approx(found.delay_s.sum() - worth, abs=1e-6)
        assert found.weighted_s <= replay(equal, found.choice).weighted_s + 1e-6


def test_what_is_no_policy_is_refused():
    """A class, an answer of the wrong length: one line with the name."""

    class Short:
        name = "short"

        def reset(self, instance):
            pass

        def act(self, instance):
            return [0]

    x = goa.generate(3, 0)
    with pytest.raises(ValueError, match="policy 'short': choice must have shape"):
        rollout(x, Short())
    with pytest.raises(ValueError, match="Short is a class"):
        rollout(x, Short)
