"""AI WiFi offload (arXiv 2604.21399): users and access points in a 50 m hall, tasks that split.

A user belongs to the access point it hears best; other access points are reached over the wire
behind it, and a user that hears none works alone. The channel of an access point carries one
transfer at a time, both ways, at the rate of 802.11ax for what the receiver hears, each frame with
the channel time that contention among the users of the access point takes.

Printed are places, channel, arrivals, sizes and speeds of the machines, and the weights; the tasks,
their difficulty and how right a model is are not, and are decisions of ours (D) chosen so that the
two rules without a planner come near the paper's rows (``benchmarks/task_graphs/calibrate.py``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from mecopt import checks
from mecopt.edge import contention, wifi
from mecopt.offloading.instance import OffloadingInstance
from mecopt.task_graphs.correctness import Skill, undivided
from mecopt.task_graphs.episode import Episode
from mecopt.task_graphs.network import MOST_SLOTS, Link, Network, Node, roofline
from mecopt.task_graphs.options import GraphTask, Weights
from mecopt.task_graphs.scenarios import requests


@dataclass(frozen=True)
class Parameters:
    """Parameters of an episode, with units."""

    aps: int = 2  # P, 2 or 4
    ues: int = 5  # P, 5 or 7
    arrivals_per_ue_s: float = 0.1  # D, per user; the paper prints 0.1
    horizon_s: float = 600.0  # P; 0 gives every user one task at time 0
    side_m: float = 50.0  # P
    room_m: float = 17.0  # D, nine rooms
    carrier_ghz: float = 5.25  # P (5 GHz)
    width_mhz: int = 40  # P
    streams: int = 2  # D
    power_dbm: float = 20.0  # D
    wire_mbps: float = 1000.0  # D, between access points
    wire_latency_s: float = 0.001  # D
    ap_params_b: tuple[float, ...] = (7.0, 14.0, 32.0)  # P, in turn, places drawn
    ap_tflops: tuple[float, float] = (120.0, 312.0)  # P, uniform
    ap_tb_per_s: tuple[float, float] = (0.6, 2.0)  # P, uniform
    ap_slots: int = 8  # D, calls served side by side
    ue_params_b: float = 1.5  # P
    ue_tflops: tuple[float, float] = (20.0, 48.0)  # P, uniform
    ue_tb_per_s: tuple[float, float] = (0.2, 0.4)  # P, uniform
    accuracy_weight: float = 1.0  # P
    latency_weight_per_s: float = 0.01  # P
    steepness: float = 7.0  # D
    input_mbit: tuple[float, float] = (4.0, 16.0)  # D, uniform: documents and images
    prompt_tokens: tuple[int, int] = (200, 800)  # D, uniform, both included
    bits_per_token: float = 32.0  # D
    most_subtasks: int = 5  # P
    chained: float = 0.5  # D, chance that a step builds on an earlier one
    undivided_penalty: float = 0.1  # D, difficulty per further step done in one call
    length_noise: float = 0.05  # D, standard deviation of the logarithm
    difficulty_noise: float = 0.02  # D


_PRINTED = (
    *("aps", "ues", "horizon_s", "side_m", "carrier_ghz", "width_mhz", "ap_params_b", "ap_tflops"),
    *("ap_tb_per_s", "ue_params_b", "ue_tflops", "ue_tb_per_s", "accuracy_weight"),
    *("latency_weight_per_s", "most_subtasks"),
)
#: Where each number comes from; carried into reports.
TAGS = {name: "P" if name in _PRINTED else "D" for name in asdict(Parameters())}

#: Most access points, users, and tasks expected of an episode.
_MOST, _MOST_TASKS = 1_000, 100_000

PRESETS: dict[str, Parameters] = {
    "paper": Parameters(),
    "four-aps": Parameters(aps=4, ues=7),
    "busy": Parameters(arrivals_per_ue_s=0.2),
    "snapshot": Parameters(aps=4, ues=7, horizon_s=0.0),
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
    for name in ("aps", "ues", "ap_slots", "streams"):
        checks.whole(name, getattr(p, name), 1)
    for name, most in (("aps", _MOST), ("ues", _MOST), ("ap_slots", MOST_SLOTS)):
        if getattr(p, name) > most:
            raise ValueError(f"{name} = {getattr(p, name)} must be at most {most}")
    checks.whole("most_subtasks", p.most_subtasks, 1)
    if p.most_subtasks > 6:
        raise ValueError(f"most_subtasks = {p.most_subtasks} must be at most 6")
    for name in ("horizon_s", "undivided_penalty", "length_noise", "difficulty_noise"):
        value = getattr(p, name)
        if not 0 <= value < float("inf"):
            raise ValueError(f"{name} = {value!r} must be >= 0")
    for name in ("arrivals_per_ue_s", "side_m", "room_m", "wire_mbps", "steepness"):
        value = getattr(p, name)
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} = {value!r} must be > 0")
    for name in ("ap_tflops", "ap_tb_per_s", "ue_tflops", "ue_tb_per_s", "input_mbit"):
        low, high = checks.pair(name, getattr(p, name))
        if not 0 < low <= high < float("inf"):
            raise ValueError(f"{name} = {getattr(p, name)!r} must be 0 < low <= high")
    low, high = checks.pair("prompt_tokens", p.prompt_tokens)
    if not (0 <= low <= high < 2**31 and low % 1 == high % 1 == 0):
        raise ValueError(
            f"prompt_tokens = {p.prompt_tokens!r} must be whole numbers, 0 <= low <= high"
        )
    if not p.ap_params_b or not all(0 < size < float("inf") for size in p.ap_params_b):
        raise ValueError(f"ap_params_b = {p.ap_params_b!r} must be numbers > 0")
    if not 0 < p.ue_params_b < max(p.ap_params_b):
        raise ValueError(
            f"ue_params_b = {p.ue_params_b!r} must be > 0 and below the largest of "
            f"ap_params_b = {p.ap_params_b!r}"
        )
    if p.arrivals_per_ue_s * p.horizon_s * p.ues > _MOST_TASKS:
        raise ValueError(
            f"arrivals_per_ue_s = {p.arrivals_per_ue_s:g}: {p.ues} users make more than "
            f"{_MOST_TASKS} tasks in {p.horizon_s:g} s"
        )
    if not 0 <= p.chained <= 1:
        raise ValueError(f"chained = {p.chained!r} must be in [0, 1]")
    return p


def generate(
    preset: str = "paper", seed: int = 0, *, task_seed: int | None = None, **changes: object
) -> OffloadingInstance:
    """One episode; its plans and network are in ``meta`` (see `mecopt.task_graphs.episode`).

    Parameters
    ----------
    preset : str
        A key of `PRESETS`.
    seed : int
        Seed of places, machines and tasks.
    task_seed : int, optional
        Draw other tasks over the *same* network (what a policy that knows the generator may
        sample as a future).
    **changes
        Overrides of `Parameters` fields.

    Raises
    ------
    ValueError
        Names the argument and the value that cannot be used.
    """
    return episode(preset, seed, task_seed=task_seed, **changes).instance


def episode(
    preset: str = "paper", seed: int = 0, *, task_seed: int | None = None, **changes: object
) -> Episode:
    """Network and tasks of `generate`."""
    p = parameters(preset, **changes)
    checks.check_seed(seed)
    if task_seed is not None:
        checks.check_seed(task_seed, "task_seed")
    network, lonely = _network(p, np.random.default_rng([6, seed]))
    key = [7, seed] if task_seed is None else [8, seed, task_seed]
    tasks, texts = _tasks(p, np.random.default_rng(key))
    notes = []
    if lonely:
        notes.append(f"{', '.join(lonely)}: out of range of every access point, works alone")
    return Episode(
        network,
        tasks,
        Weights(
            p.accuracy_weight,
            p.latency_weight_per_s,
            p.bits_per_token,
            Skill(p.steepness, p.ue_params_b * 1e9, max(p.ap_params_b) * 1e9),
        ),
        requests=texts,
        undivided_penalty=p.undivided_penalty,
        provenance={
            "scenario": "wifi",
            "preset": preset,
            "seed": seed,
            "task_seed": task_seed,
            "parameters": asdict(p),
            "tags": TAGS,
            "notes": notes,
        },
    )


def ap_places(p: Parameters) -> NDArray[np.float64]:
    """(aps, 2) places of access points: the middles of equal cells of a grid, m."""
    columns = int(np.ceil(np.sqrt(p.aps)))
    rows = -(-p.aps // columns)
    at = [((i % columns + 0.5) / columns, (i // columns + 0.5) / rows) for i in range(p.aps)]
    return p.side_m * np.array(at)


def _network(p: Parameters, rng: np.random.Generator) -> tuple[Network, list[str]]:
    """The network, and the names of users out of range."""
    ap_at, ue_at = ap_places(p), rng.uniform(0.0, p.side_m, (p.ues, 2))
    sizes = rng.permutation(np.resize(p.ap_params_b, p.aps))
    nodes = []
    for i in range(p.ues):
        speed = rng.uniform(*p.ue_tflops) * 1e12, rng.uniform(*p.ue_tb_per_s) * 1e12
        params = p.ue_params_b * 1e9
        nodes.append(Node(f"ue {i}", *roofline(params, *speed), kind="device", params=params))
    for j in range(p.aps):
        speed = rng.uniform(*p.ap_tflops) * 1e12, rng.uniform(*p.ap_tb_per_s) * 1e12
        params = float(sizes[j]) * 1e9
        node = Node(
            f"ap {j}", *roofline(params, *speed, p.ap_slots), slots=p.ap_slots, params=params
        )
        nodes.append(node)
    distance = np.hypot(*(ue_at[:, None] - ap_at[None]).transpose(2, 0, 1))
    walls = wifi.walls_between(ue_at, ap_at, p.room_m)
    heard = p.power_dbm - wifi.path_loss_db(distance, walls, p.carrier_ghz)
    rate = wifi.phy_rate_bps(heard, p.width_mhz, p.streams)
    home = np.argmax(heard, axis=1)
    reached = rate[np.arange(p.ues), home] > 0
    links = []
    for j in range(p.aps):
        mine = np.flatnonzero(reached & (home == j))
        # The access point contends, too: it sends results.
        crowd = contention.fixed_point(len(mine) + 1)
        for user in mine.tolist():
            links.append(_air(f"ue {user}", j, float(rate[user, j]), crowd))
    for j in range(p.aps):
        for k in range(j):
            wire = Link(f"ap {k}", f"ap {j}", p.wire_mbps * 1e6, p.wire_latency_s)
            links.append(wire)
    return Network(tuple(nodes), tuple(links)), [f"ue {i}" for i in np.flatnonzero(~reached)]


def _air(ue: str, ap: int, rate_bps: float, crowd: contention.FixedPoint) -> Link:
    """The link of a user: frames as `mecopt.edge.contention.airtime_s` counts them."""
    return Link(
        ue,
        f"ap {ap}",
        bit_per_s=rate_bps / (1.0 + crowd.collisions_per_success),
        frame_bits=contention.largest_frame_bits(rate_bps, crowd),
        frame_s=contention.frame_overhead_s(crowd),
        channel=f"channel {ap}",
    )


def _tasks(p: Parameters, rng: np.random.Generator) -> tuple[tuple[GraphTask, ...], list[str]]:
    """Tasks in order of release, and what was asked."""
    release, user = np.zeros(p.ues), np.arange(p.ues)
    if p.horizon_s > 0:
        count = rng.poisson(p.arrivals_per_ue_s * p.horizon_s, p.ues)
        if not count.any():  # instances are never empty
            count[0] = 1
        user = np.repeat(user, count)
        release = rng.uniform(0.0, p.horizon_s, len(user))
        order = np.argsort(release, kind="stable")
        release, user = release[order], user[order]
    tasks, texts = [], []
    for k in range(len(user)):
        request = requests.draw(rng, p.most_subtasks, p.chained)
        prompt = float(rng.integers(p.prompt_tokens[0], p.prompt_tokens[1] + 1))
        noise = p.length_noise, p.difficulty_noise
        plan = requests.truth(request, rng, prompt, noise)
        tasks.append(
            GraphTask(
                float(release[k]),
                f"ue {user[k]}",
                plan,
                undivided(plan, p.undivided_penalty),
                1e6 * float(rng.uniform(*p.input_mbit)),
                f"task {k}",
            )
        )
        texts.append(request.text)
    return tuple(tasks), texts
