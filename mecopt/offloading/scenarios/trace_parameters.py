"""Parameters and tags of instances from real traces."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from mecopt import checks

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
    p = checks.changed(Parameters(), changes)
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
