"""Caching on the command line: solve, bench and its run folder, the report page."""

import functools
import json

import numpy as np
import pytest

from mecopt.bench import run as benchmark
from mecopt.bench import scorecard
from mecopt.bench.run_folder import RunFolder, resume_command
from mecopt.bench.suite import Suite
from mecopt.bench.unit import BrokenBound
from mecopt.caching import CachingInstance, plan_file, replay, rollout
from mecopt.caching.policies import by_name as policies
from mecopt.caching.scenarios import t2drl as caching
from tests.support.command import mecopt


@pytest.fixture(autouse=True)
def work_folder(tmp_path, monkeypatch):
    """Every test in a folder of its own, on episodes of 2 servers, 4 agents and 12 slots."""
    small = functools.partial(caching.generate, servers=2, agents=4, slots=12)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(caching, "generate", small)
    return tmp_path


# ---------------------------------------------------------------- solve
def test_solve_writes_the_documented_keys(work_folder):
    """And objective and cost split are those of the saved plan's replay."""
    done = mecopt(
        "solve", "--scenario", "caching", "--preset", "ten", "--seed", 3, "--json", "out.json",
        "--save-instance", "instance.json", "--save-schedule", "plan.json", "--time-limit", 10,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    record = json.loads((work_folder / "out.json").read_text())
    keys = "objective bound gap termination method seconds instance_hash bound_kind cost_split"
    assert set(record) == {*keys.split(), "edge_share"}
    x = CachingInstance.load("instance.json")
    assert record["instance_hash"] == x.content_hash == caching.generate("ten", 3).content_hash
    plan = plan_file.load("plan.json", x)
    assert plan.objective == pytest.approx(record["objective"], rel=1e-12)
    assert plan.cost_split == pytest.approx(record["cost_split"])
    assert sum(record["cost_split"].values()) == pytest.approx(record["objective"])
    assert record["bound"] <= record["objective"] * (1 + 1e-9)


def test_solve_takes_an_instance_file(work_folder):
    caching.generate("ten", 1).save("instance.json.gz")
    done = mecopt("solve", "--instance", "instance.json.gz", "--time-limit", 5, "--json", "o.json")
    assert done.exit_code == 0, done.output
    record = json.loads((work_folder / "o.json").read_text())
    assert record["instance_hash"] == caching.generate("ten", 1).content_hash


def test_solve_says_what_can_only_be_served_in_the_cloud():
    """70B and 34B models do not fit 20 GB."""
    caching.generate("ten", 0, capacity_gb=20.0).save("instance.json")
    done = mecopt("solve", "--instance", "instance.json", "--time-limit", 5)
    assert "larger than every server (cloud only)" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--preset", "huge"), "preset: unknown 'huge', one of base, ten"),
        (("--method", "milp"), "method: unknown 'milp', one of plans, network, big-m"),
        (("--window", "0:10"), "window: '0:10' needs --scenario traces"),
        (("--seed", "-1"), "seed = -1 must be a whole number >= 0"),
        (("--preset", "trace", "--data-dir", "nowhere"), "servegen_client_rates.csv.gz"),
    ],
)
def test_solve_refuses_in_one_line(arguments, message):
    done = mecopt("solve", "--scenario", "caching", *arguments)
    assert done.exit_code == 2 and message in done.stderr
    assert done.stderr.count("\n") == 1 and done.stdout == ""


# ---------------------------------------------------------------- plan files
def test_plan_files_are_replayed_when_read(work_folder):
    x = caching.generate("forwarding", 0)
    plan = rollout(x, policies.make("myopic"))
    plan_file.save("plan.json", plan)
    again = plan_file.load("plan.json", x)
    assert again.objective == plan.objective and np.array_equal(again.flow, plan.flow)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("objective", 1.0, "objective is 1.0, the replay costs"),
        ("instance_hash", "0" * 64, "instance_hash is .000000000000"),
        ("a", None, "field 'a' is missing or malformed"),
        ("flow", [[1]], "x must have shape"),
    ],
)
def test_damaged_plan_files_are_refused(work_folder, field, value, message):
    x = caching.generate("ten", 0)
    plan_file.save("plan.json", rollout(x, policies.make("myopic")))
    body = json.loads((work_folder / "plan.json").read_text())
    (work_folder / "plan.json").write_text(json.dumps({**body, field: value}))
    with pytest.raises(ValueError, match=message):
        plan_file.load("plan.json", x)


# ---------------------------------------------------------------- bench
SUITE = Suite(
    scenario="caching",
    presets=("ten", "forwarding"),
    seeds=(0, 2),
    policies=("myopic", "cloud", "lfu-sensible"),
    time_limit_s=3.0,
    gap=1e-3,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of `SUITE`, units done in this process (episodes are small in it only)."""
    small = functools.partial(caching.generate, servers=2, agents=4, slots=12)
    folder = RunFolder.open(tmp_path_factory.mktemp("bench") / "run", SUITE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(caching, "generate", small)
        for unit in SUITE.units:
            folder.write_part(unit, benchmark.run_unit(SUITE, unit))
        return benchmark.run(SUITE, folder.path)


def test_results_hold_gaps_and_parts_that_add_up(run):
    _, tables = run.read()
    results = tables["results"]
    assert len(results) == 2 * 2 * 3
    assert (results["bound"] <= results["incumbent"] * (1 + 1e-9)).all()
    assert (results["incumbent"] <= results["cost"] * (1 + 1e-9)).all()
    gap = results["cost"] / results["bound"] - 1
    assert results["gap_to_bound"].to_numpy() == pytest.approx(gap.to_numpy(), abs=1e-12)
    parts = [column for column in results if column.startswith("part_")]
    assert results[parts].sum(axis=1).to_numpy() == pytest.approx(results["cost"].to_numpy())
    assert results.loc[results["policy"] == "cloud", "edge_share"].eq(0).all()


def test_records_have_the_documented_keys(run):
    _, tables = run.read()
    records = scorecard.records(tables["results"], "caching")
    keys = "policy seed cost bound incumbent gap_to_bound gap_to_incumbent cost_split edge_share"
    assert all(set(keys.split()) <= set(r) for r in records)
    for r in records:
        assert sum(r["cost_split"].values()) == pytest.approx(r["cost"])
        assert ("hops" in r["cost_split"]) == (r["preset"] == "forwarding")


def test_records_are_what_a_rollout_costs(run):
    """The figure of a seed is that of replaying the policy on that seed's instance."""
    _, tables = run.read()
    row = tables["results"].query("preset == 'ten' and seed == 1 and policy == 'myopic'").iloc[0]
    x = caching.generate("ten", 1)
    plan = rollout(x, policies.make("myopic"))
    assert row["instance_hash"] == x.content_hash and row["cost"] == plan.objective
    assert replay(x, plan.a, plan.flow).objective == row["cost"]


def test_report_page_shows_residency_split_and_prices(run):
    from mecopt.bench import pages

    pages.build(run)
    page = (run.path / "report.html").read_text(encoding="utf-8")
    for heading in ("Who is resident when", "What costs are made of", "What memory and energy"):
        assert heading in page
    pictures = {p.stem for p in (run.path / "pictures").iterdir()}
    assert {"gap", "split", "residency-ten", "residency-forwarding", "prices-ten"} <= pictures
    assert page.count("data:image/png;base64,") == len(pictures)
    assert "http://" not in page and "https://" not in page


def test_headline_states_the_proven_maximum(run):
    _, tables = run.read()
    instances = tables["instances"]
    most = (1 - instances["bound"] / instances["cloud_cost"]).groupby(instances["preset"]).mean()
    line = scorecard.headline(tables, "caching")
    assert f"more than {100 * most['ten']:.1f} / {100 * most['forwarding']:.1f} %" in line


def test_a_bound_above_a_plan_is_reported(monkeypatch):
    import formulations

    def lying(*arguments, **options):
        from dataclasses import replace

        return replace(honest(*arguments, **options), bound=1e9)

    honest = formulations.solve
    benchmark.run_unit(SUITE, SUITE.units[0])  # compiled before the solver lies
    monkeypatch.setattr(formulations, "solve", lying)
    with pytest.raises(BrokenBound, match="ten-0: .* is above a replayed schedule"):
        benchmark.run_unit(SUITE, SUITE.units[0])


def test_suite_knows_the_family():
    assert SUITE.family.name == "caching"
    assert resume_command(SUITE, "runs/x") == (
        "mecopt bench caching --preset ten,forwarding --seeds 0:2 "
        "--policies myopic,cloud,lfu-sensible --time-limit 3 --gap 0.001 --out runs/x"
    )
    with pytest.raises(ValueError, match="policies: unknown 'nearest', one of cloud, fifo"):
        Suite(scenario="caching", presets=("ten",), seeds=(0, 1), policies=("nearest",))
    with pytest.raises(ValueError, match="preset: unknown 'paper', one of base"):
        Suite(scenario="caching", presets=("paper",), seeds=(0, 1), policies=("cloud",))


def test_bench_command_writes_json_and_page(work_folder):
    """One unit at a time stays in this process, where episodes are small."""
    done = mecopt(
        "bench", "caching", "--preset", "ten", "--seeds", "0:1", "--policies", "myopic,cloud",
        "--time-limit", 3, "--jobs", 1, "--out", "run", "--json", "out.json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "Provably, on ten" in done.output and "is impossible" in done.output
    records = json.loads((work_folder / "out.json").read_text())
    assert [r["policy"] for r in records] == ["myopic", "cloud"]
    assert (work_folder / "run" / "report.html").stat().st_size > 50_000
