"""Every kernel that serves stages in FIFO order gives the same schedules.

Replay, replay with explicit queues, the online system, its projection, the sampled futures of the
look-ahead rule and the moves of the local search keep different state (`mecopt.offloading.fifo`
says why). Here each runs random chains with few distinct times, so that ties are common, and is
compared with a loop in plain Python.
"""

import heapq

import numpy as np
import pytest

from formulations.offloading.search import Search
from mecopt.offloading import events
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.observation import OnlineSystem
from mecopt.offloading.policies import guide, rollouts, worlds
from mecopt.offloading.replay import replay, run_kernel
from mecopt.offloading.status import NEVER
from mecopt.offloading.units import UNLIMITED

SEEDS = range(40)


def chains(seed: int, *, failures: bool = False, tasks: int = 12) -> OffloadingInstance:
    """Random chains, one option a task, whole seconds from 0 to 4: many ties."""
    rng = np.random.default_rng(seed)
    resources = []
    for r, capacity in enumerate((1, 1, 2, 3, UNLIMITED)):
        starts = np.sort(rng.choice(20, size=2, replace=False)) if failures and r % 2 else []
        down = [(float(b), b + 0.5) for b in starts]
        resources.append(Resource(f"r{r}", capacity, down_s=down))

    def task(release: int) -> Task:
        stages = [
            Stage(f"r{rng.integers(len(resources))}", float(rng.integers(5)))
            for _ in range(rng.integers(1, 4))
        ]
        return Task(
            float(release), [Option("only", stages)], latency_weight=float(rng.integers(1, 4))
        )

    return OffloadingInstance.from_tasks(
        resources, [task(t) for t in np.sort(rng.integers(10, size=tasks))]
    )


def plain_replay(x: OffloadingInstance) -> list[tuple[int, int, int]]:
    """(arrival, start, finish) of each stage in ns, `NEVER` where it never gets there."""
    free = [[0] * (0 if c == UNLIMITED else int(c)) for c in x.capacity]
    lost_units = [0] * x.n_resources  # down intervals that have already emptied the resource
    times = [(NEVER, NEVER, NEVER)] * len(x.service_ns)
    queue = [(int(x.release_ns[k]), int(x.stage_ptr[k])) for k in range(x.n_tasks)]
    heapq.heapify(queue)
    while queue:
        t, s = heapq.heappop(queue)
        r = int(x.stage_resource[s])
        down = x.down_ns[x.down_ptr[r] : x.down_ptr[r + 1]].tolist()
        over = sum(end <= t for _, end in down)
        if over > lost_units[r]:
            lost_units[r], free[r] = over, [0] * len(free[r])
        next_down = down[over][0] if over < len(down) else NEVER
        if t >= next_down:
            times[s] = (t, NEVER, NEVER)
            continue
        start = max(t, min(free[r])) if free[r] else t
        finish = start + int(x.service_ns[s])
        if free[r]:
            free[r].remove(min(free[r]))
            free[r].append(finish)
        if finish > next_down:
            times[s] = (t, start if start < next_down else NEVER, NEVER)
            continue
        times[s] = (t, start, finish)
        if s + 1 < x.stage_ptr[x.option_of_stage[s] + 1]:
            heapq.heappush(queue, (finish, s + 1))
    return times


def everybody(x: OffloadingInstance) -> np.ndarray:
    """The choice in which every task takes its only option: slots are stages then."""
    return np.zeros(x.n_tasks, dtype=np.int64)


@pytest.mark.parametrize("failures", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_replay_follows_the_rule(seed: int, failures: bool) -> None:
    """The compiled replay gives the times of the plain loop, failures included."""
    x = chains(seed, failures=failures)
    times = (t.tolist() for t in run_kernel(x, everybody(x))[:3])
    assert list(zip(*times, strict=True)) == plain_replay(x)


@pytest.mark.parametrize("failures", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_explicit_queues_follow_the_rule(seed: int, failures: bool) -> None:
    """The replay that can cancel siblings agrees where there are no siblings."""
    x = chains(seed, failures=failures)
    out = [np.empty(len(x.service_ns), dtype=np.int64) for _ in range(3)]
    completion, status = np.empty(x.n_tasks, dtype=np.int64), np.empty(x.n_tasks, np.int8)
    events.replay_events(x.arrays, x.service_ns, everybody(x), NEVER, *out, completion, status)
    expected = run_kernel(x, everybody(x))
    assert np.array_equal(status, expected[4])
    assert np.array_equal(completion, expected[3])
    assert np.array_equal(out[2], expected[2])


@pytest.mark.parametrize("failures", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_online_system_follows_the_rule(seed: int, failures: bool) -> None:
    """What the online system has seen by a release is what the replay says happened by then."""
    x = chains(seed, failures=failures)
    expected = plain_replay(x)
    system = OnlineSystem(x)
    for k in range(x.n_tasks):
        system.advance(k)
        seen, now = system.observe(k), int(x.release_ns[k])
        arrival, start, _ = (t.tolist() for t in seen.times[:3])
        for s in range(x.stage_ptr[k]):
            assert min(arrival[s], now + 1) == min(expected[s][0], now + 1)
            assert min(start[s], now + 1) == min(expected[s][1], now + 1)
        system.commit(k, 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_projection_follows_the_rule(seed: int) -> None:
    """The projection at the last release lists what is still to start as the replay does."""
    x = chains(seed)
    last = x.n_tasks - 1
    without_last = np.where(np.arange(x.n_tasks) < last, 0, -1)
    arrival, start, finish = (t.tolist() for t in run_kernel(x, without_last)[:3])
    system = OnlineSystem(x)
    for k in range(last):
        system.advance(k)
        system.commit(k, 0)
    system.advance(last)
    head, _, link, at, done = system.observe(last).entries
    for r in np.flatnonzero(x.capacity != UNLIMITED):
        listed, e = [], head[r]
        while e >= 0:
            listed.append((int(at[e]), int(done[e])))
            e = link[e]
        expected = [
            (arrival[s], finish[s])
            for s in np.flatnonzero(x.stage_resource == r)
            if x.release_ns[last] < start[s] < NEVER
        ]
        assert sorted(listed) == sorted(expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_sampled_futures_follow_the_rule(seed: int) -> None:
    """A future whose tasks have one option costs what the replay of its first tasks costs."""
    x = chains(seed)
    world = worlds.combine([x])
    memory = worlds.scratch(world, len(x.service_ns) + 1)
    nobody, up = np.empty(0, dtype=np.int64), np.ones(x.n_resources, dtype=np.bool_)
    undecided = np.full(x.n_tasks, -1, dtype=np.int64)
    for n in range(1, x.n_tasks + 1):
        _, _, _, completion, _ = run_kernel(x, np.where(np.arange(x.n_tasks) < n, 0, -1))
        cost = x.latency_weight * (completion - x.release_ns)
        first = int(x.release_ns[0])
        found = rollouts.play(
            world, memory, guide.none(), 0, undecided, nobody, up, 0, 0, first, 1, n, 0
        )
        assert found == cost[:n].sum()


@pytest.mark.parametrize("seed", SEEDS)
def test_moves_follow_the_rule(seed: int) -> None:
    """Tasks taken out and put back in any order leave the search with the replay's schedule."""
    x = chains(seed)
    rng = np.random.default_rng(seed)
    search = Search(x)
    for _ in range(10):
        choice = -rng.integers(2, size=x.n_tasks)
        search.set(choice)
        expected = run_kernel(x, choice)
        runs = np.repeat(choice == 0, np.diff(x.stage_ptr))
        for mine, theirs in zip(search.times, expected[:3], strict=True):
            assert np.array_equal(mine[runs], theirs[runs])
    search.set(everybody(x))
    assert search.score.total * 1e-9 == pytest.approx(replay(x, everybody(x)).objective, rel=1e-12)
