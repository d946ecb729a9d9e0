"""What an instance says was left out when it was made is printed by the commands."""

import dataclasses

import pytest
from typer.testing import CliRunner

from mecopt.bench.suite import Suite
from mecopt.bench.unit import seen_before
from mecopt.cli.app import app
from mecopt.offloading.scenarios import comllm

NOTE = "mine.csv: 1 of 4 requests have no output; they failed and are left out"


@pytest.fixture
def noted(compiled_offloading):
    small = comllm.generate("paper", 0, users=2, servers=2, slots=4)
    return dataclasses.replace(small, meta={**small.meta, "notes": [NOTE]})


def test_solve_prints_the_notes(noted, tmp_path):
    """Once, from the meta of the file."""
    noted.save(tmp_path / "x.json")
    done = CliRunner().invoke(app, ["solve", "--instance", str(tmp_path / "x.json")])
    assert done.exit_code == 0 and done.output.splitlines().count(NOTE) == 1


def test_bench_prints_each_note_once(noted, tmp_path, monkeypatch):
    """Two seeds of one trace say the same."""
    monkeypatch.setattr(Suite, "instance", lambda self, unit: noted)
    words = "bench comllm --seeds 0:2 --policies random --time-limit 1 --jobs 1 --out"
    done = CliRunner().invoke(app, [*words.split(), str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines().count(NOTE) == 1


def test_bench_says_which_seeds_a_policy_has_seen(noted, tmp_path, monkeypatch):
    """Priced numbers are tuned on seeds 1000 to 1029; the page says it, too."""
    monkeypatch.setattr(Suite, "instance", lambda self, unit: noted)
    for seeds, times in (("0:1", 0), ("1000:1002", 1)):
        out = tmp_path / seeds.replace(":", "-")
        words = f"bench comllm --seeds {seeds} --policies priced --time-limit 1 --jobs 1 --out"
        done = CliRunner().invoke(app, [*words.split(), str(out)])
        assert done.exit_code == 0, done.output
        said = "priced was tuned on seeds 1000 to 1029, which this benchmark uses"
        assert done.output.count(said) == times
        assert (out / "report.html").read_text().count(said) == times


def test_seeds_that_a_policy_has_seen() -> None:
    """What a policy says of itself: ranges of tuning and training; others have seen nothing."""

    class Trained:
        seen_seeds = {"tune": [1000, 9999], "train": [10_000, 10_500]}

    assert seen_before("it", Trained(), 999) == []
    assert seen_before("it", Trained(), 10_501) == []
    assert seen_before("it", object(), 10_000) == []
    (note,) = seen_before("it", Trained(), 10_500)
    assert note.startswith("it was trained on seeds 10000 to 10500, which this benchmark uses")
