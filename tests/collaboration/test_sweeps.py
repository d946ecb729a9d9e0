"""Presets that differ in one number, and their pictures."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mecopt.bench.collaboration.sweeps import apart, sweep_pictures
from mecopt.bench.plot import png
from mecopt.collaboration.scenarios import ledrl


def test_presets_of_a_sweep_differ_in_one_number():
    assert ledrl.parameters("links-0.25").link_failure_per_s == (0.25, 0.25)
    assert ledrl.parameters("failing-0.1").node_failure_per_s == 0.1
    assert ledrl.parameters("nodes-50").nodes == 50


@pytest.mark.parametrize("preset", ["links-0.3", "links-", "nodes-11"])
def test_other_values_are_no_presets(preset):
    with pytest.raises(ValueError, match="preset: unknown"):
        ledrl.parameters(preset)


def card(*presets: str) -> pd.DataFrame:
    row = {
        "success_rate": 0.5, "success_rate_low": 0.4, "success_rate_high": 0.6,
        "bound_success_rate": 0.9, "bound_success_rate_rates_only": 0.7,
    }  # fmt: skip
    return pd.DataFrame(
        [{"preset": name, "policy": policy, **row} for name in presets for policy in ("a", "b")]
    )


def test_a_sweep_is_drawn_when_two_of_its_presets_were_run():
    assert sweep_pictures(card("paper", "links-0", "nodes-10")) == {}
    drawn = sweep_pictures(card("links-0.25", "links-0", "nodes-10"))
    assert list(drawn) == ["sweep-links"]
    assert png(drawn["sweep-links"])
    axes = drawn["sweep-links"].axes[0]
    assert list(axes.get_xticks()) == [0.0, 0.25]
    assert {text.get_text() for text in axes.texts} == {
        "bound, rates known", "bound, all known", "a", "b",
    }  # fmt: skip


def test_labels_move_apart_no_more_than_needed():
    """50 and 51 share their mean 50.5: 49 and 52 are 3 apart."""
    assert apart([80.0, 51.0, 50.0], 3.0) == [80.0, 52.0, 49.0]


@given(st.lists(st.floats(0, 100), max_size=12))
def test_labels_never_touch(values):
    places = sorted(apart(values, 3.0))
    assert all(b - a > 3.0 - 1e-9 for a, b in zip(places, places[1:], strict=False))
    assert sum(places) == pytest.approx(sum(values))
