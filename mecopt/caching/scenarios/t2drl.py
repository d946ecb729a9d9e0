"""T2DRL's edge caches (Xu, Niyato, Brinton, arXiv 2501.14205, sections on system model, results).

Five servers of 80 GB and 300 W; each agent is one pair of a service and a model. Requests are
Poisson with a Zipf popularity that differs from server to server, and come in bursts. Model sizes
are ours: the paper's 137B and 540B models do not fit 80 GB.

Tags: P printed in the paper, D our decision where the paper is silent or contradicts itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mecopt import checks
from mecopt.caching.coupling import Backhaul, Coupling, Forwarding
from mecopt.caching.grid import ENERGY_J
from mecopt.caching.instance import CachingInstance


class Model(NamedTuple):
    """One size of model: what it occupies and costs (D), and the paper's accuracy row it uses."""

    billion: float
    resident_gb: float
    share: float
    cloud_factor: float
    accuracy_row: str


MODELS = {
    "8B": Model(8, 6, 0.30, 0.7, "LaMDA-137B"),
    "13B": Model(13, 10, 0.30, 0.9, "LaMDA-137B"),
    "34B": Model(34, 22, 0.25, 1.3, "PaLM-540B"),
    "70B": Model(70, 42, 0.15, 2.0, "PaLM-540B"),
}

#: Numbers of reasoning paths at which the paper states accuracies (P).
PATHS = (0, 5, 10, 15, 20)

#: Accuracy in per cent by model, data set and number of paths (P).
ACCURACY = {
    "LaMDA-137B": {
        "GSM8K": (15, 21, 24, 25, 26),
        "MultiArith": (47, 63, 69, 71, 73),
        "SVAMP": (34, 43, 49, 51, 52),
        "CSQA": (55, 61, 62, 62, 62),
        "StrategyQA": (63, 66, 67, 67, 68),
    },
    "PaLM-540B": {
        "GSM8K": (50, 65, 70, 71, 72),
        "MultiArith": (89, 97, 98, 98, 98),
        "SVAMP": (71, 83, 88, 85, 85),
        "CSQA": (75, 79, 80, 80, 80),
        "StrategyQA": (74, 78, 79, 80, 80),
    },
}
DATA_SETS = tuple(ACCURACY["LaMDA-137B"])


@dataclass(frozen=True)
class Parameters:
    """Parameters of a caching episode, with units; defaults are preset `base`."""

    agents: int = 25  # P (10-25)
    servers: int = 5  # P
    slots: int = 100  # P
    slot_s: float = 10.0  # D: with 5 s everything becomes an energy knapsack
    capacity_gb: float = 80.0  # P
    power_w: float = 300.0  # P
    tflops: float = 312.0  # P
    utilisation: float = 0.4  # D
    paths: tuple[int, int] = (5, 20)  # P, uniform, both included
    vanish: tuple[int, int] = (1, 4)  # P
    tokens: tuple[int, int] = (100, 200)  # P, input tokens
    tokens_per_path: int = 100  # D
    zeta: float = 0.25  # D, thoughts per path
    kappa_max: int = 40  # D
    beta: float = 0.92  # D
    accuracy_weight: float = 2.5  # P
    cloud_per_token: float = 7.5e-3  # P, times the factor of the model (D)
    edge_per_token: float = 1e-4  # P
    compute_per_gpu_s: float = 0.1  # D
    switch_per_mb: float = 1e-4  # D: the paper's 1e-5, read per 100 kB
    requests_per_agent: float = 1.0  # D, mean per server and slot, bursts included
    zipf: float = 0.7  # D
    burst_slots: float = 15.0  # D, mean length of a burst and of a lull
    burst_factors: tuple[float, float] = (0.25, 2.5)  # D, lull and burst
    backhaul_share: float | None = None  # D, capacity / mean token demand
    overflow_per_token: float = 0.02  # D
    hop_share: float | None = None  # D, cost of a hop / cloud cost of the request


#: Where each number comes from; carried into reports.
_PRINTED = (
    "agents servers slots capacity_gb power_w tflops paths vanish tokens accuracy_weight "
    "edge_per_token"
)
TAGS = {
    **dict.fromkeys(asdict(Parameters()), "D"),
    **dict.fromkeys(_PRINTED.split(), "P"),
    "cloud_per_token": "P, D",
    "switch_per_mb": "P, D",
    "accuracy table": "P",
    "model sizes, mix, cloud factors": "D",
}

_BASE = Parameters()
_TEN = replace(_BASE, agents=10)
PRESETS = {
    "base": _BASE,
    "ten": _TEN,
    "sticky": replace(_BASE, switch_per_mb=5e-4),
    "fast": replace(_BASE, zeta=1.0),
    "big": replace(_BASE, agents=50, servers=1, slots=200),
    "backhaul": replace(_TEN, backhaul_share=0.3),
    "forwarding": replace(_TEN, hop_share=0.05),
    "base-backhaul": replace(_BASE, backhaul_share=0.5),
    "base-forwarding": replace(_BASE, hop_share=0.05),
}


def parameters(preset: str = "base", **changes: object) -> Parameters:
    """Parameters of a preset, with changes.

    Raises
    ------
    ValueError
        If the preset or a parameter name is unknown.
    """
    checks.known("preset", preset, PRESETS)
    return checks.changed(PRESETS[preset], changes)


class _Agents(NamedTuple):
    """What is drawn per agent; arrays (P,)."""

    model: NDArray[np.int64]
    data_set: NDArray[np.int64]
    paths: NDArray[np.int64]
    vanish: NDArray[np.int64]
    tokens: NDArray[np.int64]


def _agents(p: Parameters, seed: int) -> _Agents:
    rng = np.random.default_rng([0, seed])
    shares = np.array([m.share for m in MODELS.values()])
    return _Agents(
        rng.choice(len(MODELS), size=p.agents, p=shares),
        rng.integers(len(DATA_SETS), size=p.agents),
        rng.integers(p.paths[0], p.paths[1] + 1, size=p.agents),
        rng.integers(p.vanish[0], p.vanish[1] + 1, size=p.agents),
        rng.integers(p.tokens[0], p.tokens[1] + 1, size=p.agents),
    )


def _popularity(p: Parameters, seed: int) -> NDArray[np.float64]:
    """(N, P) mean requests per slot, bursts included: Zipf, its own order per server."""
    rng = np.random.default_rng([1, seed])
    weight = np.arange(1, p.agents + 1) ** -p.zipf
    weight *= p.requests_per_agent * p.agents / weight.sum()
    return np.stack([rng.permutation(weight) for _ in range(p.servers)])


def _bursting(p: Parameters, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(N, P, T) whether a pair is in a burst: two-state Markov chains from their stationary law."""
    shape = (p.servers, p.agents)
    on = np.empty((*shape, p.slots), dtype=bool)
    state = rng.random(shape) < 0.5
    for t in range(p.slots):
        on[:, :, t] = state
        state = state ^ (rng.random(shape) < 1.0 / p.burst_slots)
    return on


def _factors(p: Parameters) -> NDArray[np.float64]:
    """What a lull and a burst multiply mean rates with."""
    return np.array(p.burst_factors) / np.mean(p.burst_factors)


def _rates(p: Parameters, seed: int, rng: np.random.Generator) -> NDArray[np.float64]:
    lull, burst = _factors(p)
    return _popularity(p, seed)[:, :, None] * np.where(_bursting(p, rng), burst, lull)


def _request_rng(seed: int, request_seed: int | None) -> np.random.Generator:
    return np.random.default_rng([2, seed] if request_seed is None else [3, seed, request_seed])


def generate(
    preset: str = "base", seed: int = 0, *, request_seed: int | None = None, **changes: object
) -> CachingInstance:
    """One caching episode.

    Parameters
    ----------
    preset : str
        A key of `PRESETS`.
    seed : int
        Seed of agents, popularity and requests.
    request_seed : int, optional
        Draw other requests for the *same* agents and popularity (what a policy that knows the
        generator may sample as a future).
    **changes
        Overrides of `Parameters` fields.
    """
    p = parameters(preset, **changes)
    checks.check_seed(seed)
    rng = _request_rng(seed, request_seed)
    requests = rng.poisson(_rates(p, seed, rng))
    agents = _agents(p, seed)
    models = [list(MODELS.items())[m] for m in agents.model]
    billion = np.array([m.billion for _, m in models])
    gpu_s = (p.tokens_per_path * agents.paths + agents.tokens) * 2e9 * billion
    gpu_s = gpu_s / (p.tflops * 1e12 * p.utilisation)
    memory_mb = np.rint([1e3 * m.resident_gb for _, m in models]).astype(np.int64)
    cloud = p.cloud_per_token * agents.tokens * np.array([m.cloud_factor for _, m in models])
    return CachingInstance(
        server_names=tuple(f"server {n}" for n in range(p.servers)),
        pair_names=tuple(f"agent {i} ({name})" for i, (name, _) in enumerate(models)),
        model_names=tuple(name for name, _ in models),
        requests=requests,
        memory_mb=memory_mb,
        capacity_mb=np.full(p.servers, round(1e3 * p.capacity_gb)),
        energy_10j=np.rint(gpu_s * p.power_w / ENERGY_J).astype(np.int64),
        energy_budget_10j=np.full(p.servers, int(p.power_w * p.slot_s / ENERGY_J)),
        thoughts=np.maximum(1, np.rint(p.zeta * agents.paths)).astype(np.int64),
        vanish=agents.vanish,
        kappa_max=np.full(p.agents, p.kappa_max),
        inaccuracy=1.0
        - accuracy([m.accuracy_row for _, m in models], agents.data_set, agents.paths),
        log_inverse_beta=np.full(p.agents, -np.log(p.beta)),
        accuracy_weight=p.accuracy_weight,
        switch_cost=np.asarray(p.switch_per_mb * memory_mb),
        edge_cost=np.asarray(p.edge_per_token * agents.tokens),
        compute_cost=p.compute_per_gpu_s * gpu_s,
        cloud_cost=cloud,
        slot_s=p.slot_s,
        coupling=_coupling(p, agents.tokens, cloud, requests),
        meta={
            "scenario": "caching",
            "preset": preset,
            "seed": seed,
            "request_seed": request_seed,
            "parameters": asdict(p),
            "changes": dict(changes),
            "tags": TAGS,
        },
    )


def accuracy(
    rows: Sequence[str], data_set: NDArray[np.int64], paths: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(P,) accuracy 0..1 at numbers of paths, linear between the columns of `ACCURACY`.

    `rows` are keys of `ACCURACY`, `data_set` indices into `DATA_SETS`.
    """
    known = [ACCURACY[row][DATA_SETS[d]] for row, d in zip(rows, data_set, strict=True)]
    return np.array([np.interp(j, PATHS, y) for j, y in zip(paths, known, strict=True)]) / 100


def _coupling(
    p: Parameters,
    tokens: NDArray[np.int64],
    cloud: NDArray[np.float64],
    requests: NDArray[np.int64],
) -> Coupling | None:
    if p.backhaul_share is not None:
        demand = float(np.einsum("p,npt->t", tokens, requests).mean())
        capacity = np.full(p.slots, int(p.backhaul_share * demand))
        return Backhaul(tokens, capacity, p.overflow_per_token)
    if p.hop_share is not None:
        return Forwarding(p.hop_share * cloud)
    return None


def true_rates(instance: CachingInstance) -> NDArray[np.float64]:
    """(N, P, T) mean requests behind an instance of this scenario, bursts included.

    What no online policy may know; `rolling-rates` is told.

    Raises
    ------
    ValueError
        If the instance does not say that it was generated here.
    """
    p, seed = _generated(instance)
    return _rates(p, seed, _request_rng(seed, instance.meta["request_seed"]))


class Demand(NamedTuple):
    """The law of an instance's requests: Poisson, in phases that change at random.

    `mean` (N, P) is requests per slot over both phases, `factors` what a lull and a burst multiply
    it with, and `flip` the probability that the phase changes from slot to slot. Both phases are as
    likely before the first.
    """

    mean: NDArray[np.float64]
    factors: tuple[float, float]
    flip: float


def demand_of(instance: CachingInstance) -> Demand:
    """The law that an instance of this scenario was drawn from, its phases not told.

    Raises
    ------
    ValueError
        If the instance does not say that it was generated here.
    """
    p, seed = _generated(instance)
    lull, burst = (float(f) for f in _factors(p))
    return Demand(_popularity(p, seed), (lull, burst), 1.0 / p.burst_slots)


def redrawn(instance: CachingInstance, request_seed: int) -> CachingInstance:
    """The same system, a shared link included, with other requests of the same law.

    Raises
    ------
    ValueError
        If the instance does not say that it was generated here, or the seed is none.
    """
    p, seed = _generated(instance)
    checks.check_seed(request_seed)
    rng = _request_rng(seed, request_seed)
    requests = rng.poisson(_rates(p, seed, rng))
    meta = {**instance.meta, "request_seed": request_seed}
    return replace(instance, requests=requests, meta=meta)


def _generated(instance: CachingInstance) -> tuple[Parameters, int]:
    """Parameters and seed of an instance that was generated here."""
    meta: Mapping[str, Any] = instance.meta
    if meta.get("scenario") != "caching" or meta.get("preset") not in PRESETS:
        raise ValueError(
            f"rates: preset {meta.get('preset')!r} of scenario {meta.get('scenario')!r} has no "
            f"known rates, only scenario 'caching' with {', '.join(PRESETS)} has"
        )
    changes = {k: tuple(v) if isinstance(v, list) else v for k, v in meta["changes"].items()}
    return parameters(meta["preset"], **changes), meta["seed"]
