"""Snapshots on the command line: solve, verify, bench, queries of one's own."""

import json

import numpy as np
import pytest

from mecopt.accuracy_delay import QuerySnapshot, replay
from mecopt.accuracy_delay.scenarios import goa
from tests.accuracy_delay.test_queries import write
from tests.support.command import mecopt


@pytest.fixture(autouse=True)
def work_folder(tmp_path, monkeypatch):
    """Every test in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_solve_writes_what_a_replay_finds(work_folder):
    """And a certificate that holds."""
    done = mecopt(
        "solve", "--scenario", "goa", "--users", 6, "--seed", 3, "--shares", "optimal",
        "--json", "out.json", "--save-instance", "x.json", "--certificate", "proof.json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    record = json.loads((work_folder / "out.json").read_text())
    x = QuerySnapshot.load("x.json")
    assert x.content_hash == record["instance_hash"]
    assert x.content_hash == goa.generate(6, 3, shares="optimal").content_hash
    found = replay(x, np.array(record["choice"]))
    assert found.objective == pytest.approx(record["objective"], rel=1e-12)
    assert found.expected_accuracy == pytest.approx(record["expected_accuracy"])
    checked = mecopt("verify", "proof.json")
    assert checked.exit_code == 0 and "accepted" in checked.output.lower()


def test_solve_takes_an_instance_file(work_folder):
    """`--scenario goa --instance FILE` is that file's snapshot."""
    x = goa.generate(5, 1, kappa_s=4.0)
    x.save("x.json.gz")
    done = mecopt("solve", "--scenario", "goa", "--instance", "x.json.gz", "--json", "out.json")
    assert done.exit_code == 0, done.output
    record = json.loads((work_folder / "out.json").read_text())
    assert record["instance_hash"] == x.content_hash


def test_an_accuracy_out_of_reach_is_an_answer(work_folder):
    """Servers are right in 9 of 10 cases: 0.99 is infeasible, and 0.9 is what can be reached."""
    done = mecopt(
        "solve", "--scenario", "goa", "--users", 4, "--accuracy", 0.99, "--json", "out.json"
    )
    assert "the most accurate decision has 0.9" in " ".join((done.output + done.stderr).split())
    record = json.loads((work_folder / "out.json").read_text())
    assert record["termination"] == "infeasible" and record["choice"] is None


def test_queries_of_ones_own(work_folder):
    """Two CSV files are solved, and scored."""
    queries, servers = write(work_folder)
    tables = ("--queries", queries, "--servers-file", servers, "--kappa", 2)
    done = mecopt("solve", "--scenario", "queries", *tables, "--json", "out.json")
    assert done.exit_code == 0, done.output
    record = json.loads((work_folder / "out.json").read_text())
    assert (
        record["instance_hash"]
        == QuerySnapshot.from_csv(queries, servers, kappa_s=2.0).content_hash
    )
    # ann 2.5 - 0.5 at near, bob 4 - 1.5 at far: each is there alone.
    assert record["objective"] == pytest.approx(4.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("goa", "--users", "many"), "users = 'many' must be a whole number >= 1"),
        (("goa", "--accuracy", "2"), "accuracy = 2.0 must be between 0 and 1"),
        (("goa", "--shares", "fair"), "shares = 'fair' must be one of equal, optimal"),
        (("goa", "--margins", "none.json"), "none.json"),
        (("queries", "--queries", "none.csv"), "servers_file"),
        (
            ("queries", "--queries", "none.csv", "--servers-file", "none.csv"),
            "none.csv",
        ),
    ],
)
def test_bad_arguments_are_one_line(arguments, message):
    """Status 2, the argument and its value, no traceback."""
    done = mecopt("solve", "--scenario", *arguments)
    assert done.exit_code == 2 and message in done.stderr
    assert done.stderr.count("\n") == 1 and done.stdout == ""


def test_bench_writes_the_documented_records(work_folder):
    """One record per rule and seed; no rule is below the bound."""
    done = mecopt(
        "bench", "goa", "--users", 4, "--seeds", "0:2", "--policies", "goa,all-local",
        "--jobs", 1, "--out", "run", "--json", "out.json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    records = json.loads((work_folder / "out.json").read_text())
    assert len(records) == 4
    keys = "policy seed users mean_delay_s p95_delay_s expected_accuracy offloaded_share "
    keys += "objective bound gap_to_bound decision_seconds"
    for record in records:
        assert set(keys.split()) <= set(record)
        assert record["bound"] <= record["objective"] + 1e-9
    assert (work_folder / "run" / "report.html").exists()
