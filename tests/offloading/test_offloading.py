"""The offloading instance: rounding, hash, validation, files."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.units import DROPPED, INFINITE_NS, UNLIMITED, to_ns
from tests.support.tiny import tiny_instance

RESOURCES = [Resource("uplink", kind="uplink"), Resource("A")]
GO = Option("A", [Stage("uplink", 1.0), Stage("A", 2.0)])


def build(*tasks: Task, resources: list[Resource] | None = None) -> OffloadingInstance:
    return OffloadingInstance.from_tasks(RESOURCES if resources is None else resources, tasks)


def one() -> OffloadingInstance:
    return build(Task(0.5, [GO, Option("local", [Stage("A", 1.0)])], deadline_s=3.0))


# ------------------------------------------------------------------------------ what it holds
def test_flat_arrays_of_a_small_instance():
    """One task with two options: uplink then A, and A alone; times in ns."""
    x = one()
    assert (x.n_tasks, x.n_options, x.n_resources) == (1, 2, 2)
    assert x.service_ns.tolist() == [10**9, 2 * 10**9, 10**9]
    assert x.stage_ptr.tolist() == [0, 2, 3]
    assert x.stage_resource.tolist() == [0, 1, 1]
    assert x.pred.tolist() == [0]
    assert x.pred_ptr.tolist() == [0, 0, 1, 1]
    assert (x.release_ns[0], x.deadline_ns[0]) == (5 * 10**8, 3 * 10**9)
    assert x.drop_cost_ns[0] == INFINITE_NS
    assert x.option_name(0, 1) == "local"
    assert x.option_name(0, DROPPED) == "dropped"
    assert x.is_chain
    assert not x.needs_events


def test_times_are_rounded_once_to_nanoseconds():
    """Half a nanosecond rounds to even; infinity has its own value."""
    assert to_ns([1e-9, 2.4e-9, 2.6e-9, np.inf]).tolist() == [1, 2, 3, INFINITE_NS]


def test_believed_times_are_the_realised_ones_unless_said():
    stages = [Stage("uplink", 1.0), Stage("A", 2.0, believed_s=5.0)]
    x = build(Task(0.0, [Option("A", stages)]))
    assert x.service_ns.tolist() == [10**9, 2 * 10**9]
    assert x.believed_ns.tolist() == [10**9, 5 * 10**9]


def test_dags_and_failures_are_recognised():
    """Two sources and a join; failures make such an instance need the event kernel."""
    stages = [Stage("uplink", 1.0), Stage("A", 1.0, after=()), Stage("A", 1.0, after=(0, 1))]
    x = build(Task(0.0, [Option("join", stages)]))
    assert not x.is_chain
    assert not x.needs_events
    failing = [RESOURCES[0], Resource("A", down_s=[(1.0, 2.0)])]
    assert build(Task(0.0, [Option("join", stages)]), resources=failing).needs_events


def test_the_instance_is_frozen():
    x = one()
    with pytest.raises(ValueError, match="read-only"):
        x.service_ns[0] = 3
    with pytest.raises(AttributeError):
        x.owner = np.zeros(1)


def test_arrays_passed_in_are_copied_not_shared():
    """A later change of the caller's array changes nothing."""
    x = one()
    service = x.service_ns.copy()
    y = replace(x, service_ns=service)
    service[0] = 7
    assert y.service_ns[0] == 10**9


def test_the_hash_sees_content_and_not_names():
    """Names and provenance can change without a new hash; a service time cannot."""
    x = one()
    assert replace(x, task_names=("other",), meta={"seed": 1}).content_hash == x.content_hash
    for name in ("service_ns", "believed_ns", "release_ns", "fixed_cost_ns", "deadline_ns"):
        other = replace(x, **{name: getattr(x, name) + 1})
        assert other.content_hash != x.content_hash


# ------------------------------------------------------------------------------ bad input
def stage(seconds: float, **more: object) -> Task:
    return Task(0.0, [Option("A", [Stage("A", seconds, **more)])])


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (stage(-1.0), r"service_ns\[0\] = -1000000000 is negative"),
        (stage(float("nan")), r"service_s\[0\] = nan is not a number"),
        (stage(float("inf")), r"service_ns\[0\] = \d+ is infinite"),
        (stage(float("-inf")), r"service_s\[0\] = -inf is minus infinity"),
        (stage(1e9), r"service_s\[0\] = 1000000000\.0 is larger than 1e8 s"),
        (stage(1.0, believed_s=-1.0), r"believed_ns\[0\] = -1000000000 is negative"),
        (stage(1.0, believed_s=float("nan")), r"believed_s\[0\] = nan is not a number"),
        (Task(-1.0, [GO]), r"release_ns\[0\] = -1000000000 is negative"),
        (Task(float("nan"), [GO]), r"release_s\[0\] = nan is not a number"),
        (Task(float("inf"), [GO]), r"release_ns\[0\] = \d+ is infinite"),
        (Task(0.0, [GO], deadline_s=-0.1), r"deadline_ns\[0\] = -100000000 is negative"),
        (Task(0.0, [GO], deadline_s=float("nan")), r"deadline_s\[0\] = nan is not a number"),
        (Task(0.0, [GO], drop_cost_s=-1.0), r"drop_cost_ns\[0\] = -1000000000 is negative"),
        (Task(0.0, [GO], drop_cost_s=float("nan")), r"drop_cost_s\[0\] = nan is not a number"),
        (Task(0.0, [GO], latency_weight=-1.0), r"latency_weight\[0\] = -1\.0 must be >= 0"),
        (Task(0.0, [GO], latency_weight=float("nan")), r"latency_weight\[0\] = nan must be >= 0"),
        (Task(0.0, [GO], latency_weight=1e308), r"latency_weight\[0\] = 1e\+308 is not below"),
        (
            Task(0.0, [Option("A", GO.stages, fixed_cost_s=float("inf"))]),
            r"fixed_cost_ns\[0\] = \d+ is infinite",
        ),
    ],
)
def test_bad_numbers_are_refused(task: Task, message: str):
    with pytest.raises(ValueError, match=message):
        build(task)


def test_unsorted_releases_are_refused():
    with pytest.raises(ValueError, match=r"release_ns\[1\] = 0 is earlier than the release before"):
        build(Task(1.0, [GO]), Task(0.0, [GO]))


def test_an_option_without_stages_is_refused():
    with pytest.raises(ValueError, match=r"stages = \[\] of option '"):
        build(Task(0.0, [GO, Option("nothing", [])]))


def test_an_unknown_resource_is_refused():
    message = r"tasks\[0\]\.options\['B'\]\.stages\[1\]\.resource: unknown resource 'B'"
    with pytest.raises(ValueError, match=message):
        build(Task(0.0, [Option("B", [Stage("uplink", 1.0), Stage("B", 1.0)])]))


@pytest.mark.parametrize("after", [((1,), (0,)), ((0,), ()), ((2,), (0,))])
def test_cyclic_stage_graphs_are_refused(after: tuple[tuple[int, ...], ...]):
    """Two stages that wait for each other, one that waits for itself, a cycle behind a third."""
    stages = [Stage("A", 1.0, after=a) for a in after]
    if after[0] == (2,):
        stages.append(Stage("A", 1.0, after=(1,)))
    with pytest.raises(ValueError, match=r"stages\[0\] = 0 lies on or behind a cycle"):
        build(Task(0.0, [Option("A", stages)]))


def test_predecessors_outside_the_option_or_listed_twice_are_refused():
    with pytest.raises(ValueError, match=r"stages\[0\]\.after: no stage 5"):
        build(Task(0.0, [Option("A", [Stage("A", 1.0, after=(5,))])]))
    twice = [Stage("A", 1.0), Stage("A", 1.0, after=(0, 0))]
    with pytest.raises(ValueError, match=r"pred\[1\] = 0 is listed twice for one stage"):
        build(Task(0.0, [Option("A", twice)]))


def test_empty_lists_are_refused():
    with pytest.raises(ValueError, match="tasks: the list is empty"):
        build()
    with pytest.raises(ValueError, match="unknown resource"):
        build(Task(0.0, [GO]), resources=[])


def test_a_task_without_options_is_refused():
    with pytest.raises(ValueError, match=r"options = \[\] of task "):
        build(Task(0.0, [GO]), Task(0.0, [], drop_cost_s=2.0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: build(Task(0.0, [GO]), resources=[*RESOURCES, Resource("A")]),
            r"resources\[2\]: duplicate name 'A'",
        ),
        (lambda: build(Task(0.0, [GO, GO])), r"tasks\[0\]\.options\[1\]: duplicate name 'A'"),
        (
            lambda: build(Task(0.0, [GO], name="x"), Task(0.0, [GO], name="x")),
            r"tasks\[1\]: duplicate name 'x'",
        ),
    ],
)
def test_duplicate_names_are_refused(make, message: str):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("resource", "message"),
    [
        (Resource("A", capacity=0), r"capacity\[1\] = 0 must be >= 1"),
        (Resource("A", capacity=-2), r"capacity\[1\] = -2 must be >= 1"),
        (Resource("A", capacity=1.5), r"capacity\[1\] = 1\.5 must be a whole number"),  # type: ignore[arg-type]
        (Resource("A", capacity=UNLIMITED + 1), r"capacity\[1\] = 2147483648 is out of range"),
        (Resource("A", down_s=[(-1.0, 1.0)]), r"down_ns start\[0\] = -1000000000 is negative"),
        (Resource("A", down_s=[(2.0, 1.0)]), r"down_ns end\[0\] = 1000000000 is not after"),
        (Resource("A", down_s=[(1.0, 1.0)]), r"down_ns end\[0\] = 1000000000 is not after"),
        (
            Resource("A", down_s=[(0.0, 2.0), (1.0, 3.0)]),
            r"down_ns start\[1\] = 1000000000 touches or precedes",
        ),
        (Resource("A", down_s=[(0.0, float("nan"))]), r"down_s\[0, 1\] = nan is not a number"),
    ],
)
def test_bad_resources_are_refused(resource: Resource, message: str):
    with pytest.raises(ValueError, match=message):
        build(Task(0.0, [GO]), resources=[RESOURCES[0], resource])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stage_resource": [0, 1, 9]}, r"stage_resource\[2\] = 9 is not one of the 2 resources"),
        ({"owner": [3]}, r"owner\[0\] = 3 is not one of the 1 owners"),
        ({"option_label": [0, 7]}, r"option_label\[1\] = 7 is not one of the 2 labels"),
        ({"pred": [2]}, r"pred\[0\] = 2 belongs to another option"),
        ({"pred": [-1]}, r"pred\[0\] = -1 is not one of the 3 stages"),
        ({"deadline_ns": [1, 2]}, "deadline_ns must have 1 entries, has 2"),
        ({"option_ptr": [0, 1]}, "option_ptr must rise from 0 to 2, is 0 to 1"),
        ({"stage_ptr": [0, 3]}, "stage_ptr must have 3 entries, has 2"),
        ({"service_ns": [1.5, 2.0, 3.0]}, "service_ns: must hold whole numbers, has dtype float64"),
        ({"capacity": [2**40, 1]}, r"capacity\[0\] = 1099511627776 is out of range"),
    ],
)
def test_inconsistent_arrays_are_refused(changes: dict, message: str):
    with pytest.raises(ValueError, match=message):
        replace(one(), **changes)


# ------------------------------------------------------------------------------ files
@pytest.mark.parametrize("name", ["x.json", "x.json.gz"])
def test_an_instance_survives_its_file(tmp_path: Path, name: str):
    """Every field and the hash come back, compressed or not."""
    for seed in range(5):
        x = tiny_instance(seed)
        x.save(tmp_path / name)
        y = OffloadingInstance.load(tmp_path / name)
        assert y.content_hash == x.content_hash
        for f in fields(x):
            a, b = getattr(x, f.name), getattr(y, f.name)
            assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b


def test_equal_instances_make_equal_files(tmp_path: Path):
    for name in ("a.json.gz", "b.json.gz"):
        tiny_instance(3).save(tmp_path / name)
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()


def saved(tmp_path: Path) -> tuple[Path, dict]:
    path = tmp_path / "x.json"
    one().save(path)
    return path, json.loads(path.read_text())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 99}, "version is 99, this mecopt reads version 1"),
        ({"version": None}, "version is None"),
        ({"schema": "mecopt.schedule"}, "schema is 'mecopt.schedule', expected 'mecopt.offl"),
        ({"content_hash": "0"}, "content_hash does not match the content"),
        ({"service_ns": [1, 1, 1]}, "content_hash does not match the content"),
        ({"service_ns": [-1, 1, 1]}, r"service_ns\[0\] = -1 is negative"),
        ({"service_ns": None}, "x.json: malformed field|service_ns: must hold whole numbers"),
        ({"owner": [[0, 1], [2]]}, "inhomogeneous|malformed field"),
    ],
)
def test_a_malformed_file_is_refused(tmp_path: Path, change: dict, message: str):
    """The message says what is wrong; another version is not guessed at."""
    path, body = saved(tmp_path)
    path.write_text(json.dumps(body | change))
    with pytest.raises(ValueError, match=message):
        OffloadingInstance.load(path)


def test_a_missing_field_is_named(tmp_path: Path):
    path, body = saved(tmp_path)
    del body["deadline_ns"]
    path.write_text(json.dumps(body))
    with pytest.raises(ValueError, match=r"x\.json: field 'deadline_ns' is missing"):
        OffloadingInstance.load(path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", gzip.compress(b"{}", mtime=0)[:9]])
def test_what_is_not_json_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.json: not a readable JSON document"):
        OffloadingInstance.load(tmp_path / "x.json")


def test_a_json_list_is_refused(tmp_path: Path):
    (tmp_path / "x.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"x\.json: schema is 'list', expected"):
        OffloadingInstance.load(tmp_path / "x.json")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"none\.json: no such file"):
        OffloadingInstance.load(tmp_path / "none.json")
    with pytest.raises(ValueError, match="is a folder, not a file"):
        OffloadingInstance.load(tmp_path)


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path: Path, monkeypatch):
    """A disk that fills up in the middle: the old content stays and no part file remains."""
    path, _ = saved(tmp_path)
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        tiny_instance(1).save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["x.json"]


def test_an_interrupt_leaves_the_old_file_whole(tmp_path: Path, monkeypatch):
    """Ctrl-C just before the new file takes the old one's place."""
    path, _ = saved(tmp_path)
    before = path.read_bytes()

    def interrupted(source: str, target: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tiny_instance(1).save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["x.json"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_device_is_an_error():
    with pytest.raises(OSError, match="No space left on device"):
        one().save("/dev/full")
