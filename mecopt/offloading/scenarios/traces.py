"""Real LLM requests over real sites: own device, edge GPU or cloud.

Requests are a window of a public trace (Azure 2023 conversation or code, Mooncake conversation, or
a CSV file of your own); sites and users are the EUA data of Melbourne CBD; models, devices and
radio come from shared tables (docs/data.md). The traces name no user: each request gets one by a
uniform draw. Its options, in this order:

* ``device: MODEL``: the user's phone or laptop, one request at a time;
* ``site ID: MODEL``: upload to one of the nearest GPU sites, then prefill and decode in one of its
  slots at the speed a sequence gets in a full batch (`mecopt.edge.roofline`);
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
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mecopt.checks import check_seed
from mecopt.data.folder import find, resolve_data_dir
from mecopt.data.tables import Table, read
from mecopt.edge import radio
from mecopt.edge.requests import Requests, read_requests, resample
from mecopt.edge.sites import Coverage, cover
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.scenarios.hosts import Hosts, make_hosts
from mecopt.offloading.scenarios.request_options import assemble
from mecopt.offloading.scenarios.trace_parameters import TABLES, TAGS, Parameters, parameters


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
        .csv.gz file of your own (`mecopt.data.trace_formats`).
    window : (start, end)
        Arrivals in [start, end), s from the first request of the trace; releases count from
        `start`. The hour of azure-conv is ``(0, 3600)``.
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
    check_seed(seed)
    if task_seed is not None:
        check_seed(task_seed, "task_seed")
    setting = read_setting(trace, window, seed, data_dir=data_dir, **changes)
    requests = setting.base
    if task_seed is not None:
        entropy = [2, seed, task_seed]
        requests = resample(setting.everything, requests, setting.length_s, entropy)
    return setting.instance(requests, task_seed=task_seed)


@dataclass(frozen=True, eq=False)
class Setting:
    """What stays when other requests come: sites, users, hosts and radio of a window of a trace.

    Parameters
    ----------
    parameters : Parameters
    everything : Requests
        The whole trace.
    base : Requests
        Those of the window; arrivals count from its start.
    length_s : float
        Of the window.
    site_ids : (sites,) str
    coverage, hosts : Coverage, Hosts
    device_of_user : (users,) int
    meta : dict
    """

    parameters: Parameters
    everything: Requests
    base: Requests
    length_s: float
    site_ids: NDArray
    coverage: Coverage
    hosts: Hosts
    device_of_user: NDArray[np.int64]
    meta: dict[str, Any]

    @cached_property
    def owners(self) -> NDArray[np.int64]:
        """(U,) users with a request in the window, in order."""
        return np.unique(self.base.owner)

    def instance(self, requests: Requests, **meta: object) -> OffloadingInstance:
        """Some requests of these owners, in order of arrival, over the same resources."""
        return assemble(
            requests,
            owners=self.owners,
            device_of_user=self.device_of_user,
            site_ids=self.site_ids,
            coverage=self.coverage,
            hosts=self.hosts,
            everything=self.everything,
            bytes_per_prompt_token=self.parameters.bytes_per_prompt_token,
            deadline_s=self.parameters.deadline_s,
            drop_cost_s=self.parameters.drop_cost_s,
            meta={**self.meta, **meta},
        )


def read_setting(
    trace: str,
    window: Sequence[float],
    seed: int,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    **changes: object,
) -> Setting:
    """Read a window of a trace and everything around it; arguments and errors as in `generate`."""
    p = parameters(**changes)
    check_seed(seed)
    if len(window) != 2 or not 0 <= window[0] < window[1]:
        raise ValueError(f"window = {window} must be (start, end) with 0 <= start < end, in s")
    folder = resolve_data_dir(data_dir)
    tables = {name: read(find(name), folder) for name in TABLES}
    everything, table, left_out = read_requests(
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
    base = replace(base, arrival_s=base.arrival_s - start)
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
        "task_seed": None,
        "parameters": asdict(p),
        "tags": TAGS,
        "files": {**files, table.path.name: table.sha256},
    }
    if left_out:
        meta["notes"] = [
            f"{trace}: {left_out} of {len(everything) + left_out} requests have no output; they "
            "failed and are left out"
        ]
    hosts = make_hosts(tables, p)
    meta["gpu_sites"] = {
        str(tables["eua-sites"]["site_id"][i]): p.site_gpus[kind][0]
        for i, kind in enumerate(coverage.gpu_of_site)
        if kind >= 0
    }
    n_users = len(tables["eua-users"])
    shares = [share for _, share in p.user_devices]
    device = np.random.default_rng([3, seed]).choice(len(shares), size=n_users, p=shares)
    return Setting(
        parameters=p,
        everything=everything,
        base=base,
        length_s=end - start,
        site_ids=tables["eua-sites"]["site_id"],
        coverage=coverage,
        hosts=hosts,
        device_of_user=device,
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
