"""One task alone: options are replayed until none that is left can be cheaper."""

from dataclasses import replace

import numpy as np
import pytest

import formulations
from formulations.offloading.decomposition import solve_plans
from mecopt.certificates import verify
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.replay import replay
from tests.support.tiny_graphs import tiny_episode


def options_of_one_task(**task) -> OffloadingInstance:
    """Two stages of 4 s at once on one server, 4 + 2 + 4 s in a chain, or 9 s."""
    return OffloadingInstance.from_tasks(
        [Resource("a"), Resource("b"), Resource("way")],
        [
            Task(
                0.0,
                [
                    Option("one", [Stage("a", 4, after=()), Stage("a", 4, after=())]),
                    Option("chain", [Stage("a", 4), Stage("way", 2), Stage("b", 4)]),
                    Option("slow", [Stage("b", 9)]),
                ],
                **task,
            )
        ],
    )


def test_stages_that_wait_for_each_other():
    """``one`` takes 8 s for want of a second server; its floor is 4 s.

    The floors of the others, 10 and 9 s, are above 8: they need no replay.
    """
    x = options_of_one_task()
    result = formulations.solve(x, gap=0.0)
    assert (result.objective, result.termination) == (8.0, "optimal")
    assert result.bound == pytest.approx(8.0, abs=1e-9)
    assert result.details == {"replayed": 1, "options": 3}


@pytest.mark.parametrize("seed", range(8))
def test_the_optimum_is_proven(tmp_path, seed):
    """Replays of all options agree, and the checker accepts leaf by leaf."""
    episode = tiny_episode(seed)
    x = replace(episode, tasks=episode.tasks[:1]).instance
    best = min(replay(x, np.array([o])).objective for o in range(x.n_options))
    result = formulations.solve(x, gap=0.0)
    assert result.termination == "optimal"
    assert result.objective == best
    assert best - 1e-9 <= result.bound <= best
    verify.save(tmp_path / "proof.json", result)
    assert verify.verify(tmp_path / "proof.json").ok


def test_without_time_there_is_an_interval(tmp_path):
    """One option is replayed, and what is left costs its floor at least."""
    x = options_of_one_task()
    result = solve_plans(x, time_limit=0.0, start=replay(x, np.array([2])))
    assert result.termination == "time-limit"
    assert result.objective == 9.0
    assert result.bound == pytest.approx(4.0)
    assert result.details["replayed"] == 1
    verify.save(tmp_path / "proof.json", result)
    assert verify.verify(tmp_path / "proof.json").ok


def test_without_time_or_start_the_option_with_the_lowest_floor_is_taken():
    """It is the optimum here, as it often is, and wherever it was listed."""
    x = options_of_one_task()
    task = replace(x, fixed_cost_ns=np.array([9, 9, 0]) * 1_000_000_000)
    result = solve_plans(task, time_limit=0.0)
    assert (result.objective, result.termination) == (9.0, "optimal")
    assert result.details["replayed"] == 1


def test_a_task_that_may_be_late_goes_the_usual_way():
    """8 s are past its deadline of 7 s and cost 20 s, as a drop does."""
    x = options_of_one_task(deadline_s=7.0, drop_cost_s=20.0)
    result = formulations.solve(x, gap=1e-6)
    assert (result.objective, result.termination) == (20.0, "optimal")
    assert "replayed" not in result.details
