"""What an instance says was left out when it was made is printed by the commands."""

import dataclasses

import pytest
from typer.testing import CliRunner

from mecopt.bench.suite import Suite
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
