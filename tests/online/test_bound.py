"""The result of an online bound: figures, files, means."""

from __future__ import annotations

import json

import numpy as np
import pytest

from formulations.online.bound import OnlineBound, mean, student_95


def bound(*sample: float, worlds: int = 4, **changes) -> OnlineBound:
    fields = {
        "sample_slots": np.array(sample),
        "expected_tasks": 10.0,
        "slot_s": 0.1,
        "method": "users-alone",
        "worlds": worlds,
        "seconds": 1.0,
        "relaxed": ("no waits",),
        "provenance": {"seed": 1},
    }
    return OnlineBound(**fields | changes)


def test_estimate_and_confidence_bound():
    """Mean 4, standard deviation 2 / sqrt(3), error half of that: 4 - 2.3534 / sqrt(3) = 2.641."""
    found = bound(3.0, 3.0, 5.0, 5.0)
    assert found.estimate_slots == pytest.approx(4.0)
    assert found.lower_95_slots == pytest.approx(4 - 2.3534 / np.sqrt(3), abs=1e-6)
    assert found.lower_95_per_task_slots == pytest.approx(found.lower_95_slots / 10)


def test_nothing_sampled_has_no_error():
    assert bound(7.0, worlds=0).lower_95_slots == pytest.approx(7.0)


def test_one_sampled_world_has_no_interval():
    with pytest.raises(ValueError, match="one figure has no interval"):
        _ = bound(7.0, worlds=1).lower_95_slots


def test_students_quantiles():
    """Known values, and never less than the normal one."""
    assert student_95(1) == pytest.approx(6.314, abs=1e-3)
    assert student_95(7) == pytest.approx(1.895, abs=1e-3)
    assert student_95(1_000) > 1.6449


def test_file_and_back(tmp_path):
    """Equal content, and a changed figure is noticed."""
    found = bound(3.0, 5.0)
    found.save(tmp_path / "bound.json")
    again = OnlineBound.load(tmp_path / "bound.json")
    assert again.content_hash == found.content_hash
    assert again.relaxed == ("no waits",)
    body = json.loads((tmp_path / "bound.json").read_text())
    body["sample_slots"][0] = 9.0
    (tmp_path / "bound.json").write_text(json.dumps(body))
    with pytest.raises(ValueError, match="content_hash does not match"):
        OnlineBound.load(tmp_path / "bound.json")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("sample_slots", [], "sample_slots"),
        ("sample_slots", ["x"], "sample_slots"),
        ("sample_slots", None, "sample_slots"),
        ("worlds", -1, "worlds"),
        ("worlds", 0, "nothing was sampled"),
        ("expected_tasks", 0, "expected_tasks"),
        ("method", 3, "method"),
        ("relaxed", "text", "relaxed"),
        ("provenance", [1], "provenance"),
    ],
)
def test_malformed_files_are_refused(tmp_path, field, value, said):
    """One line that names the file and the field."""
    path = tmp_path / "bound.json"
    bound(3.0, 5.0).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(ValueError, match=f"bound.json.*{said}"):
        OnlineBound.load(path)


def test_mean_over_draws_of_servers():
    """Figure by figure: (1 + 3) / 2 and (2 + 6) / 2; bounds that are not alike are refused."""
    both = mean([bound(1.0, 2.0), bound(3.0, 6.0)])
    np.testing.assert_allclose(both.sample_slots, [2.0, 4.0])
    assert both.worlds == 8
    with pytest.raises(ValueError, match="empty"):
        mean([])
    with pytest.raises(ValueError, match="method differs"):
        mean([bound(1.0, 2.0), bound(1.0, 2.0, method="other")])
    with pytest.raises(ValueError, match="number of figures"):
        mean([bound(1.0, 2.0), bound(1.0, 2.0, 3.0)])
