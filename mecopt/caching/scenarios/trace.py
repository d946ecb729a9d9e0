"""Edge caches under real demand: popularity, bursts, context reuse and model sizes from data.

* **Agents** are the busiest clients of a ServeGen workload (a production LLM service) in the
  stretch of data shown. Request rates in 600-s windows give popularity and its drift, the law of
  the gaps between requests (family and shape per window) the bursts, token counts the work of a
  request. A window of the data lasts `slots_per_window` slots here, and rates are scaled to
  `requests_per_agent`.
* **Contexts** follow the Mooncake conversation trace, whose requests name the 512-token blocks of
  their prompts. Sessions (requests that share their second block) are dealt to the agents. A
  thought is one block: g is the mean number of new blocks of a request that a later request uses
  again, and Delta lets half a context vanish in the median time between uses.
* **Models** come from the architecture table: weights at 4.5 bits, and the key-value cache of
  kappa_max blocks.

Everything else is as in `mecopt.caching.scenarios.t2drl`. The seed picks the stretch of the data,
deals sessions, models and servers. Tags as there.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass

import numpy as np

from mecopt import checks
from mecopt.caching.grid import ENERGY_J
from mecopt.caching.instance import CachingInstance
from mecopt.caching.scenarios import demand as caching_demand
from mecopt.caching.scenarios import t2drl as caching
from mecopt.data.folder import find, resolve_data_dir
from mecopt.data.tables import Table, read

#: Name of the preset whose popularity, bursts and sizes come from data.
PRESET = "trace"
#: The model of each size of `caching.MODELS`, as a row of the architecture table.
ARCHITECTURES = {
    "8B": "Llama-3.1-8B",
    "13B": "Qwen2.5-14B",
    "34B": "Qwen2.5-32B",
    "70B": "Llama-3.1-70B",
}
#: Tokens of a block of the Mooncake trace.
BLOCK_TOKENS = 512


@dataclass(frozen=True)
class Parameters:
    """What differs from `caching.Parameters`, with units."""

    workload: str = "deepseek-r1"  # D, a reasoning service whose clients all have token counts
    agents: int = 20  # D, its busiest clients
    servers: int = 5  # P
    slots: int = 100  # P
    slots_per_window: int = 10  # D, slots that a 600-s window of the data lasts
    requests_per_agent: float = 1.0  # D, mean per server and slot
    weight_fraction: float = 0.28125  # N, 4 bits and a 16-bit scale per group of 32, of 16
    mean_tokens: float = 150.0  # P, mean that input lengths are scaled to (D)


#: Where each number comes from; carried into reports.
TAGS = {
    **dict.fromkeys(asdict(Parameters()), "D"),
    "servers": "P",
    "slots": "P",
    "weight_fraction": "N",
    "mean_tokens": "P, D",
}


def generate(
    seed: int = 0, *, data_dir: str | os.PathLike[str] | None = None, **changes: object
) -> CachingInstance:
    """One episode of the trace scenario.

    Parameters
    ----------
    seed : int
    data_dir : path, optional
        Data folder (see `mecopt.data.folder.resolve_data_dir`).
    **changes
        Overrides of `Parameters` fields.

    Raises
    ------
    FileNotFoundError, ValueError
        Missing or malformed data files, unknown parameters, too few clients in the workload.
    """
    p, base = checks.changed(Parameters(), changes), caching.Parameters()
    checks.check_seed(seed)
    folder = resolve_data_dir(data_dir)
    rates = read(find("servegen-rates"), folder)
    lengths = read(find("servegen-tokens"), folder)
    architectures = read(find("model-architectures"), folder)
    conversations = read(caching_demand.block_file(), folder)
    rng = np.random.default_rng([4, seed])

    windows = -(-p.slots // p.slots_per_window)
    demand = caching_demand.demand(rates, p.workload, p.agents, windows, rng)
    mean = caching_demand.mean_tokens(lengths, p.workload, demand.clients)
    tokens = mean["input_tokens"] * (p.mean_tokens / mean["input_tokens"].mean())
    new_blocks, reuse_s = caching_demand.contexts(conversations, p.agents, rng)
    kept = base.kappa_max
    shares = [m.share for m in caching.MODELS.values()]
    names = [str(n) for n in rng.choice(list(caching.MODELS), size=p.agents, p=shares)]
    models = [caching.MODELS[name] for name in names]
    rows = [architectures.row("model", ARCHITECTURES[name]) for name in names]
    memory_mb = np.array([_resident_mb(architectures, r, p.weight_fraction, kept) for r in rows])
    flop = 1e9 * architectures["gflop_per_token_forward"][rows]
    flop = flop * (mean["input_tokens"] + mean["output_tokens"])
    gpu_s = flop / (base.tflops * 1e12 * base.utilisation)
    paths = rng.integers(base.paths[0], base.paths[1] + 1, size=p.agents)
    data_set = rng.integers(len(caching.DATA_SETS), size=p.agents)
    requests = caching_demand.arrivals(
        demand,
        servers=p.servers,
        slots=p.slots,
        slots_per_window=p.slots_per_window,
        mean_requests=p.requests_per_agent,
        rng=rng,
    )
    read_tables = (rates, lengths, architectures, conversations)
    return CachingInstance(
        server_names=tuple(f"server {n}" for n in range(p.servers)),
        pair_names=tuple(
            f"client {c} ({ARCHITECTURES[name]})"
            for c, name in zip(demand.clients, names, strict=True)
        ),
        model_names=tuple(names),
        requests=requests,
        memory_mb=memory_mb,
        capacity_mb=np.full(p.servers, round(1e3 * base.capacity_gb)),
        energy_10j=np.rint(gpu_s * base.power_w / ENERGY_J).astype(np.int64),
        energy_budget_10j=np.full(p.servers, int(base.power_w * base.slot_s / ENERGY_J)),
        thoughts=np.clip(np.rint(new_blocks), 1, kept).astype(np.int64),
        vanish=np.maximum(1, np.rint(kept / 2 * base.slot_s / reuse_s)).astype(np.int64),
        kappa_max=np.full(p.agents, kept),
        inaccuracy=1.0 - caching.accuracy([m.accuracy_row for m in models], data_set, paths),
        log_inverse_beta=np.full(p.agents, -np.log(base.beta)),
        accuracy_weight=base.accuracy_weight,
        switch_cost=np.asarray(base.switch_per_mb * memory_mb),
        edge_cost=base.edge_per_token * tokens,
        compute_cost=base.compute_per_gpu_s * gpu_s,
        cloud_cost=base.cloud_per_token * tokens * np.array([m.cloud_factor for m in models]),
        slot_s=base.slot_s,
        meta={
            "scenario": "caching",
            "preset": PRESET,
            "seed": seed,
            "parameters": asdict(p),
            "tags": TAGS,
            "window_start_s": demand.start_s,
            "data": {table.path.name: table.sha256 for table in read_tables},
        },
    )


def _resident_mb(architectures: Table, row: int, fraction: float, blocks: int) -> int:
    """MB of a model's weights and of the key-value cache of some blocks, rounded up."""
    weights = 1e3 * fraction * float(architectures["weights_gb_fp16"][row])
    cache = 1e-6 * blocks * BLOCK_TOKENS * float(architectures["kv_bytes_per_token_fp16"][row])
    return int(np.ceil(weights + cache))
