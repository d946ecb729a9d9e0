"""Tiny random caching instances, and brute force over every feasible decision."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product

import numpy as np

from mecopt.caching import Backhaul, CachingInstance, CachingPlan, Forwarding, Pair, replay

#: The kinds of tiny instance, by name: arguments of `tiny_instance`.
KINDS = {
    "one server": {"servers": 1, "coupling": None},
    "two servers": {"servers": 2, "coupling": None},
    "backhaul": {"servers": 2, "coupling": "backhaul"},
    "forwarding": {"servers": 2, "coupling": "forwarding"},
}


def tiny_instance(seed: int, *, servers: int = 1, coupling: str | None = None) -> CachingInstance:
    """Seeded instance that `brute_force` can enumerate: 2 pairs x 4 slots, or less with a coupling.

    Memory and energy are scarce, contexts are sometimes worth warming, and now and then a pair is
    larger than every server.
    """
    rng = np.random.default_rng([20_250, seed])
    pairs = int(rng.integers(1, 3)) if servers > 1 else int(rng.integers(2, 4))
    slots = int(rng.integers(2, 4)) if servers > 1 or pairs > 2 else int(rng.integers(3, 5))
    requests = rng.poisson(0.8, size=(servers, pairs, slots)).clip(max=2)
    if coupling is not None:  # all servers are enumerated together
        slots = 2
        requests = requests[:, :, :2].clip(max=1 if pairs > 1 else 2)
    made = []
    for p in range(pairs):
        thoughts = int(rng.integers(1, 4))
        made.append(
            Pair(
                name=f"pair {p}",
                memory_gb=float(rng.choice([2, 3, 5, 11], p=[0.35, 0.35, 0.25, 0.05])),
                energy_j=10.0 * int(rng.integers(0, 5)),
                thoughts=thoughts,
                accuracy=float(rng.uniform(0.1, 0.95)),
                cloud_cost=float(rng.uniform(0.5, 2.5)),
                vanish=int(rng.integers(0, 4)),
                kappa_max=thoughts + int(rng.integers(0, 6)),
                beta=float(rng.choice([0.3, 0.6, 0.9])),
                edge_cost=float(rng.uniform(0.0, 0.1)),
                compute_cost=float(rng.uniform(0.0, 0.2)),
                switch_cost=float(rng.choice([0.0, 0.2, 1.0])),
            )
        )
    coupled = None
    if coupling == "backhaul":
        tokens = rng.integers(1, 4, size=pairs)
        coupled = Backhaul(tokens, rng.integers(0, 4, size=slots), float(rng.uniform(0.0, 1.0)))
    elif coupling == "forwarding":
        coupled = Forwarding(rng.uniform(0.0, 0.5, size=pairs))
    return CachingInstance.from_pairs(
        requests,
        made,
        capacity_gb=rng.integers(3, 9, size=servers),
        energy_budget_j=10.0 * rng.integers(2, 11, size=servers),
        accuracy_weight=float(rng.uniform(0.2, 1.5)),
        coupling=coupled,
        meta={"scenario": "tiny", "seed": seed},
    )


def _slot_choices(
    x: CachingInstance, n: int, most: np.ndarray
) -> list[tuple[tuple[bool, ...], tuple[int, ...]]]:
    """Every (a, x) of one server in one slot within memory and energy; x up to `most` (P,)."""
    found = []
    options = [[(False, 0), *((True, k) for k in range(m + 1))] for m in most]
    for choice in product(*options):
        a, served = zip(*choice, strict=True)
        if np.dot(x.memory_mb, a) <= x.capacity_mb[n] and (
            np.dot(x.energy_10j, served) <= x.energy_budget_10j[n]
        ):
            found.append((a, served))
    return found


def _server_optimum(x: CachingInstance, n: int) -> tuple[float, np.ndarray, np.ndarray]:
    """Least cost of one server by enumerating every path of decisions, without any bound.

    Only the state (resident, kappa) is merged: two paths that end a slot in the same state have
    the same future.
    """
    choices = [_slot_choices(x, n, x.requests[n, :, t]) for t in range(x.n_slots)]

    @cache
    def best(t: int, was: tuple[bool, ...], ages: tuple[int, ...]) -> tuple[float, tuple]:
        if t == x.n_slots:
            return 0.0, ()
        least, least_path = np.inf, ()
        for a, served in choices[t]:
            cost, after = 0.0, []
            for p in range(x.n_pairs):
                cost += (int(x.requests[n, p, t]) - served[p]) * x.cloud_cost[p]
                if not a[p]:
                    after.append(0)
                    continue
                age = (ages[p] if was[p] else 0) + int(x.thoughts[p]) * served[p]
                age = min(int(x.kappa_max[p]), max(0, age - int(x.vanish[p])))
                after.append(age)
                per_request = x.edge_cost[p] + x.compute_cost[p] + x.accuracy_cost[p, age]
                cost += 0.0 if was[p] else x.switch_cost[p]
                cost += served[p] * per_request
            rest, path = best(t + 1, a, tuple(after))
            if cost + rest < least:
                least, least_path = cost + rest, ((a, served), *path)
        return least, least_path

    value, path = best(0, (False,) * x.n_pairs, (0,) * x.n_pairs)
    a = np.array([step[0] for step in path]).T
    served = np.array([step[1] for step in path]).T
    return value, a, served


def _joint_decisions(x: CachingInstance) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every feasible (a, flow) of a coupled instance; tiny ones only."""
    servers, pairs, slots = x.requests.shape
    reach = [
        [m for m in (n - 1, n, n + 1) if 0 <= m < servers and (x.is_forwarding or m == n)]
        for n in range(servers)
    ]
    per_slot = []
    for t in range(slots):
        options = []
        keys = [(n, m, p) for n in range(servers) for m in reach[n] for p in range(pairs)]
        for amounts in product(*(range(int(x.requests[m, p, t]) + 1) for _, m, p in keys)):
            flow = np.zeros((servers, 3, pairs), dtype=np.int64)
            born = np.zeros((servers, pairs), dtype=np.int64)
            for (n, m, p), amount in zip(keys, amounts, strict=True):
                flow[n, m - n + 1, p] = amount
                born[m, p] += amount
            if (born > x.requests[:, :, t]).any():
                continue
            served = flow.sum(axis=1)
            if (served @ x.energy_10j > x.energy_budget_10j).any():
                continue
            for resident in product((False, True), repeat=servers * pairs):
                a = np.array(resident).reshape(servers, pairs)
                if (served[~a] > 0).any() or (a @ x.memory_mb > x.capacity_mb).any():
                    continue
                options.append((a, flow))
        per_slot.append(options)
    for path in product(*per_slot):
        yield np.stack([a for a, _ in path], axis=-1), np.stack([f for _, f in path], axis=-1)


def brute_force(instance: CachingInstance) -> CachingPlan:
    """The cheapest plan of all, replayed."""
    x = instance
    if x.coupling is not None:
        return min((replay(x, a, f) for a, f in _joint_decisions(x)), key=lambda p: p.objective)
    found = [_server_optimum(x, n) for n in range(x.n_servers)]
    plan = replay(x, np.stack([a for _, a, _ in found]), np.stack([s for _, _, s in found]))
    assert abs(plan.objective - sum(v for v, _, _ in found)) < 1e-9
    return plan
