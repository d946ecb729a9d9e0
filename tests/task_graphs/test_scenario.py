"""WiFi episodes: parameters with tags, the network, tasks, users out of range."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from mecopt.edge import contention
from mecopt.task_graphs.episode import Episode
from mecopt.task_graphs.scenarios import requests, wifi

SMALL = {"horizon_s": 30.0, "ues": 3}


def test_every_parameter_has_a_tag() -> None:
    """P printed, D ours; nothing else, and nothing left out."""
    assert set(wifi.TAGS) == {f.name for f in fields(wifi.Parameters)}
    assert set(wifi.TAGS.values()) == {"P", "D"}


def test_equal_seeds_give_equal_episodes() -> None:
    """Other task seeds keep the network and change the tasks."""
    one, same = (wifi.episode("paper", 3, **SMALL) for _ in range(2))
    assert one.instance.content_hash == same.instance.content_hash
    other = wifi.episode("paper", 3, task_seed=1, **SMALL)
    assert other.network == one.network
    assert other.instance.content_hash != one.instance.content_hash


def test_an_upload_takes_what_contention_says() -> None:
    """The first stage of the nearest-edge option holds the channel for the airtime of its input."""
    episode = wifi.episode("paper", 0, aps=1, **SMALL)
    x = episode.instance
    crowd = contention.fixed_point(sum(link.channel != "" for link in episode.network.links) + 1)
    for k, task in enumerate(episode.tasks):
        link = next(link for link in episode.network.links if link.a == task.origin)
        rate = link.bit_per_s * (1.0 + crowd.collisions_per_success)
        upload = int(x.stage_ptr[x.option_ptr[k] + 1])
        seconds = float(contention.airtime_s(task.input_bits, rate, crowd))
        assert x.resource_names[x.stage_resource[upload]] == "channel 0"
        assert x.service_ns[upload] == pytest.approx(1e9 * seconds, abs=1.0)


def test_users_out_of_range_work_alone_and_it_is_said() -> None:
    """With a wall every 2 m nobody hears an access point: one way as one call, one split."""
    x = wifi.generate("paper", 0, room_m=2.0, **SMALL)
    assert x.meta["notes"] == ["ue 0, ue 1, ue 2: out of range of every access point, works alone"]
    assert set(x.labels) <= {"+".join(["device"] * n) for n in range(1, 6)}
    assert (np.diff(x.option_ptr) <= 2).all()


def test_a_snapshot_is_one_task_of_everybody() -> None:
    """Horizon 0: all are released at 0."""
    x = wifi.generate("snapshot", 0, ues=4)
    assert x.release_ns.tolist() == [0, 0, 0, 0]
    assert x.owner.tolist() == [0, 1, 2, 3]


def test_an_episode_without_arrivals_has_one_task() -> None:
    """Instances are never empty."""
    assert wifi.generate("paper", 0, arrivals_per_ue_s=1e-9).n_tasks == 1


@pytest.mark.parametrize("most", [1, 2, 5])
def test_plans_have_as_many_subtasks_as_asked(most: int) -> None:
    """A request has at most 4 steps, for an aggregator may come on top."""
    episode = wifi.episode("paper", 0, most_subtasks=most)
    sizes = {len(task.plan) for task in episode.tasks}
    assert sizes == set(range(1, most + 1)) or (most == 2 and sizes == {1})


def test_loose_ends_get_an_aggregator_that_reads_them() -> None:
    """Steps 1 and 2 stand alone, 3 builds on 1: 2 and 3 are read, 60 + 2 x 25 = 110 tokens."""
    steps = [requests.Step("retrieve", "usual", "plain", after) for after in ((), (), (0,))]
    plan = requests.assemble(requests.Request("law", tuple(steps)), [10, 20, 30], [0.1] * 3, 100.0)
    assert plan.before == ((), (), (0,), (1, 2))
    assert (plan.subtasks[3].role, plan.subtasks[3].output_tokens) == ("aggregate", 110.0)
    # No step is of a critical role, so the last one is.
    assert [s.critical for s in plan.subtasks] == [False, False, True, True]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"aps": 0}, "aps"),
        ({"ues": 2.5}, "ues"),
        ({"most_subtasks": 7}, "most_subtasks = 7 must be at most 6"),
        ({"horizon_s": -1.0}, "horizon_s = -1.0 must be >= 0"),
        ({"room_m": 0.0}, "room_m = 0.0 must be > 0"),
        ({"ap_tflops": (3.0, 1.0)}, "ap_tflops"),
        ({"chained": 1.5}, "chained = 1.5"),
        ({"colour": 1}, "colour"),
    ],
)
def test_bad_parameters_are_named(changes: dict[str, object], message: str) -> None:
    """One line with name and value."""
    with pytest.raises(ValueError, match=message):
        wifi.generate("paper", 0, **changes)


def test_episodes_are_read_back_from_files(tmp_path) -> None:
    """Plans and network travel with the instance."""
    episode = wifi.episode("paper", 1, **SMALL)
    episode.instance.save(tmp_path / "x.json")
    read = type(episode.instance).load(tmp_path / "x.json")
    again = Episode.of(read)
    assert [t.plan for t in again.tasks] == [t.plan for t in episode.tasks]
    assert again.network == episode.network
