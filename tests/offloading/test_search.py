"""Annealing over the FIFO system: incremental replay against full replay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from formulations.offloading.moves import change, undo
from formulations.offloading.search import Score, Search, candidates, descend, score_of
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.replay import replay
from mecopt.offloading.scenarios import comllm
from mecopt.offloading.status import FAILED
from mecopt.offloading.units import INFINITE_NS, UNLIMITED
from tests.support.tiny import brute_force, tiny_instance


def random_chains(seed: int, capacity: int, chains: tuple[tuple[str, ...], ...]):
    """Thirty tasks of three owners, crowded; services on a 0.1-s grid so that ties are common."""
    rng = np.random.default_rng([60_240, seed])
    names = sorted({name for chain in chains for name in chain})
    resources = [Resource(n, UNLIMITED if n == "delay" else capacity) for n in names]
    tasks = []
    for k in range(30):
        options = [
            Option(f"way {i}", [Stage(n, 0.1 * int(rng.integers(0, 5))) for n in chain])
            for i, chain in enumerate(chains)
        ]
        tasks.append(
            Task(
                0.1 * (k // 2),
                options,
                owner=f"user {rng.integers(3)}",
                deadline_s=float(rng.choice([np.inf, 1.0])),
                drop_cost_s=float(rng.choice([0.5, 2.0, np.inf])),
            )
        )
    return OffloadingInstance.from_tasks(resources, tasks)


FAMILIES: dict[str, Callable[[int], OffloadingInstance]] = {
    "capacity 1": lambda s: random_chains(s, 1, (("up", "a"), ("up", "b"), ("cpu",))),
    "capacity 2": lambda s: random_chains(s, 2, (("up", "a"), ("up", "b"), ("cpu",))),
    "capacity 3": lambda s: random_chains(s, 3, (("up", "a"), ("a",), ("up", "delay", "a"))),
    "unlimited": lambda s: random_chains(s, 1, (("delay", "a"), ("up", "delay"), ("delay",))),
    "two shared stages": lambda s: random_chains(s, 1, (("a", "b"), ("b", "a"), ("a", "c", "b"))),
    "same resource twice": lambda s: random_chains(s, 1, (("a", "a"), ("a", "b", "a"), ("b",))),
    "twice, capacity 2": lambda s: random_chains(s, 2, (("a", "b", "a"), ("b", "b"), ("a",))),
    "COMLLM": lambda s: comllm.generate("slow-servers", s, users=3, servers=2, slots=15),
}


def costs_ns(instance: OffloadingInstance, choice: np.ndarray) -> np.ndarray:
    """Cost of each task by a full replay, ns; infinite where a drop is forbidden."""
    return np.asarray(replay(instance, choice).cost_s * 1e9)


def same(score: Score, cost: np.ndarray) -> bool:
    """Whether a score is that of costs, but for the rounding of the sum."""
    fresh = score_of(cost)
    return score.forbidden == fresh.forbidden and score.total == pytest.approx(fresh.total, abs=1.0)


def random_choice(rng: np.random.Generator, instance: OffloadingInstance) -> np.ndarray:
    count = np.diff(instance.option_ptr)
    return np.array([rng.integers(-1, n) for n in count], dtype=np.int64)


@pytest.mark.parametrize("family", FAMILIES)
def test_incremental_total_equals_full_replay(family: str) -> None:
    """After any sequence of moves, some undone, every task's cost is that of a full replay."""
    for seed in range(3):
        instance = FAMILIES[family](seed)
        rng = np.random.default_rng(seed)
        search = Search(instance)
        first = random_choice(rng, instance)
        search.set(first)
        option, cost = search._state[6], search._state[7]
        score = search.score
        assert search.choice.tolist() == first.tolist()
        for _ in range(150):
            k = int(rng.integers(instance.n_tasks))
            new = int(rng.integers(-1, instance.option_ptr[k + 1] - instance.option_ptr[k]))
            goal = int(instance.option_ptr[k]) + new if new >= 0 else -1
            before, paid = option.copy(), cost.copy()
            n_log, delta, more = change(search._static, search._state, k, goal)
            np.testing.assert_allclose(cost, costs_ns(instance, search.choice), atol=1e-3)
            was = score_of(paid)
            assert same(Score(was.forbidden + more, was.total + delta), cost)
            if rng.random() < 0.5:
                undo(search._static, search._state, n_log)
                assert option.tolist() == before.tolist()
                assert cost.tolist() == paid.tolist()
            else:
                score = Score(score.forbidden + more, score.total + delta)
        assert same(score, costs_ns(instance, search.choice))


def with_downs(seed: int) -> OffloadingInstance:
    """Random chains over resources that are down now and then, on the same grid."""
    rng = np.random.default_rng([60_241, seed])
    x = FAMILIES["capacity 2" if seed % 2 else "same resource twice"](seed)
    down = [
        [(0.1 * t, 0.1 * (t + rng.integers(1, 4))) for t in range(int(rng.integers(1, 6)), 30, 9)]
        for _ in range(x.n_resources)
    ]
    return replace(
        x,
        down_ptr=np.concatenate([[0], np.cumsum([len(d) for d in down])]).astype(np.int32),
        down_ns=np.rint(1e9 * np.array([i for d in down for i in d])).astype(np.int64),
    )


def keeping_costs_ns(instance: OffloadingInstance, choice: np.ndarray) -> np.ndarray:
    """Costs by a replay in which nothing goes down, drops for those that met a down interval."""
    x = instance
    kept = replay(replace(x, down_ptr=np.zeros_like(x.down_ptr), down_ns=x.down_ns[:0]), choice)
    cost, a = kept.cost_s * 1e9, x.arrays
    for k in np.flatnonzero(choice >= 0):
        o = x.option_ptr[k] + choice[k]
        for s in range(x.stage_ptr[o], x.stage_ptr[o + 1]):
            slot = a.slot_ptr[k] + s - x.stage_ptr[o]
            r, arrival, finish = x.stage_resource[s], kept.arrival_ns[slot], kept.finish_ns[slot]
            for first, last in x.down_ns[x.down_ptr[r] : x.down_ptr[r + 1]]:
                if arrival < last and (first < finish or first <= arrival):
                    drop = x.drop_cost_ns[k]
                    cost[k] = np.inf if drop >= INFINITE_NS else drop
    return cost


@pytest.mark.parametrize("seed", range(6))
def test_tasks_that_meet_a_down_interval_cost_their_drop(seed: int) -> None:
    """After any moves, some undone; what a choice costs is the truth once nobody is lost."""
    instance = with_downs(seed)
    rng = np.random.default_rng(seed)
    search = Search(instance)
    search.set(random_choice(rng, instance))
    cost = search._state[7]
    for _ in range(200):
        k = int(rng.integers(instance.n_tasks))
        new = int(rng.integers(-1, instance.option_ptr[k + 1] - instance.option_ptr[k]))
        goal = int(instance.option_ptr[k]) + new if new >= 0 else -1
        paid = cost.copy()
        n_log, _, _ = change(search._static, search._state, k, goal)
        np.testing.assert_allclose(cost, keeping_costs_ns(instance, search.choice), atol=1e-3)
        if rng.random() < 0.5:
            undo(search._static, search._state, n_log)
            assert cost.tolist() == paid.tolist()
    choice = search.choice
    while (lost := replay(instance, choice).status == FAILED).any():
        choice[np.flatnonzero(lost)] = -1
    search.set(choice)
    np.testing.assert_allclose(cost, costs_ns(instance, choice), atol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_annealing_reports_the_true_cost_of_its_best(family: str) -> None:
    """The best total and the last total of an annealing run are those of full replays."""
    instance = FAMILIES[family](7)
    search = Search(instance)
    start = np.zeros(instance.n_tasks, dtype=np.int64)
    search.set(start)
    least, best = search.anneal(candidates(instance), hot_ns=1e9, cold_ns=1e6, moves=3000, seed=1)
    assert same(least, costs_ns(instance, best))
    assert same(search.score, costs_ns(instance, search.choice))
    assert least <= score_of(costs_ns(instance, start))


def test_annealing_finds_small_optima_and_repeats_itself() -> None:
    """On tiny chains annealing reaches the brute-force optimum; equal seeds, equal choices."""
    for seed in range(12):
        instance = tiny_instance(seed, dag=False, down=False)
        best, _ = brute_force(instance)
        runs = []
        for _ in range(2):
            search = Search(instance)
            runs.append(
                search.anneal(candidates(instance), hot_ns=3e8, cold_ns=1e6, moves=4000, seed=seed)
            )
        assert runs[0][1].tolist() == runs[1][1].tolist()
        if np.isfinite(best):
            assert runs[0][0].forbidden == 0
            assert runs[0][0].total == pytest.approx(best * 1e9, abs=1.0)


def test_annealing_stays_within_its_candidates() -> None:
    """Tasks that are not to be moved keep their choice."""
    instance = FAMILIES["capacity 1"](0)
    everything = candidates(instance)
    where = replace(everything, movable=everything.movable[everything.movable != 5])
    assert len(where.movable) == instance.n_tasks - 1
    search = Search(instance)
    search.set(np.zeros(instance.n_tasks, dtype=np.int64))
    _, best = search.anneal(where, hot_ns=1e9, cold_ns=1e6, moves=2000, seed=0)
    assert best[5] == 0 and search.choice[5] == 0


def test_forbidden_drops_are_bought_out() -> None:
    """From everything dropped, annealing leaves no forbidden drop when all can run."""
    instance = FAMILIES["capacity 2"](1)
    assert (instance.drop_cost_ns >= INFINITE_NS).any()
    search = Search(instance)
    least, _ = search.anneal(candidates(instance), hot_ns=3e8, cold_ns=1e6, moves=20_000, seed=0)
    assert least.forbidden == 0


def test_a_cost_of_any_size_is_better_than_a_forbidden_drop() -> None:
    """Task 0 must run, 1e8 s long; whoever is first on the server makes the other wait.

    Both running: 1e8 + 1e-3 (task 1 first is impossible, ties go to task 0) = 1e8 + (1e8 + 1e-3).
    Task 1 dropped at 1e-3 s: 1e8 + 1e-3, the least. Task 0 dropped is forbidden, however cheap
    everything else becomes.
    """
    tasks = [
        Task(0.0, [Option("run", [Stage("server", 1e8)])]),
        Task(0.0, [Option("run", [Stage("server", 1e-3)])], drop_cost_s=1e-3),
    ]
    instance = OffloadingInstance.from_tasks([Resource("server")], tasks)
    search = Search(instance)
    least, best = search.anneal(candidates(instance), hot_ns=1e6, cold_ns=1e3, moves=500, seed=0)
    assert best.tolist() == [0, -1]
    assert least == Score(0, pytest.approx(1e17 + 1e6, rel=1e-15))
    assert descend(instance, np.array([-1, -1]), rounds=9, seed=0).tolist() == [0, -1]


def test_a_bell_ends_annealing() -> None:
    """A flag that is set leaves the choice as it was."""
    instance = FAMILIES["capacity 1"](0)
    stop = np.ones(1, dtype=np.int64)
    search = Search(instance, stop)
    least, best = search.anneal(candidates(instance), hot_ns=1e9, cold_ns=1e6, moves=99, seed=1)
    assert (best == -1).all() and least == search.score


def test_descend_never_gets_worse_and_takes_any_instance() -> None:
    """Descent by full replays serves DAGs and failures, and ends where no single move helps."""
    for seed in range(6):
        instance = tiny_instance(seed, dag=True, down=True, max_tasks=4)
        start = np.full(instance.n_tasks, -1, dtype=np.int64)
        end = descend(instance, start, rounds=50, seed=seed)
        least = replay(instance, end).objective
        assert least <= replay(instance, start).objective
        for k in range(instance.n_tasks):
            for c in range(-1, int(instance.option_ptr[k + 1] - instance.option_ptr[k])):
                other = end.copy()
                other[k] = c
                assert replay(instance, other).objective >= least


def test_incremental_search_refuses_what_it_cannot_replay() -> None:
    """Options that are graphs need the full replay."""
    instance = tiny_instance(2, dag=True, down=False)
    with pytest.raises(ValueError, match="only chains; use descend"):
        Search(instance)
