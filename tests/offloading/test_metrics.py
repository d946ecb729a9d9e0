"""Costs, gaps, fairness, decision times and intervals of the scorecard."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mecopt import statistics
from mecopt.offloading import metrics, schedule_file
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.policies.simple import LeastLoaded, Local, OneStepOracle
from mecopt.offloading.replay import replay, timed_rollout
from mecopt.offloading.scenarios import comllm


def two_servers() -> OffloadingInstance:
    """Three tasks at 0, 0 and 1 s; server a takes 2 s, server b 3 s; drop cost 10 s."""
    options = [Option("a", [Stage("server a", 2.0)]), Option("b", [Stage("server b", 3.0)])]
    tasks = [Task(release, options, drop_cost_s=10.0) for release in (0.0, 0.0, 1.0)]
    return OffloadingInstance.from_tasks([Resource("server a"), Resource("server b")], tasks)


def test_gaps_by_hand():
    """Cost 12 against bound 10 is 20 %, against a best schedule of 11 it is 1/11."""
    assert statistics.gap_to_bound(12.0, 10.0) == pytest.approx(0.2)
    assert statistics.gap_to_incumbent(12.0, 11.0) == pytest.approx(1 / 11)


def test_gap_of_a_negative_bound_is_relative_to_its_size():
    """Rewards make bounds negative: (-8 - -10) / 10."""
    assert statistics.gap_to_bound(-8.0, -10.0) == pytest.approx(0.2)


def test_gap_without_a_known_schedule_is_not_a_number():
    """There is never a dummy 100 %."""
    assert np.isnan(statistics.gap_to_incumbent(12.0, float("inf")))


def test_performance_ratio_by_hand():
    """A policy of 4 slots where the oracle has 3: 75 %."""
    assert metrics.performance_ratio(3.0, 4.0) == 0.75


def test_jain_by_hand():
    """One of two servers does everything: 1/2; shares 1 and 3: 16 / (2 x 10)."""
    assert statistics.jain([4.0, 0.0]) == pytest.approx(0.5)
    assert statistics.jain([1.0, 3.0]) == pytest.approx(0.8)
    assert statistics.jain([0.0, 0.0]) == 1.0


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=8), st.floats(0.01, 100))
def test_jain_lies_between_one_nth_and_one_and_ignores_scale(shares, scale):
    """The two properties that make it an index."""
    index = statistics.jain(shares)
    assert 1 / len(shares) - 1e-9 <= index <= 1 + 1e-9
    if min(shares) > 1e-3:
        assert statistics.jain(np.array(shares) * scale) == pytest.approx(index)


@pytest.mark.parametrize(
    ("shares", "message"), [([], "is empty"), ([1.0, -2.0], r"-2\.0"), ([np.nan], "finite")]
)
def test_jain_refuses_what_has_no_share(shares, message):
    """Negative shares would make the index meaningless."""
    with pytest.raises(ValueError, match=message):
        statistics.jain(shares)


def test_tasks_per_server_counts_what_was_sent():
    """Tasks 0 and 2 go to a, task 1 to b; a dropped task counts nowhere."""
    x = two_servers()
    assert metrics.tasks_per_server(replay(x, [0, 1, 0])).tolist() == [2, 1]
    assert metrics.tasks_per_server(replay(x, [0, -1, -1])).tolist() == [1, 0]
    assert metrics.assignment_fairness(replay(x, [0, 1, 0])) == pytest.approx(9 / 10)


def test_backlog_fairness_by_hand():
    """The one-step oracle meets backlogs (0, 0), (2, 0) and (1, 2) s: (1 + 1/2 + 9/10) / 3.

    Task 0 takes a (2 s). Task 1 would wait there until 4 s, b ends at 3 s: it takes b. At 1 s one
    second of a and two of b are left.
    """
    recorder = metrics.Recorder(OneStepOracle())
    timed_rollout(two_servers(), recorder)
    assert np.array(recorder.backlog_s).tolist() == [[0, 0], [2, 0], [1, 2]]
    expected = (1 + 0.5 + 0.9) / 3
    assert metrics.backlog_fairness(np.array(recorder.backlog_s)) == pytest.approx(expected)


def test_backlog_is_sampled_on_long_instances(monkeypatch):
    """Reading every queue at every decision would dominate large runs."""
    monkeypatch.setattr(metrics, "BACKLOG_STATES", 10)
    x = comllm.generate("paper", 1, slots=30)
    recorder = metrics.Recorder(OneStepOracle())
    timed_rollout(x, recorder)
    assert len(recorder.wall_s) == x.n_tasks
    assert 5 <= len(recorder.backlog_s) <= 10


def test_recording_does_not_change_decisions():
    """The recorder only watches."""
    x = comllm.generate("busy", 3, slots=20)
    plain, _ = timed_rollout(x, LeastLoaded())
    watched, _ = metrics.run_policy(x, LeastLoaded())
    assert np.array_equal(plain.choice, watched.choice)


def test_run_policy_row():
    """Oracle costs 2, 3 and 3 s (task 2 waits for a until 2 s): mean 8/3 s, nothing dropped."""
    schedule, row = metrics.run_policy(two_servers(), OneStepOracle())
    assert schedule.choice.tolist() == [0, 1, 0]
    assert row["mean_cost_s"] == pytest.approx(8 / 3)
    assert row["drop_rate"] == 0.0
    assert 0 < row["decision_seconds_p50"] <= row["decision_seconds_p99"]
    assert row["mean_cost_charged_s"] > row["mean_cost_s"]


def test_fairness_without_servers_has_no_figure():
    """An instance of devices only has no servers to be fair to."""
    device = Resource("phone", kind="device")
    x = OffloadingInstance.from_tasks([device], [Task(0.0, [Option("local", [Stage("phone", 1)])])])
    _, row = metrics.run_policy(x, Local())
    assert np.isnan(row["backlog_fairness"])
    assert np.isnan(row["assignment_fairness"])


def test_bootstrap_interval_holds_the_mean_and_is_seeded():
    """Equal seeds, equal intervals; the mean of 1..9 is 5."""
    values = np.arange(1.0, 10.0)
    low, high = statistics.bootstrap_interval(values, seed=3)
    assert low < 5.0 < high
    assert statistics.bootstrap_interval(values, seed=3) == (low, high)


def test_bootstrap_interval_covers_as_often_as_it_says():
    """On 200 samples of 20 normal figures, about 93 % of intervals hold the true mean 0."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        low, high = statistics.bootstrap_interval(rng.normal(size=20), resamples=500)
        held += low <= 0 <= high
    assert 0.86 <= held / 200 <= 0.99


@pytest.mark.parametrize("values", [[3.0], [1.0, np.inf], []])
def test_no_interval_where_there_is_nothing_to_resample(values):
    """One instance says nothing about spread."""
    assert np.isnan(statistics.bootstrap_interval(values)).all()


def test_paired_difference_is_tighter_than_the_spread():
    """b = a + 1 on every instance: the difference is 1 with no width, however wide a spreads."""
    a = np.array([1.0, 50.0, 100.0])
    assert statistics.paired_difference(a + 1.0, a) == (1.0, 1.0, 1.0)


def test_paired_difference_needs_pairs():
    """Figures of other instances do not pair."""
    with pytest.raises(ValueError, match="do not pair"):
        statistics.paired_difference([1.0, 2.0], [1.0])


# ---------------------------------------------------------------- schedule files
def test_schedule_file_round_trip(tmp_path):
    """A schedule file gives back the schedule, replayed."""
    x = two_servers()
    schedule_file.save(tmp_path / "s.json", replay(x, [0, 1, 0]))
    again = schedule_file.load(tmp_path / "s.json", x)
    assert again.choice.tolist() == [0, 1, 0]
    assert again.objective == replay(x, [0, 1, 0]).objective


def test_schedule_file_of_another_instance_is_refused(tmp_path):
    """The hash says which instance it belongs to."""
    schedule_file.save(tmp_path / "s.json", replay(two_servers(), [0, 1, 0]))
    with pytest.raises(ValueError, match="instance_hash"):
        schedule_file.load(tmp_path / "s.json", comllm.generate("paper", 0, slots=5))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"objective":8.0', '"objective":7.5', r"objective is 7\.5, the replay costs 8\.0"),
        ('"choice":[0,1,0]', '"choice":[0,1,2]', r"choice\[2\] = 2"),
        ('"choice":[0,1,0]', '"choice":[0,1]', "must have 3 entries"),
        ('"choice":[0,1,0]', '"choice":null', "'choice' is missing"),
        ('"version":1', '"version":9', "version is 9"),
    ],
)
def test_schedule_file_that_lies_is_refused(tmp_path, old, new, message):
    """Whatever was changed by hand is found by the replay."""
    x, path = two_servers(), tmp_path / "s.json"
    schedule_file.save(path, replay(x, [0, 1, 0]))
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=message):
        schedule_file.load(path, x)
