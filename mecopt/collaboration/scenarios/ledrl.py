"""LeDRL (arXiv 2605.05727): nodes that fail, on a ring with chords, tasks of up to three hops.

In each slot a node releases a task with its own probability, whether it is up or down: users do not
go away. Network, speeds and rates are those of the seed; tasks, failures and damage are drawn with
them, or again for other futures of the same network.

With ``drift_nodes`` executions on so many nodes go wrong more often from the middle of the episode
on, while the network in the meta, which rules believe, keeps the old rates
(`mecopt.collaboration.drift`).

Tags: P printed in the paper, N from a neighbouring paper or sister code, D our decision. The queue
limit of a quarter of the cores is left out: the kernel's queues are unlimited (D).
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mecopt import checks
from mecopt.collaboration import topology
from mecopt.collaboration.drift import Drift
from mecopt.collaboration.episode import Tasks, World, instance_of
from mecopt.collaboration.failures import down_intervals
from mecopt.collaboration.network import Link, Network, Node
from mecopt.collaboration.scenarios.sweeps import SWEEPS
from mecopt.data.folder import find, resolve_data_dir
from mecopt.data.tables import read
from mecopt.offloading.instance import OffloadingInstance

#: Kinds of network.
TOPOLOGIES = ("ring", "random", "eua")
#: The file of edge sites.
SITES = "eua-sites"


@dataclass(frozen=True)
class Parameters:
    """Parameters of an episode, with units; those of a range are uniform in it."""

    nodes: int = 10  # P, 10 or 20
    topology: str = "ring"  # P: ring with random chords
    slots: int = 100  # P
    slot_s: float = 0.5  # P
    arrival_probability: tuple[float, float] = (0.0, 1.0)  # N, per node; a task in each slot
    task_kb: tuple[float, float] = (2000.0, 4000.0)  # P, 1 KB = 1000 bytes
    cycles_per_bit: tuple[float, float] = (800.0, 2400.0)  # P
    deadline_s: float = 4.0  # P
    cores: tuple[int, int] = (4, 32)  # P, multiples of 4
    core_ghz: float = 3.0  # P
    places: int = 4  # D, tasks served side by side, each at this share of the node
    link_mb_per_s: tuple[float, float] = (10.0, 40.0)  # P, per direction
    node_failure_per_s: float = 0.01  # P
    repair_per_slot: float = 0.1  # N, chance that a node that is down comes up
    execution_failure_per_s: tuple[float, float] = (0.0, 0.3)  # N, per node
    link_failure_per_s: tuple[float, float] = (0.0, 0.1)  # P, per direction
    most_hops: int = 3  # D
    range_m: float = 1000.0  # D, of edge sites
    most_links: int = 4  # D, of an edge site
    drift_nodes: int = 0  # D, nodes whose rate drifts within the episode
    drift_factor: float = 4.0  # D, their true rate over the told one, from the middle on


_DECIDED = ("places", "most_hops", "range_m", "most_links", "drift_nodes", "drift_factor")
_NEIGHBOURING = ("arrival_probability", "repair_per_slot", "execution_failure_per_s")
#: Where each number comes from; carried into reports.
TAGS = {
    name: "D" if name in _DECIDED else "N" if name in _NEIGHBOURING else "P"
    for name in asdict(Parameters())
}

PRESETS: dict[str, Parameters] = {
    "paper": Parameters(),
    "random": Parameters(topology="random"),
    "sites": Parameters(topology="eua"),
    **{
        name: Parameters(**sweep.changes(value))
        for sweep in SWEEPS.values()
        for name, value in sweep.presets.items()
    },
}


def parameters(preset: str = "paper", **changes: object) -> Parameters:
    """Parameters of a preset, with changes.

    Raises
    ------
    ValueError
        If the preset or a parameter is unknown, or a value is out of range.
    """
    checks.known("preset", preset, PRESETS)
    p = checks.changed(PRESETS[preset], changes)
    checks.known("topology", p.topology, TOPOLOGIES)
    for name in ("nodes", "slots", "places", "most_links"):
        checks.whole(name, getattr(p, name), 1)
    for name in ("most_hops", "drift_nodes"):
        checks.whole(name, getattr(p, name), 0)
    if p.drift_nodes > p.nodes:
        raise ValueError(f"drift_nodes = {p.drift_nodes} must be at most nodes = {p.nodes}")
    if not 1 <= p.drift_factor < float("inf"):
        raise ValueError(f"drift_factor = {p.drift_factor!r} must be >= 1")
    for name in ("slot_s", "deadline_s", "core_ghz", "range_m"):
        value = getattr(p, name)
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} = {value!r} must be > 0")
    for name in ("task_kb", "cycles_per_bit", "link_mb_per_s", "cores"):
        low, high = checks.pair(name, getattr(p, name))
        if not 0 < low <= high < float("inf"):
            raise ValueError(f"{name} = {getattr(p, name)!r} must be 0 < low <= high")
    for value in p.cores:
        checks.whole("cores", value, 4)
        if value % 4:
            raise ValueError(f"cores = {p.cores!r} must be multiples of 4")
    for name in ("arrival_probability", "execution_failure_per_s", "link_failure_per_s"):
        low, high = checks.pair(name, getattr(p, name))
        if not 0 <= low <= high < float("inf"):
            raise ValueError(f"{name} = {getattr(p, name)!r} must be 0 <= low <= high")
    if p.arrival_probability[1] > 1:
        raise ValueError(f"arrival_probability = {p.arrival_probability!r} must be at most 1")
    if not 0 <= p.node_failure_per_s < float("inf"):
        raise ValueError(f"node_failure_per_s = {p.node_failure_per_s!r} must be >= 0")
    if not 0 < p.repair_per_slot < 1:
        raise ValueError(f"repair_per_slot = {p.repair_per_slot!r} must be in (0, 1)")
    return p


def generate(
    preset: str = "paper",
    seed: int = 0,
    *,
    task_seed: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    **changes: object,
) -> OffloadingInstance:
    """One episode; its network is in the meta (`mecopt.collaboration.network.Network.of`).

    Parameters
    ----------
    preset : str
        A key of `PRESETS`.
    seed : int
        Seed of network, tasks and failures.
    task_seed : int, optional
        Draw other tasks and failures over the *same* network (what a policy that knows the
        generator may sample as a future).
    data_dir : path, optional
        The data folder, for edge sites.
    **changes
        Overrides of `Parameters` fields.

    Returns
    -------
    OffloadingInstance
        Tasks in order of (slot, node). An episode without a single arrival gets one task of the
        first node in slot 0, so that instances are never empty.

    Raises
    ------
    ValueError
        Names the argument and the value that cannot be used.
    FileNotFoundError
        If the file of edge sites is needed and missing.
    """
    p = parameters(preset, **changes)
    checks.check_seed(seed)
    if task_seed is not None:
        checks.check_seed(task_seed, "task_seed")
    rng = np.random.default_rng([9, seed])
    arrival = rng.uniform(*p.arrival_probability, size=p.nodes)
    network, files = _network(p, rng, data_dir)
    key = [seed] if task_seed is None else [seed, 1, task_seed]
    tasks = _tasks(p, arrival, np.random.default_rng([10, *key]))
    world = _world(p, network, len(tasks), np.random.default_rng([11, *key]))
    drift = _drift(p, np.random.default_rng([12, seed]))
    provenance: dict[str, Any] = {
        "scenario": "ledrl",
        "preset": preset,
        "seed": seed,
        "task_seed": task_seed,
        "slot_s": p.slot_s,
        "parameters": asdict(p),
        "tags": TAGS,
        "arrival_probability": arrival.tolist(),
    }
    if files:
        provenance["files"] = files
    if drift.nodes:
        provenance["drift"] = drift.document()
        world = replace(world, strength=drift.weakened(world.strength, tasks.release_s))
    return instance_of(network, tasks, world, p.most_hops, provenance)


def _drift(p: Parameters, rng: np.random.Generator) -> Drift:
    """Which nodes drift, drawn apart from all else: an episode without is what it always was."""
    nodes = sorted(rng.choice(p.nodes, size=p.drift_nodes, replace=False).tolist())
    return Drift(tuple(nodes), p.slots * p.slot_s / 2, p.drift_factor)


def _network(
    p: Parameters, rng: np.random.Generator, data_dir: str | os.PathLike[str] | None
) -> tuple[Network, dict[str, str]]:
    """The network, and the files it was made from."""
    names, files = [str(i) for i in range(p.nodes)], {}
    if p.topology == "ring":
        pairs = topology.ring_with_chords(p.nodes, rng)
    elif p.topology == "random":
        pairs = topology.random_connected(p.nodes, rng)
    else:
        table = read(find(SITES), resolve_data_dir(data_dir))
        pairs, names = topology.sites(table, p.nodes, p.range_m, p.most_links, rng)
        files = {find(SITES).path: table.sha256}
    cores = 4 * rng.integers(p.cores[0] // 4, p.cores[1] // 4 + 1, size=p.nodes)
    share_hz = cores * p.core_ghz * 1e9 / p.places
    # Rates are scaled uniforms: at a higher rate the same seed damages the same tasks and more.
    execution = rng.uniform(*p.execution_failure_per_s, size=p.nodes)
    both = [way for a, b in pairs for way in ((a, b), (b, a))]
    speed = 1e6 * rng.uniform(*p.link_mb_per_s, size=len(both))
    failure = rng.uniform(*p.link_failure_per_s, size=len(both))
    nodes = tuple(
        Node(names[i], float(share_hz[i]), p.places, float(execution[i])) for i in range(p.nodes)
    )
    links = tuple(
        Link(names[a], names[b], float(speed[i]), float(failure[i]))
        for i, (a, b) in enumerate(both)
    )
    repair = -np.log1p(-p.repair_per_slot) / p.slot_s
    return Network(nodes, links, p.node_failure_per_s, float(repair)), files


def _tasks(p: Parameters, arrival: NDArray[np.float64], rng: np.random.Generator) -> Tasks:
    arrives = rng.random((p.slots, p.nodes)) < arrival
    arrives[0, 0] |= not arrives.any()
    slot, origin = np.nonzero(arrives)
    size_bytes = 1e3 * rng.uniform(*p.task_kb, size=len(slot))
    cycles = 8.0 * size_bytes * rng.uniform(*p.cycles_per_bit, size=len(slot))
    return Tasks(
        np.asarray(slot * p.slot_s, dtype=np.float64), origin, size_bytes, cycles, p.deadline_s
    )


def _world(p: Parameters, network: Network, tasks: int, rng: np.random.Generator) -> World:
    strength = rng.exponential(size=(tasks, len(network.nodes) + len(network.links)))
    end_s = p.slots * p.slot_s + p.deadline_s
    down_s = [
        down_intervals(own, network.node_failure_per_s, network.repair_per_s, end_s)
        for own in rng.spawn(len(network.nodes))
    ]
    return World(down_s, strength)
