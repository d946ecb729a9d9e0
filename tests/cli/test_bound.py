"""``mecopt bound``."""

import functools
import json

import pytest

from formulations.online.bound import OnlineBound
from mecopt.bench.offloading import online_traces
from mecopt.caching.scenarios import t2drl
from mecopt.cli import shell
from mecopt.offloading.scenarios import comllm
from mecopt.offloading.scenarios.resampled import trace_law
from tests.support import mini_data
from tests.support.command import mecopt, refused


def test_both_bounds(work_folder):
    """The documented keys; the online bound lies above the clairvoyant one, and is kept whole."""
    done = mecopt(
        *("bound", "--online", "--preset", "paper", "--seeds", "0:2", "--replicates", 2),
        *("--samples", 16, "--json", "out.json", "--save", "bound.json"),
    )
    assert done.exit_code == 0, done.output
    record = json.loads((work_folder / "out.json").read_text())
    keys = {"online_bound_slots", "online_bound_lower_95_slots", "clairvoyant_bound_slots"}
    assert keys | {"method", "worlds", "seconds", "preset", "seeds"} <= set(record)
    assert record["online_bound_lower_95_slots"] <= record["online_bound_slots"]
    assert record["worlds"] == 4
    whole = OnlineBound.load(work_folder / "bound.json")
    assert whole.estimate_per_task_slots == pytest.approx(record["online_bound_slots"])
    assert "any online rule" in done.output


def test_the_clairvoyant_bound_by_itself(work_folder):
    """Without --online nothing is said of online rules."""
    done = mecopt("bound", "--seeds", "0:1", "--json", "-")
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    assert "online_bound_slots" not in record
    assert record["clairvoyant_interval_slots"] == [None, None]  # one episode has none


def test_caching_in_units_of_cost(work_folder, monkeypatch):
    """Keys end in _cost, and figures are those of an episode."""
    small = {"slots": 8, "agents": 4, "servers": 2, "capacity_gb": 30.0}
    monkeypatch.setattr(t2drl, "generate", functools.partial(t2drl.generate, **small))
    done = mecopt(
        *("bound", "--online", "--scenario", "caching", "--seeds", "0:2", "--replicates", 2),
        *("--time-limit", 1, "--json", "out.json", "--save", "bound.json"),
    )
    assert done.exit_code == 0, done.output
    record = json.loads((work_folder / "out.json").read_text())
    assert record["preset"] == "ten"
    assert record["online_bound_lower_95_cost"] <= record["online_bound_cost"]
    assert record["clairvoyant_bound_cost"] > 0
    assert OnlineBound.load(work_folder / "bound.json").unit == "cost"
    assert "cost per episode" in done.output


def test_a_window_of_a_trace(work_folder, tmp_path, monkeypatch):
    """A trace is resampled by its window: the keys are COMLLM's, in slots of 0.1 s."""
    small = {"gpu_sites": 2, "max_sites": 2, "slots": 1, "length_bins": 2}
    monkeypatch.setattr(online_traces, "trace_law", functools.partial(trace_law, **small))
    folder = mini_data.write_folder(tmp_path)
    rows = [f"{t},{100 + 50 * (t % 12)},{20 + 7 * (t % 9)}" for t in range(40)]
    own = folder / "own.csv"
    own.write_text("\n".join(["arrival_s,context_tokens,generated_tokens", *rows]))
    done = mecopt(
        *("bound", "--online", "--scenario", "traces", "--preset", own, "--window", "0:40"),
        *("--data-dir", folder, "--replicates", 2, "--time-limit", 0.2, "--json", "out.json"),
    )
    assert done.exit_code == 0, done.output
    record = json.loads((work_folder / "out.json").read_text())
    assert record["method"] == "penalised-options"
    assert record["worlds"] == 2
    assert record["clairvoyant_bound_slots"] > 0
    assert record["online_bound_lower_95_slots"] < record["online_bound_slots"]


def test_solve_has_no_such_option(work_folder):
    """A bound on online rules is not about one instance."""
    assert "online-bound" in refused("solve", "--online-bound", "8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--preset", "paperr"), "preset: unknown 'paperr'"),
        (("--seeds", "5:5"), "seeds: '5:5' is empty"),
        (("--online", "--replicates", "1"), "replicates = 1"),
        (("--online", "--samples", "0"), "samples = 0"),
        (("--scenario", "wifi"), "wifi has no generator"),
        (("--scenario", "traces", "--preset", "azure"), "trace: unknown 'azure'"),
        (("--scenario", "traces", "--window", "9:3"), "window: '9:3'"),
        (("--scenario", "traces", "--method", "users-alone"), "method: unknown 'users-alone'"),
        (("--window", "0:60"), "window: only traces have one"),
        (("--scenario", "nothing"), "scenario: unknown 'nothing'"),
        (("--save", "b.json"), "needs --online"),
        (("--online", "--method", "magic"), "method: unknown 'magic'"),
        (("--scenario", "caching", "--preset", "paper"), "preset: unknown 'paper'"),
        (("--scenario", "caching", "--preset", "forwarding"), "serve each other's requests"),
        (("--scenario", "caching", "--method", "users-alone"), "method: unknown 'users-alone'"),
        (("--scenario", "caching", "--samples", "5"), "samples = 5"),
        (("--time-limit", "-1"), "time_limit"),
    ],
)
def test_bad_input_is_one_line(work_folder, arguments, said):
    assert said in refused("bound", *arguments)


def test_the_command_writes_what_it_has(work_folder, monkeypatch):
    """Interrupted at the second of three draws: figures of the first, and the code of Ctrl-C."""
    solve = comllm.generate

    def generate(preset: str, seed: int, **changes):
        if seed == 1:
            raise KeyboardInterrupt
        return solve(preset, seed, **({"slots": 4} | changes))

    monkeypatch.setattr(comllm, "generate", generate)
    done = mecopt("bound", "--seeds", "0:3", "--time-limit", 1, "--json", "out.json")
    assert done.exit_code == shell.INTERRUPTED
    assert "the figures are those of seeds 0:1" in done.stderr
    record = json.loads((work_folder / "out.json").read_text())
    assert record["seeds"] == "0:1"
