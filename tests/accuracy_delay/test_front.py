"""The front of a tiny snapshot is that of enumeration; strips hold everything."""

from dataclasses import replace

import pytest

from formulations.accuracy_delay.front import dominates, front, sweep
from mecopt.accuracy_delay.scenarios import goa
from tests.support.tiny_snapshots import decisions


@pytest.mark.parametrize("seed", range(3))
def test_the_whole_front(seed):
    """Every undominated pair of accuracy and delay of all decisions is there, proven."""
    x = goa.generate(4, seed, servers=2)
    free = replace(x, kappa_s=0.0)
    pairs = {(f.accuracy_units // 4, f.units) for f in decisions(free)}
    best = {p for p in pairs if not any(q[0] >= p[0] and q[1] <= p[1] and q != p for q in pairs)}
    found = front(x, points=None, gap=0.0)
    assert best <= {(d.accuracy_units // 4, d.units) for d in found.decisions}
    assert found.table["proven"].all()


def test_every_decision_lies_on_the_right_side():
    """No decision is faster than the certified delay of its accuracy."""
    x = goa.generate(5, 1, servers=2)
    found = front(x, points=4, gap=1e-6)
    for decision in decisions(found.instance):
        least = found.least_delay_s(decision.expected_accuracy)
        assert decision.objective / 5 >= least - 1e-9
    assert found.least_delay_s(1.0) == float("inf")


def test_goa_over_kappa():
    """More kappa, more accuracy; a curve dominates its own points and not better ones."""
    curve = sweep(goa.generate(12, 0), [0.0, 1.0, 4.0, 16.0])
    assert curve["expected_accuracy"].is_monotonic_increasing
    last = curve.iloc[-1]
    assert dominates(curve, last["expected_accuracy"], last["mean_delay_s"])
    assert not dominates(curve, 1.0, 0.0)


def test_points_are_checked():
    """At least two."""
    with pytest.raises(ValueError, match="points = 1 must be a whole number >= 2"):
        front(goa.generate(3, 0), points=1)
