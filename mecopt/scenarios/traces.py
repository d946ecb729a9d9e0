"""Real LLM requests over real sites: own device, edge GPU or cloud.

Requests are a window of a public trace (Azure 2023 conversation or code, Mooncake conversation, or
a CSV file of your own); sites and users are the EUA data of Melbourne CBD; models, devices and
radio come from shared tables (docs/data.md). The traces name no user: each request gets one by a
uniform draw. Its options, in this order:

* ``device: MODEL``: the user's phone or laptop, one request at a time;
* ``site ID: MODEL``: upload to one of the nearest GPU sites, then prefill and decode in one of its
  slots at the speed a sequence gets in a full batch (`mecopt.scenarios.roofline`);
* ``cloud: MODEL``: upload to the nearest base station, then WAN round trip, prefill and decode.
  The cloud has no queue; prefill uses all its compute, decode runs in a batch.

A model is offered only when prompt and longest answer of the trace fit its context. Cost = latency
to the last token + w_a (1 - accuracy) + a fee for the cloud; a late or dropped request costs the
drop cost. The download of the answer (a few kB) is left out.

Realised times use the output length in the trace; believed times use the mean output length of the
requests of the whole trace whose prompt is in the same tenth.

Tags: P printed in the paper, N from a neighbouring paper or a standard, D our decision. Numbers
that are not parameters are read from the data files. Model accuracies are one block of one
publication (`hosts.ACCURACY_SOURCE`: instruct models in BF16, what 4-bit weights lose is left out).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from mecopt.data.registry import find, resolve_data_dir
from mecopt.data.tables import Table, read
from mecopt.offloading import OffloadingInstance
from mecopt.scenarios import radio
from mecopt.scenarios.hosts import make_hosts
from mecopt.scenarios.request_options import assemble
from mecopt.scenarios.requests import read_requests, resample
from mecopt.scenarios.sites import cover

#: Data files besides the trace.
TABLES = (
    "eua-sites",
    "eua-users",
    "model-architectures",
    "model-accuracy",
    "device-specs",
    "measured-llm-speed",
    "channel-constants",
    "nr-cqi",
    "nr-bandwidth",
)


@dataclass(frozen=True)
class Parameters:
    """Parameters of the setting, with units; `TAGS` says where each comes from."""

    gpu_sites: int = 5  # sites that host a GPU, spread over the area
    site_gpus: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("Jetson AGX Thor 128GB", ("Qwen2.5-7B", "Qwen2.5-14B")),
        ("NVIDIA L4", ("Qwen2.5-3B", "Qwen2.5-7B")),
    )  # device and models of a GPU site, given out in turn
    slots: int = 8  # sequences at once on a GPU
    max_sites: int = 3  # nearest GPU sites a user may choose from
    radius_m: float = 600.0  # farthest GPU site a user may choose
    user_devices: tuple[tuple[str, float], ...] = (
        ("Snapdragon 8 Gen 3 phone", 0.8),
        ("Apple M3 Max 40-core GPU", 0.2),
    )  # device and share of the users
    device_model: str = "Qwen2.5-1.5B"
    cloud_device: str = "H100 SXM 80GB"
    cloud_gpus: int = 4  # GPUs that share one copy of the model
    cloud_batch: int = 16  # sequences that decode together
    cloud_model: str = "Qwen2.5-72B"  # fp16
    cloud_rtt_s: float = 0.06
    cloud_fee_s: float = 4.0  # fixed cost of a cloud request
    bytes_fraction: float = 0.28125  # weights on devices and sites, 4.5 bits over 16
    accuracy_weight_s: float = 10.0  # w_a, cost of accuracy 0 instead of 1
    accuracy_benchmark: str = "MMLU-redux"
    deadline_s: float = 20.0  # for the last token
    drop_cost_s: float = 40.0
    carrier_ghz: float = 3.5
    bandwidth_mhz: int = 20
    scs_khz: int = 30
    user_power_dbm: float = 23.0
    site_gain_db: float = 8.0
    noise_figure_db: float = 5.0
    site_height_m: float = 10.0
    user_height_m: float = 1.5
    bytes_per_prompt_token: float = 4.0
    stamp_jitter_s: float = 3.0  # Mooncake only, whose stamps are about 3 s apart
    length_bins: int = 10  # quantile bins of the prompt length, for believed output lengths


#: Where each number comes from; carried into reports.
TAGS = {
    **dict.fromkeys(asdict(Parameters()), "D"),
    "bytes_fraction": "N (4 bits and a 16-bit scale per group of 32)",
    "drop_cost_s": "N (twice the deadline, as in COMLLM)",
    "user_power_dbm": "N (3GPP TS 38.101-1, power class 3)",
    "site_gain_db": "N (3GPP TR 38.901 Table 7.3-1, one antenna element)",
    "noise_figure_db": "N (3GPP TR 38.802, base station)",
    "site_height_m": "N (3GPP TR 38.901 Table 7.2-1, UMi)",
    "user_height_m": "N (3GPP TR 38.901 Table 7.2-1, UMi)",
}


def parameters(**changes: object) -> Parameters:
    """The default parameters, with changes.

    Raises
    ------
    ValueError
        If a name is unknown or a value is out of range.
    """
    unknown = set(changes) - set(TAGS)
    if unknown:
        raise ValueError(f"parameters: unknown {sorted(unknown)[0]!r}")
    p = replace(Parameters(), **changes)  # type: ignore[arg-type]
    for name in ("gpu_sites", "slots", "max_sites", "cloud_gpus", "cloud_batch", "length_bins"):
        if getattr(p, name) < 1:
            raise ValueError(f"{name} = {getattr(p, name)} must be >= 1")
    for name in ("radius_m", "bytes_fraction", "carrier_ghz"):
        if not getattr(p, name) > 0:
            raise ValueError(f"{name} = {getattr(p, name)} must be > 0")
    for name in ("cloud_rtt_s", "cloud_fee_s", "accuracy_weight_s", "bytes_per_prompt_token"):
        if not getattr(p, name) >= 0:
            raise ValueError(f"{name} = {getattr(p, name)} must be >= 0")
    shares = [share for _, share in p.user_devices]
    if min(shares, default=-1) < 0 or not np.isclose(sum(shares), 1.0):
        raise ValueError(f"user_devices: shares {shares} must be >= 0 and sum to 1")
    if not p.site_gpus or not all(models for _, models in p.site_gpus):
        raise ValueError("site_gpus: every GPU needs a device and at least one model")
    return p


def generate(
    trace: str = "azure-conv",
    window: Sequence[float] = (0.0, 600.0),
    seed: int = 0,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    task_seed: int | None = None,
    **changes: object,
) -> OffloadingInstance:
    """The requests of a window of a trace, as an offloading instance.

    Parameters
    ----------
    trace : str
        ``"azure-conv"``, ``"azure-code"``, ``"mooncake-conversation"``, or the path of a .csv or
        .csv.gz file with columns ``arrival_s,context_tokens,generated_tokens``.
    window : (start, end)
        Arrivals in [start, end) of the trace, s; releases count from `start`. The hour of
        azure-conv is ``(0, 3600)``.
    seed : int
        Seed of GPU sites, user devices, owners and jitter.
    data_dir : path, optional
        The data folder (`mecopt.data.resolve_data_dir`).
    task_seed : int, optional
        Draw other requests for the same owners over the same resources: real gaps from elsewhere
        in the trace, tokens of random requests.
    **changes
        Overrides of `Parameters` fields.

    Returns
    -------
    OffloadingInstance
        Resources: uplink and device of every user with a request in the window, every GPU site
        they reach, the cloud.

    Raises
    ------
    FileNotFoundError, ValueError
        Missing or malformed data (names file, row and column), an empty window, a model that does
        not fit its device, a request that nothing can serve.
    """
    p = parameters(**changes)
    if seed < 0 or (task_seed is not None and task_seed < 0):
        raise ValueError(f"seed = {seed}, task_seed = {task_seed}: must be >= 0")
    if len(window) != 2 or not 0 <= window[0] < window[1]:
        raise ValueError(f"window = {window} must be (start, end) with 0 <= start < end, in s")
    folder = resolve_data_dir(data_dir)
    tables = {name: read(find(name), folder) for name in TABLES}
    everything, table = read_requests(
        trace,
        folder,
        users=len(tables["eua-users"]),
        seed=seed,
        jitter_s=p.stamp_jitter_s,
        length_bins=p.length_bins,
    )
    start, end = float(window[0]), float(window[1])
    inside = (everything.arrival_s >= start) & (everything.arrival_s < end)
    if not inside.any():
        raise ValueError(
            f"window = [{start:g}, {end:g}) s: {trace} has no arrival there, its last is at "
            f"{everything.arrival_s[-1]:.1f} s"
        )
    base = everything.take(np.flatnonzero(inside))
    requests = replace(base, arrival_s=base.arrival_s - start)
    if task_seed is not None:
        requests = resample(everything, base, end - start, [2, seed, task_seed])
    coverage = cover(
        tables["eua-sites"],
        tables["eua-users"],
        make_link(tables, p),
        gpu_sites=p.gpu_sites,
        gpu_kinds=len(p.site_gpus),
        max_sites=p.max_sites,
        radius_m=p.radius_m,
        seed=seed,
    )
    files = {find(name).path: t.sha256 for name, t in tables.items()}
    meta = {
        "scenario": "traces",
        "trace": trace,
        "window": [start, end],
        "seed": seed,
        "task_seed": task_seed,
        "parameters": asdict(p),
        "tags": TAGS,
        "files": {**files, table.path.name: table.sha256},
    }
    hosts = make_hosts(tables, p)
    meta["gpu_sites"] = {
        str(tables["eua-sites"]["site_id"][i]): p.site_gpus[kind][0]
        for i, kind in enumerate(coverage.gpu_of_site)
        if kind >= 0
    }
    n_users = len(tables["eua-users"])
    shares = [share for _, share in p.user_devices]
    device = np.random.default_rng([3, seed]).choice(len(shares), size=n_users, p=shares)
    return assemble(
        requests,
        owners=np.unique(base.owner),
        device_of_user=device,
        site_ids=tables["eua-sites"]["site_id"],
        coverage=coverage,
        hosts=hosts,
        everything=everything,
        bytes_per_prompt_token=p.bytes_per_prompt_token,
        deadline_s=p.deadline_s,
        drop_cost_s=p.drop_cost_s,
        meta=meta,
    )


def make_link(tables: dict[str, Table], p: Parameters) -> radio.Link:
    """The radio of the parameters and the 3GPP tables."""
    occupied_hz, overhead = radio.occupied_bandwidth(
        tables["nr-bandwidth"], p.bandwidth_mhz, p.scs_khz
    )
    constants, cqi = tables["channel-constants"], tables["nr-cqi"]
    noise = constants["value"][constants.row("parameter", "thermal_noise_psd")]
    return radio.Link(
        carrier_ghz=p.carrier_ghz,
        occupied_hz=occupied_hz,
        power_dbm=p.user_power_dbm,
        gain_db=p.site_gain_db,
        noise_figure_db=p.noise_figure_db,
        noise_dbm_per_hz=float(noise),
        site_height_m=p.site_height_m,
        user_height_m=p.user_height_m,
        overhead=overhead,
        cqi_snr_db=cqi["snr_threshold_db_10pct_bler_approx"],
        cqi_efficiency=cqi["spectral_efficiency_bps_per_hz"],
    )
