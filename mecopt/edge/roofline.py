"""Prefill and decode times of a language model on a device, from compute and bandwidth.

Prefill of L prompt tokens needs ``L x FLOPs per token + 2 x layers x heads x head_dim x L^2`` (the
second term is causal attention). A decode step reads the weights once and the key-value cache of
every sequence of the batch. Both run at the device's *effective* speed, FLOP/s or bytes/s.

Effective speeds are calibrated on measured rows: median over the 4-bit rows of the device at the
batch asked for. They absorb everything the roofline leaves out. A device without such rows gets its
peak times the median efficiency of the devices that have them.

In a batch of B every sequence gets 1/B of the compute in prefill, and a decode step of B caches: a
site of B slots never does more work than its device could.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt.data.tables import Table

#: Names in the measured table that mean a device of the specification table.
MEASURED_AS = {
    "Jetson AGX Thor": "Jetson AGX Thor 128GB",
    "Jetson AGX Orin (64GB)": "Jetson AGX Orin 64GB",
    "Jetson Orin NX (16GB)": "Jetson Orin NX 16GB",
    "OnePlus 12 phone (CPU)": "Snapdragon 8 Gen 3 phone",
}
#: Measured prompts at least this long are preferred: short ones are dominated by overheads.
LONG_PROMPT_TOKENS = 1024

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """What the roofline needs of a language model.

    Parameters
    ----------
    flop_per_token : float
        Forward FLOPs of a token, attention scores left out.
    attention_flop_per_token2 : float
        Causal-attention FLOPs of a prompt, divided by the square of its length.
    weight_bytes, kv_bytes_per_token : float
        As stored on the device; bytes.
    max_context_tokens : int
    """

    name: str
    flop_per_token: float
    attention_flop_per_token2: float
    weight_bytes: float
    kv_bytes_per_token: float
    max_context_tokens: int


@dataclass(frozen=True)
class Speed:
    """Effective speed of a device: FLOP/s in prefill and bytes/s in decode."""

    flop_per_s: float
    bytes_per_s: float


def model(architectures: Table, name: str, bytes_fraction: float = 1.0) -> Model:
    """A model of the architecture table; its weights take `bytes_fraction` of the fp16 bytes.

    Raises
    ------
    ValueError
        If the table has no such model.
    """
    t, i = architectures, architectures.row("model", name)
    width = t["n_heads"][i] * t["head_dim"][i]
    return Model(
        name=name,
        flop_per_token=float(t["gflop_per_token_forward"][i]) * 1e9,
        attention_flop_per_token2=2.0 * float(t["n_layers"][i] * width),
        weight_bytes=float(t["weights_gb_fp16"][i]) * 1e9 * bytes_fraction,
        kv_bytes_per_token=float(t["kv_bytes_per_token_fp16"][i]),
        max_context_tokens=int(t["max_context_tokens"][i]),
    )


def prefill_flop(m: Model, prompt_tokens: ArrayLike) -> FloatArray:
    """FLOPs of a prompt."""
    n = np.asarray(prompt_tokens, dtype=np.float64)
    return n * m.flop_per_token + n**2 * m.attention_flop_per_token2


def prefill_s(m: Model, speed: Speed, prompt_tokens: ArrayLike, batch: int = 1) -> FloatArray:
    """Seconds to read a prompt with 1/batch of the compute."""
    return prefill_flop(m, prompt_tokens) * batch / speed.flop_per_s


def decode_s(
    m: Model,
    speed: Speed,
    prompt_tokens: ArrayLike,
    output_tokens: ArrayLike,
    batch: int = 1,
    others_context_tokens: float = 0.0,
) -> FloatArray:
    """Seconds to write an answer in a batch.

    Parameters
    ----------
    m : Model
    speed : Speed
    prompt_tokens, output_tokens : array_like
        Of this sequence; its own cache counts with the prompt and half of the answer.
    batch : int
        Sequences that decode together.
    others_context_tokens : float
        Mean context of each of the other batch - 1 sequences, tokens.
    """
    own = np.asarray(prompt_tokens) + np.asarray(output_tokens) / 2.0
    cache = m.kv_bytes_per_token * (own + (batch - 1) * others_context_tokens)
    return np.asarray(output_tokens) * (m.weight_bytes + cache) / speed.bytes_per_s


def calibrate(
    measured: Table, architectures: Table, batch: int, bytes_fraction: float
) -> dict[str, Speed]:
    """Effective speeds of the measured devices, by name in the specification table.

    Parameters
    ----------
    measured, architectures : Table
    batch : int
        Only rows measured at this batch.
    bytes_fraction : float
        Bytes of the 4-bit weights over those of fp16 weights.

    Notes
    -----
    `decode_tok_s` is summed over the batch. `prefill_tok_s` is per sequence where the note says so,
    else summed; the prompt tokens of those rows are summed over the batch too.
    """
    known = set(architectures["model"].tolist())
    rows: dict[str, list[tuple[float, float, float]]] = {}
    for i in np.flatnonzero(measured["batch"] == batch):
        device = MEASURED_AS.get(str(measured["device"][i]))
        name = str(measured["model"][i]).removesuffix("-Instruct-2507").replace(" ", "-")
        four_bit = str(measured["precision"][i]).startswith(("INT4", "NVFP4"))
        prompt, prefill_rate = measured["prompt_tokens"][i], measured["prefill_tok_s"][i]
        if device is None or name not in known or not four_bit or np.isnan(prompt * prefill_rate):
            continue
        at = architectures.row("model", name)
        if architectures["params_b"][at] != architectures["active_params_b"][at]:
            continue  # a mixture of experts reads a batch-dependent part of its weights
        m = model(architectures, name, bytes_fraction)
        alone = "per sequence" in str(measured["note"][i])
        context = float(prompt if alone else prompt / batch)
        tokens_per_s = float(prefill_rate) * (batch if alone else 1)
        flop_per_s = tokens_per_s * float(prefill_flop(m, context)) / context
        steps_per_s = float(measured["decode_tok_s"][i]) / batch
        bytes_per_s = steps_per_s * (m.weight_bytes + batch * context * m.kv_bytes_per_token)
        rows.setdefault(device, []).append((context, flop_per_s, bytes_per_s))
    return {device: _median(found) for device, found in rows.items()}


def _median(rows: list[tuple[float, float, float]]) -> Speed:
    context, flop_per_s, bytes_per_s = np.array(rows).T
    use = context >= LONG_PROMPT_TOKENS if context.max() >= LONG_PROMPT_TOKENS else context > 0
    return Speed(float(np.median(flop_per_s[use])), float(np.median(bytes_per_s[use])))


def device_speed(specs: Table, name: str, calibrated: Mapping[str, Speed]) -> Speed:
    """Effective speed of a device: calibrated, else peak times the median efficiency of others.

    Raises
    ------
    ValueError
        If the device is unknown, or neither it has calibration rows nor both peaks are known.
    """
    i = specs.row("device", name)
    if name in calibrated:
        return calibrated[name]
    flop, bandwidth = specs["fp16_tflops_dense"] * 1e12, specs["mem_bandwidth_gb_s"] * 1e9
    at = [specs.row("device", other) for other in calibrated]
    found = list(calibrated.values())
    compute = np.array([s.flop_per_s / flop[j] for s, j in zip(found, at, strict=True)])
    memory = np.array([s.bytes_per_s / bandwidth[j] for s, j in zip(found, at, strict=True)])
    if np.isnan(flop[i]) or np.isnan(compute).all():
        raise ValueError(
            f"device {name!r}: {specs.path} gives no fp16_tflops_dense and no measured row fits"
        )
    return Speed(float(flop[i] * np.nanmedian(compute)), float(bandwidth[i] * np.nanmedian(memory)))
