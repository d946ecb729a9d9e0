"""Suites, runs that resume, and the scorecard. Episodes are cut to 8 slots to stay quick."""

import errno
import functools
import io
import json

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import formulations
from mecopt import files
from mecopt.bench import columns, scorecard
from mecopt.bench import run as benchmark
from mecopt.bench import run_folder as runfolder
from mecopt.bench.reading import parse_names, parse_range, parse_window
from mecopt.bench.run_folder import IncompleteRun, RunFolder
from mecopt.bench.suite import Suite, Unit
from mecopt.bench.unit import BrokenBound
from mecopt.offloading.policies.simple import OneStepOracle
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm
from mecopt.result import BoundKind, Result, Termination


@pytest.fixture
def short_episodes(monkeypatch):
    """COMLLM episodes of 8 slots (about 14 tasks); in this process only, so use jobs=1."""
    monkeypatch.setattr(comllm, "generate", functools.partial(comllm.generate, slots=8))


def small_suite(**changes) -> Suite:
    parameters = {
        "scenario": "comllm",
        "presets": ("paper",),
        "seeds": (100, 103),
        "policies": ("one-step-oracle", "random"),
        "time_limit_s": 1.0,
        "gap": 0.01,
    }
    return Suite(**(parameters | changes))


# ---------------------------------------------------------------- suites
def test_units_are_presets_times_seeds():
    """Seeds A:B leave B out."""
    units = small_suite(presets=("paper", "busy"), seeds=(3, 5)).units
    assert [u.key for u in units] == ["paper-3", "paper-4", "busy-3", "busy-4"]


def test_unit_of_a_trace_file_names_a_plain_file():
    """A trace may be a path; its part must stay inside the run folder."""
    assert Unit("../my trace.csv", 0).key == ".._my_trace.csv-0"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scenario": "wifi6"}, "scenario: unknown 'wifi6'"),
        ({"presets": ("nope",)}, "preset: unknown 'nope'"),
        ({"presets": ()}, "presets: is empty"),
        ({"policies": ("oracle",)}, "policies: unknown 'oracle', one of one-step-oracle"),
        ({"policies": ("random", "random")}, "policies: 'random' is given twice"),
        ({"seeds": (5, 3)}, "seeds: 5:3"),
        ({"seeds": (-1, 3)}, "seeds: -1:3"),
        ({"method": "magic"}, "method: unknown 'magic'"),
        ({"time_limit_s": -1.0}, r"time_limit = -1\.0 must be a number of seconds >= 0"),
        ({"gap": float("nan")}, "gap = nan"),
        ({"scenario": "traces", "presets": ("azure-conv", "azure-code")}, "take one trace"),
    ],
)
def test_suite_refuses(changes, message):
    """Every refusal names argument and value."""
    with pytest.raises(ValueError, match=message):
        small_suite(**changes)


def test_suite_document_round_trip():
    """What the run folder stores is the suite."""
    suite = small_suite(
        scenario="traces", presets=("azure-conv",), options={"window_s": (0.0, 60.0)}
    )
    assert Suite.from_document(suite.to_document(), "here") == suite


@pytest.mark.parametrize("text", ["5:3", "5:5", "5", "a:b", "-1:3", "1.5:3", ":", "1:2:3"])
def test_malformed_ranges_are_refused(text):
    """The value is in the message."""
    with pytest.raises(ValueError, match=f"seeds: '{text}'"):
        parse_range(text)


def test_parsers_read_what_they_say():
    """Blanks around names do not matter."""
    assert parse_range("100:104") == (100, 104)
    assert parse_window("0:7.5") == (0.0, 7.5)
    assert parse_names(" a, b ,") == ("a", "b")


@pytest.mark.parametrize("text", ["5", "7:3", "a:b", "-1:4", "0:inf", "nan:4"])
def test_malformed_windows_are_refused(text):
    """Seconds, increasing, finite."""
    with pytest.raises(ValueError, match=f"window: '{text}'"):
        parse_window(text)


# ---------------------------------------------------------------- runs
def test_run_leaves_a_whole_folder(short_episodes, tmp_path):
    """Tidy tables, a manifest, and bound <= best known <= every policy on every instance."""
    folder = benchmark.run(small_suite(), tmp_path / "run", jobs=1)
    manifest, tables = folder.read()
    assert manifest["status"] == "complete"
    assert manifest["seeds"] == [100, 101, 102]
    assert manifest["instance_hashes"]["paper-101"] == comllm.generate("paper", 101).content_hash
    assert manifest["versions"]["mecopt"]
    results, instances = tables["results"], tables["instances"]
    assert len(results) == 6 and len(instances) == 3
    assert (results["bound_slots"] <= results["incumbent_slots"] * (1 + 1e-9)).all()
    assert (results["incumbent_slots"] <= results["mean_cost_slots"] * (1 + 1e-9)).all()
    gap = results["mean_cost_slots"] / results["bound_slots"] - 1
    assert np.allclose(gap, results["gap_to_bound"])
    assert (results[results["policy"] == "one-step-oracle"]["pr"] == 1.0).all()
    assert set(tables["timelines"]["schedule"]) == {"best known", "one-step-oracle"}
    assert set(tables["timelines"]["seed"]) == {100}


def test_equal_seeds_give_equal_figures(short_episodes, tmp_path):
    """Everything but clocks repeats when the solver stops by gap, not by time."""
    suite = small_suite(seeds=(100, 102))
    one, two = (benchmark.run(suite, tmp_path / name, jobs=1).read()[1]["results"] for name in "ab")
    exact = ["policy", "seed", "instance_hash", "mean_cost_slots", "drop_rate"]
    pd.testing.assert_frame_equal(one[exact], two[exact])


def test_ratio_to_the_oracle_needs_no_oracle_in_the_suite(short_episodes, tmp_path):
    """PR compares with the one-step oracle even when it is not a contestant."""
    suite = small_suite(policies=("random",), seeds=(100, 101))
    results = benchmark.run(suite, tmp_path / "run", jobs=1).read()[1]["results"]
    assert list(results["policy"]) == ["random"]
    assert 0 < results["pr"].iloc[0] < 1


def counted_units(monkeypatch, fail_seed: int | None = None) -> list[int]:
    """Seeds whose units were run; one of them fails once when asked for."""
    real, seen, to_fail = benchmark.run_unit, [], {fail_seed}

    def run_unit(suite, unit):
        seen.append(unit.seed)
        if unit.seed in to_fail:
            to_fail.clear()
            raise RuntimeError("power cut")
        return real(suite, unit)

    monkeypatch.setattr(benchmark, "run_unit", run_unit)
    return seen


def test_a_crash_in_the_middle_costs_one_unit(short_episodes, tmp_path, monkeypatch):
    """The other units are kept; the second run does the missing one and nothing else."""
    seen = counted_units(monkeypatch, fail_seed=101)
    with pytest.raises(RuntimeError, match="power cut"):
        benchmark.run(small_suite(), tmp_path / "run", jobs=1)
    folder = RunFolder(tmp_path / "run")
    assert not folder.is_whole
    with pytest.raises(IncompleteRun, match=r"2 of 3 instances.*mecopt bench comllm.*--out"):
        folder.read()
    seen.clear()
    benchmark.run(small_suite(), tmp_path / "run", jobs=1)
    assert seen == [101]
    assert folder.read()[0]["status"] == "complete"


def test_an_interrupt_keeps_finished_units(short_episodes, tmp_path, monkeypatch):
    """Ctrl-C after the first unit: it is on disk, the rest is done by the next run."""
    seen = counted_units(monkeypatch)

    def interrupt(done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        benchmark.run(small_suite(), tmp_path / "run", jobs=1, on_part=interrupt)
    seen.clear()
    benchmark.run(small_suite(), tmp_path / "run", jobs=1)
    assert seen == [101, 102]


def test_a_whole_run_is_not_computed_again(short_episodes, tmp_path, monkeypatch):
    """Same parameters, same folder: nothing to do."""
    seen = counted_units(monkeypatch)
    benchmark.run(small_suite(), tmp_path / "run", jobs=1)
    seen.clear()
    benchmark.run(small_suite(), tmp_path / "run", jobs=1)
    assert seen == []


def test_a_full_disk_leaves_no_whole_run(short_episodes, tmp_path, monkeypatch):
    """The second part cannot be written: an OSError, the first part stays, a resume finishes."""
    real, calls = files.write_bytes, []

    def write(path, data):
        calls.append(path)
        if "parts" in str(path) and len([c for c in calls if "parts" in str(c)]) == 2:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        real(path, data)

    monkeypatch.setattr(files, "write_bytes", write)
    with pytest.raises(OSError, match="No space left"):
        benchmark.run(small_suite(), tmp_path / "run", jobs=1)
    assert len(list((tmp_path / "run" / "parts").iterdir())) == 1
    assert not RunFolder(tmp_path / "run").is_whole
    monkeypatch.setattr(files, "write_bytes", real)
    assert benchmark.run(small_suite(), tmp_path / "run", jobs=1).is_whole


def test_a_missing_part_unmarks_the_run(short_episodes, tmp_path, monkeypatch):
    """A part deleted by hand is computed again, and meanwhile the folder is not whole."""
    benchmark.run(small_suite(), tmp_path / "run", jobs=1)
    (tmp_path / "run" / "parts" / "paper-102.json").unlink()
    monkeypatch.setattr(benchmark, "run_unit", lambda suite, unit: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        benchmark.run(small_suite(), tmp_path / "run", jobs=1)
    assert not RunFolder(tmp_path / "run").is_whole


def test_other_parameters_are_refused(short_episodes, tmp_path):
    """Figures of two different runs must not mix."""
    benchmark.run(small_suite(seeds=(100, 101)), tmp_path / "run", jobs=1)
    with pytest.raises(ValueError, match=r"other parameters \(gap is 0\.01, asked for 0\.02\)"):
        benchmark.run(small_suite(seeds=(100, 101), gap=0.02), tmp_path / "run", jobs=1)


def test_somebody_elses_folder_is_refused(tmp_path):
    """A folder with other things in it, or a file, is left alone."""
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(ValueError, match="not empty and holds no mecopt run"):
        benchmark.run(small_suite(), tmp_path, jobs=1)
    with pytest.raises(ValueError, match="is a file"):
        benchmark.run(small_suite(), tmp_path / "thesis.tex", jobs=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"engine": "dask"}, "engine: unknown 'dask'"),
        ({"address": "head:6379"}, "needs engine 'ray'"),
        ({"jobs": 0}, "jobs = 0"),
    ],
)
def test_run_refuses(tmp_path, arguments, message):
    """Before anything is written."""
    with pytest.raises(ValueError, match=message):
        benchmark.run(small_suite(), tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


def fake_solve(bound_factor: float):
    """A solver without an incumbent whose bound is a multiple of the oracle's cost."""

    def solve(instance, **options):
        bound = bound_factor * rollout(instance, OneStepOracle()).objective
        reason = Termination.TIME_LIMIT_NO_INCUMBENT
        return Result(instance, None, bound, BoundKind.SOLVER_CLAIMED, reason, "fake", {}, 0.1)

    return solve


def test_a_bound_above_a_schedule_is_never_scored(short_episodes, tmp_path, monkeypatch):
    """A solver with a wrong bound is caught by the replays."""
    monkeypatch.setattr(formulations, "solve", fake_solve(1.1))
    with pytest.raises(BrokenBound, match="above a replayed schedule"):
        benchmark.run(small_suite(), tmp_path / "run", jobs=1)


def test_without_an_incumbent_the_best_policy_is_the_best_known(
    short_episodes, tmp_path, monkeypatch
):
    """A time-out without a schedule still gives a figure, and says whose schedule it was."""
    monkeypatch.setattr(formulations, "solve", fake_solve(0.5))
    _, tables = benchmark.run(small_suite(), tmp_path / "run", jobs=1).read()
    instances = tables["instances"]
    assert set(instances["incumbent_from"]) == {"one-step-oracle"}
    assert np.isinf(instances["solver_objective_s"]).all()
    oracle = tables["results"][tables["results"]["policy"] == "one-step-oracle"]
    assert np.allclose(oracle["gap_to_bound"], 1.0)
    assert (oracle["gap_to_incumbent"] == 0).all()
    assert len(tables["progress"]) == 0


def test_a_damaged_table_is_named(short_episodes, tmp_path):
    """A half-copied folder is not read as if it were fine."""
    benchmark.run(small_suite(seeds=(100, 101)), tmp_path / "run", jobs=1)
    (tmp_path / "run" / "results.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(ValueError, match=r"results\.parquet: not a readable parquet file"):
        RunFolder(tmp_path / "run").read()


def test_resume_command_names_every_parameter():
    """Typing it gives the same suite."""
    suite = small_suite(method="milp", presets=("paper", "busy"))
    assert runfolder.resume_command(suite, "runs/x") == (
        "mecopt bench comllm --preset paper,busy --seeds 100:103 "
        "--policies one-step-oracle,random --method milp --time-limit 1 --gap 0.01 --out runs/x"
    )


# ---------------------------------------------------------------- engines
def test_worker_processes_give_the_same_figures(compiled_offloading, tmp_path):
    """Two whole episodes in two processes: the oracle agrees."""
    suite = small_suite(seeds=(100, 102), gap=0.05)
    agrees_with_the_oracle(benchmark.run(suite, tmp_path / "run", engine="loky", jobs=2))


def test_ray_gives_the_same_figures(compiled_offloading, local_ray, tmp_path):
    """The same through a local Ray that was there before, and that stays."""
    import ray

    suite = small_suite(seeds=(100, 102), gap=0.05)
    agrees_with_the_oracle(benchmark.run(suite, tmp_path / "run", engine="ray", jobs=1))
    assert ray.is_initialized()


def agrees_with_the_oracle(folder):
    """Rows of the one-step oracle are what it costs here."""
    results = folder.read()[1]["results"]
    oracle = results[results["policy"] == "one-step-oracle"].sort_values("seed")
    for seed, cost in zip(oracle["seed"], oracle["mean_cost_slots"], strict=True):
        here = rollout(comllm.generate("paper", seed), OneStepOracle())
        assert here.mean_cost_s / 0.1 == pytest.approx(cost)


# ---------------------------------------------------------------- scorecard
def tidy(costs: dict[str, list[float]]) -> pd.DataFrame:
    """Results of one preset, bound 100 ms, oracle 200 ms, best known schedule 110 ms."""
    rows = [
        {
            "preset": "paper",
            "seed": seed,
            "policy": policy,
            "mean_cost_ms": cost,
            "mean_cost_slots": cost / 100,
            "mean_cost_charged_ms": cost + 0.1,
            "drop_rate": 0.0,
            "gap_to_bound": cost / 100 - 1,
            "gap_to_incumbent": cost / 110 - 1,
            "pr": 200 / cost,
            "backlog_fairness": 0.5,
            "assignment_fairness": 0.5,
            "decision_seconds_p50": 1e-5 * (1 + seed),
            "decision_seconds_p99": 1e-4 * (1 + seed),
            "decision_wall_seconds_p50": 1e-5,
        }
        for policy, of_seed in costs.items()
        for seed, cost in enumerate(of_seed)
    ]
    return pd.DataFrame(rows)


def test_scorecard_by_hand():
    """Costs 120 and 180 ms: mean gap 50 %, PR = 200 / 150; the slower policy is 50 ms behind."""
    results = tidy({"slow": [170.0, 230.0], "quick": [120.0, 180.0]})
    card = scorecard.scorecard(results, "offloading")
    assert list(card["policy"]) == ["quick", "slow"]
    quick, slow = card.iloc[0], card.iloc[1]
    assert quick["gap_to_bound"] == pytest.approx(0.5)
    assert quick["pr"] == pytest.approx(200 / 150)
    assert (quick["gap_to_bound_low"], quick["gap_to_bound_high"]) == pytest.approx((0.2, 0.8))
    assert slow["extra"] == pytest.approx(50.0)
    assert slow["extra_low"] == pytest.approx(slow["extra_high"])
    assert quick["decision_seconds_p99"] == pytest.approx(2e-4)


@pytest.mark.parametrize(("width", "scenario"), [(80, "comllm"), (120, "comllm"), (80, "traces")])
def test_printed_scorecard_fits_the_terminal(width, scenario):
    """No line is cut or wrapped in the middle of a figure; traces show no slots."""
    instances = pd.DataFrame(
        {
            "preset": ["paper"] * 2,
            "n_tasks": [170, 180],
            "gap": [1e-5, 2e-5],
            "seconds": [1.0, 2.0],
            "termination": ["optimal"] * 2,
            "bound_kind": ["certified"] * 2,
        }
    )
    results = tidy({"one-step-oracle-drop": [120.0, 180.0], "random": [1170.0, 1230.0]})
    console = Console(width=width, record=True, file=io.StringIO())
    tables = {"results": results, "instances": instances}
    scorecard.print_scorecard(console, tables, "offloading", scenario)
    text = console.export_text()
    table = [line for line in text.splitlines() if "one-step-oracle-drop" in line]
    assert len(table) == 1 and "…" not in text and len(table[0].rstrip()) <= width
    assert ("slots" in text) == (scenario == "comllm")
    assert ("20.00 .. 80.00" in text) == (width >= 104)


def test_headline_says_how_far_and_how_sure():
    """Certified bounds are proof; a solver's word is called that."""
    results = tidy({"quick": [120.0, 180.0], "slow": [170.0, 230.0]})
    sure = pd.DataFrame({"bound_kind": ["certified", "certified"]})
    claimed = pd.DataFrame({"bound_kind": ["certified", "solver-claimed"]})
    line = scorecard.headline({"results": results, "instances": sure}, "offloading")
    assert line.startswith("Provably, on paper, ")
    assert line.endswith("best possible schedule: quick 50.0 %, slow 100.0 %.")
    line = scorecard.headline({"results": results, "instances": claimed}, "offloading")
    assert line.startswith("By the solver's own bounds")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.03123, "3.12"), (0.0, "0.00"), (2e-7, "2e-05"), (float("nan"), "-"), (np.inf, "inf")],
)
def test_percent_never_rounds_a_gap_to_nothing(value, text):
    """A proven gap of 0.00002 % is not zero."""
    assert columns.percent(value) == text


def test_manifest_is_strict_about_its_status(short_episodes, tmp_path):
    """run.json is the mark of a whole run, so its content is checked here once."""
    benchmark.run(small_suite(seeds=(100, 101)), tmp_path / "run", jobs=1)
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    assert manifest["schema"] == "mecopt.benchmark-run"
    assert set(manifest) >= {"status", "suite", "seeds", "instance_hashes", "versions", "machine"}
    assert manifest["wall_seconds"] > 0
