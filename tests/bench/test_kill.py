"""A run that is killed in the middle of a write ends as if nothing had happened."""

from benchmarks.trust import kill
from mecopt.bench import run as benchmark
from mecopt.bench.suite import Suite


def test_a_run_killed_while_it_writes_a_part_ends_with_the_same_tables(tmp_path):
    """SIGKILL before the second part is in place: one part is kept, two units are done again."""
    options = {"servers": 1, "task_mbit": (1.0, 1.0)}  # a solve takes a tenth of a second
    suite = Suite("comllm", ("paper",), (0, 3), ("random",), gap=0.05, options=options)
    point = kill.Point("while a part is written", r"/parts/[^/]+\.json", 2, before=True)
    line = [
        "bench", "comllm", "--preset", "paper", "--seeds", "0:3", "--policies", "random",
        "--gap", "0.05", "--servers", "1", "--task-mbit", "1:1", "--jobs", "1",
        "--out", str(tmp_path / "killed"),
    ]  # fmt: skip
    assert kill.mecopt(line, point) == (-9, "")
    kept = list((tmp_path / "killed" / "parts").glob("*.json"))
    assert [path.name for path in kept] == ["paper-0.json"]
    before = kept[0].read_bytes()
    benchmark.run(suite, tmp_path / "killed", jobs=1)
    benchmark.run(suite, tmp_path / "alone", jobs=1)
    assert kept[0].read_bytes() == before
    assert kill.differences(tmp_path / "alone", tmp_path / "killed") == []
    assert not list((tmp_path / "killed").rglob(".*"))
