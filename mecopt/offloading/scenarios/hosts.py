"""Models on devices: how long a request takes there, and what it costs besides time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mecopt.data.tables import Table
from mecopt.edge import roofline
from mecopt.edge.requests import Requests

if TYPE_CHECKING:
    from mecopt.offloading.scenarios.trace_parameters import Parameters

#: The rows of model_accuracy.csv that were taken under one protocol.
ACCURACY_SOURCE = "QwenLM/qwenlm.github.io@1f89f8c8"


@dataclass(frozen=True)
class Host:
    """A model on a device.

    Parameters
    ----------
    model : roofline.Model
    speed : roofline.Speed
    prefill_batch, decode_batch : int
        Sequences that share the compute in prefill, and that decode together.
    round_trip_s : float
    fixed_cost_s : float
        Accuracy cost and fee.
    """

    model: roofline.Model
    speed: roofline.Speed
    prefill_batch: int
    decode_batch: int
    fixed_cost_s: float
    round_trip_s: float = 0.0

    def service_s(
        self, requests: Requests, output_tokens: NDArray, others_context_tokens: float
    ) -> NDArray[np.float64]:
        """(K,) seconds of round trip, prefill and decode for given output lengths."""
        prompt = requests.prompt_tokens
        return (
            self.round_trip_s
            + roofline.prefill_s(self.model, self.speed, prompt, self.prefill_batch)
            + roofline.decode_s(
                self.model,
                self.speed,
                prompt,
                output_tokens,
                self.decode_batch,
                others_context_tokens,
            )
        )


@dataclass(frozen=True)
class Hosts:
    """All hosts: one per kind of user device, some per kind of GPU site, one cloud.

    `slots` is the number of sequences at once on a GPU site.
    """

    devices: tuple[Host, ...]
    sites: tuple[tuple[Host, ...], ...]
    cloud: Host
    slots: int


def accuracy(scores: Table, name: str, benchmark: str) -> float:
    """Accuracy in [0, 1] of an instruct model in the block of `ACCURACY_SOURCE`.

    Raises
    ------
    ValueError
        If the table has no such score.
    """
    fits = (scores["arch_model"] == name) & (scores["variant"] == "instruct")
    fits &= (scores["benchmark"] == benchmark) & (scores["precision"] == "BF16")
    fits &= np.char.startswith(scores["source"], ACCURACY_SOURCE)
    if not fits.any():
        raise ValueError(
            f"{scores.path}: no {benchmark} score of {name!r} (instruct, BF16) by {ACCURACY_SOURCE}"
        )
    return float(scores["score_percent"][np.argmax(fits)]) / 100.0


def check_memory(specs: Table, device: str, models: list[roofline.Model], units: int = 1) -> None:
    """Refuse models whose weights do not fit together into the memory of a device.

    Raises
    ------
    ValueError
        Names device, models and GB.
    """
    have = float(specs["memory_gb"][specs.row("device", device)]) * units
    need = sum(m.weight_bytes for m in models) / 1e9
    if need >= have:
        names = ", ".join(m.name for m in models)
        raise ValueError(f"{device!r} x {units}: {need:.1f} GB of weights ({names}), has {have:g}")


def make_hosts(tables: Mapping[str, Table], p: Parameters) -> Hosts:
    """Hosts of the parameters, from the tables of architectures, accuracy, devices and speeds.

    Devices run alone (rows measured at batch 1); GPU sites and the cloud use the rows measured at
    the largest batch not above their own.

    Raises
    ------
    ValueError
        Unknown model or device, no score, weights that do not fit.
    """
    specs, measured = tables["device-specs"], tables["measured-llm-speed"]
    architectures, scores = tables["model-architectures"], tables["model-accuracy"]

    def speeds(batch: int) -> dict[str, roofline.Speed]:
        at = int(measured["batch"][measured["batch"] <= batch].max())
        return roofline.calibrate(measured, architectures, at, p.bytes_fraction)

    def fixed_cost_s(name: str) -> float:
        return p.accuracy_weight_s * (1.0 - accuracy(scores, name, p.accuracy_benchmark))

    alone, shared, cloud = speeds(1), speeds(p.slots), speeds(p.cloud_batch)
    small = roofline.model(architectures, p.device_model, p.bytes_fraction)
    devices = []
    for device, _ in p.user_devices:
        check_memory(specs, device, [small])
        speed = roofline.device_speed(specs, device, alone)
        devices.append(Host(small, speed, 1, 1, fixed_cost_s(small.name)))
    sites = []
    for device, names in p.site_gpus:
        models = [roofline.model(architectures, name, p.bytes_fraction) for name in names]
        check_memory(specs, device, models)
        speed = roofline.device_speed(specs, device, shared)
        sites.append(tuple(Host(m, speed, p.slots, p.slots, fixed_cost_s(m.name)) for m in models))
    large = roofline.model(architectures, p.cloud_model)
    check_memory(specs, p.cloud_device, [large], p.cloud_gpus)
    one = roofline.device_speed(specs, p.cloud_device, cloud)
    speed = roofline.Speed(one.flop_per_s * p.cloud_gpus, one.bytes_per_s * p.cloud_gpus)
    fee = fixed_cost_s(large.name) + p.cloud_fee_s
    cloud_host = Host(large, speed, 1, p.cloud_batch, fee, p.cloud_rtt_s)
    return Hosts(tuple(devices), tuple(sites), cloud_host, p.slots)
