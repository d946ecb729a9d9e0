"""Tiny episodes of task graphs, and the rules of their stages once more in plain Python."""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from mecopt.task_graphs.episode import Episode
from mecopt.task_graphs.network import Link, Network, Node
from mecopt.task_graphs.options import GraphTask, Weights
from mecopt.task_graphs.plan import ROLES, Subtask, TaskPlan

#: Most decisions that brute force tries.
_LARGEST_SEARCH = 3_000


def tiny_network(rng: np.random.Generator, servers: int) -> Network:
    """A device ``me`` and servers; each server hangs on the device or on an earlier server."""
    nodes = [Node("me", *_speeds(rng, 1), kind="device", params=1.5e9)]
    links = []
    for j in range(servers):
        slots = int(rng.choice([1, 2]))
        params = float(rng.choice([7e9, 14e9, 32e9]))
        nodes.append(Node(f"ap {j}", *_speeds(rng, 4), slots, params=params))
        other = nodes[int(rng.integers(len(nodes) - 1))].name
        is_air = other == "me" or rng.random() < 0.3
        links.append(
            Link(
                other, f"ap {j}", float(rng.choice([2e3, 1e4, math.inf])),
                float(rng.choice([0, 0.125])), float(rng.choice([500, math.inf])),
                float(rng.choice([0, 0.0625])), "air" if is_air else "",
            )
        )  # fmt: skip
    return Network(tuple(nodes), tuple(links))


def _speeds(rng: np.random.Generator, fast: int) -> tuple[float, float]:
    return float(rng.choice([0, 1, 2])) / 1024 / fast, float(rng.integers(1, 5)) / 64 / fast


def tiny_plan(rng: np.random.Generator, subtasks: int) -> TaskPlan:
    """Connected: each subtask but the first reads one before it or more, or is read later."""
    after: list[set[int]] = [set() for _ in range(subtasks)]
    for i in range(1, subtasks):
        if i == subtasks - 1:  # joins whatever hangs together with nothing
            read = set().union(*after)
            after[i] = {p for p in range(i) if p not in read or rng.random() < 0.3}
        elif rng.random() < 0.6:
            after[i] = {int(rng.integers(i))}
    rows = []
    for i in range(subtasks):
        known = {"me": float(rng.integers(0, 5)) / 4} if rng.random() < 0.2 else {}
        rows.append(
            Subtask(
                f"s{i}", str(rng.choice(ROLES)), float(rng.integers(0, 9) * 16),
                float(rng.integers(0, 5)) / 4, tuple(f"s{p}" for p in sorted(after[i])),
                float(rng.integers(0, 4) * 64), bool(rng.random() < 0.7), known,
            )
        )  # fmt: skip
    return TaskPlan(tuple(rows))


def tiny_episode(seed: int) -> Episode:
    """One to three tasks on two or three nodes, one to three subtasks each, times on a fine grid.

    Brute force can enumerate its decisions; the last task stays small where it could not.
    """
    rng = np.random.default_rng([60_240, seed])
    network = tiny_network(rng, int(rng.integers(1, 3)))
    n_tasks = int(rng.integers(1, 4))
    release = np.sort(rng.integers(0, 8, n_tasks)) / 4
    tasks: list[GraphTask] = []
    decisions = 1
    for k in range(n_tasks):
        origin = "me" if rng.random() < 0.8 else "ap 0"
        places = len(network.places(origin))
        most = max(
            n for n in (1, 2, 3) if n == 1 or decisions * (places**n + places) <= _LARGEST_SEARCH
        )
        plan = tiny_plan(rng, int(rng.integers(1, most + 1)))
        whole = TaskPlan((Subtask("whole", "reason", 100, 1.0, prompt_tokens=64),))
        tasks.append(
            GraphTask(
                float(release[k]), origin, plan, whole if rng.random() < 0.5 else None,
                float(rng.choice([0, 600, 4000])), f"task {k}",
            )
        )  # fmt: skip
        decisions *= places ** len(plan) + places
    weights = Weights(
        float(rng.choice([0, 1, 4])), float(rng.choice([0.25, 1.0])), float(rng.choice([0, 8]))
    )
    return Episode(network, tuple(tasks), weights, provenance={"scenario": "tiny", "seed": seed})


def assignments(episode: Episode, task: int) -> list[tuple[TaskPlan, dict[str, int]]]:
    """Plan and node of each subtask of every option, in the order of options."""
    t = episode.tasks[task]
    places = episode.network.places(t.origin)
    out = []
    for plan in t.ways:
        names = [plan.subtasks[i].name for i in plan.order]
        out += [
            (plan, dict(zip(names, at, strict=True))) for at in product(places, repeat=len(plan))
        ]
    return out


def alone_s(episode: Episode, task: int, plan: TaskPlan, at: dict[str, int]) -> float:
    """Latency of a task that has the network for itself, if no resource made it wait.

    The stage rules once more: a call starts when the input and what it reads have arrived; items
    travel hop by hop, and are at a node for good once they got there.
    """
    network, t, weights = episode.network, episode.tasks[task], episode.weights
    origin = network.index[t.origin]
    there: dict[tuple[str, int], float] = {("input", origin): 0.0}
    bits = {"input": t.input_bits}

    def arrival(item: str, source: int, target: int) -> float:
        legs = [(source, target)]
        if target not in network.routes_from(source):
            legs = [(source, origin), (origin, target)]
        now = there[item, source]
        for a, b in legs:
            for node, link in network.routes_from(a)[b]:
                later = now + network.links[link].seconds(bits[item])
                now = there.setdefault((item, node), later)
        return now

    for i in plan.order:
        s = plan.subtasks[i]
        ready = arrival("input", origin, at[s.name])
        for name in s.after:
            ready = max(ready, arrival(name, at[name], at[s.name]))
        read = sum(plan.subtasks[p].output_tokens for p in plan.before[i])
        seconds = network.nodes[at[s.name]].execution_s(s.prompt_tokens + read, s.output_tokens)
        there[s.name, at[s.name]] = ready + seconds
        bits[s.name] = s.output_tokens * weights.bits_per_token
    sinks = [plan.subtasks[i].name for i in plan.sinks]
    return max(arrival(name, at[name], origin) for name in sinks)
