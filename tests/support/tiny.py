"""Tiny random instances on a 0.1-s grid, and brute force over every decision."""

from __future__ import annotations

from itertools import product

import numpy as np

from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.replay import replay
from mecopt.offloading.units import UNLIMITED

QUANTUM_S = 0.1
_LARGEST_SEARCH = 5_000
#: The four kinds of tiny instance, by name: arguments of `tiny_instance`.
KINDS = {
    "chains": {"dag": False, "down": False},
    "dags": {"dag": True, "down": False},
    "failures": {"dag": False, "down": True},
    "dags and failures": {"dag": True, "down": True},
}


def tiny_instance(
    seed: int, *, dag: bool | None = None, down: bool | None = None, max_tasks: int = 5
) -> OffloadingInstance:
    """Seeded instance with 2 to `max_tasks` tasks that brute force can enumerate.

    Parameters
    ----------
    seed : int
    dag : bool, optional
        Whether options may be small DAGs; drawn (one in three, never with `down`) unless said.
    down : bool, optional
        Whether resources have down intervals; drawn (one in four) unless said.
    max_tasks : int
        At least 2. The number of options shrinks so that at most 5,000 decisions exist.
    """
    rng = np.random.default_rng([20_240, seed])
    drawn_down, drawn_dag = rng.random() < 0.25, rng.random() < 1 / 3
    has_down = drawn_down if down is None else down
    has_dag = (drawn_dag and not has_down) if dag is None else dag
    n_tasks = int(rng.integers(2, max_tasks + 1))
    widest = max(w for w in (1, 2, 3) if w == 1 or (w + 1) ** n_tasks <= _LARGEST_SEARCH)
    resources = _resources(rng, has_down)
    names = [r.name for r in resources]
    release = np.sort(rng.integers(0, rng.choice([2, 5, 9]), size=n_tasks))
    weights = rng.random() < 0.3
    tasks = []
    for k in range(n_tasks):
        n_options = int(rng.integers(1, widest + 1))
        deadline = rng.choice([rng.integers(2, 7), rng.integers(6, 16), 10_000], p=[0.5, 0.3, 0.2])
        drop = np.inf if rng.random() < 0.1 else QUANTUM_S * rng.integers(0, 25)
        # A task that must run gets no deadline most of the time, or hardly any could be met.
        if np.isinf(drop) and rng.random() < 0.7:
            deadline = 10_000
        tasks.append(
            Task(
                release_s=QUANTUM_S * release[k],
                options=[_option(rng, f"option {o}", names, has_dag) for o in range(n_options)],
                owner=f"user {rng.integers(0, 3)}",
                deadline_s=np.inf if deadline == 10_000 else QUANTUM_S * deadline,
                drop_cost_s=float(drop),
                latency_weight=float(rng.choice([0.5, 1.0, 2.0])) if weights else 1.0,
            )
        )
    return OffloadingInstance.from_tasks(resources, tasks, meta={"scenario": "tiny", "seed": seed})


def _resources(rng: np.random.Generator, has_down: bool) -> list[Resource]:
    """Two to four stations: capacity 1 or 2, sometimes unlimited, with or without failures."""
    out = []
    for r in range(int(rng.integers(2, 5))):
        capacity = int(rng.choice([1, 2, UNLIMITED], p=[0.7, 0.2, 0.1]))
        down_s = []
        if has_down and (r == 0 or rng.random() < 0.4):
            start = int(rng.integers(1, 9))
            end = start + int(rng.integers(1, 5))
            down_s.append((QUANTUM_S * start, QUANTUM_S * end))
            if rng.random() < 0.3:
                again = end + int(rng.integers(1, 5))
                down_s.append((QUANTUM_S * again, QUANTUM_S * (again + 2)))
        out.append(Resource(f"station {r}", capacity, down_s=down_s))
    return out


def _option(rng: np.random.Generator, name: str, resources: list[str], has_dag: bool) -> Option:
    """A chain of one to three stages, or a DAG of two to four."""
    is_dag = has_dag and rng.random() < 0.6
    n_stages = int(rng.integers(2, 5)) if is_dag else int(rng.choice([1, 2, 3], p=[0.3, 0.5, 0.2]))
    stages = []
    for i in range(n_stages):
        after = tuple(p for p in range(i) if rng.random() < 0.5) if is_dag else None
        service = QUANTUM_S * rng.integers(1, 6)
        stages.append(Stage(str(rng.choice(resources)), service, after=after))
    fixed = QUANTUM_S * rng.integers(-3, 6) if rng.random() < 0.3 else 0.0
    return Option(name, stages, fixed_cost_s=fixed)


def brute_force(instance: OffloadingInstance) -> tuple[float, np.ndarray]:
    """Least objective over every choice vector, and one choice that reaches it.

    The objective is infinite when no choice is feasible (drops forbidden).
    """
    counts = np.diff(instance.option_ptr)
    best, best_choice = np.inf, np.full(instance.n_tasks, -1)
    for choice in product(*(range(-1, n) for n in counts)):
        objective = replay(instance, np.array(choice)).objective
        if objective < best:
            best, best_choice = objective, np.array(choice)
    return best, best_choice
