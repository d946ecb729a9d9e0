"""Turn requests, coverage and hosts into the flat arrays of an offloading instance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mecopt.edge.requests import Requests
from mecopt.edge.sites import Coverage
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.scenarios.hosts import Host, Hosts
from mecopt.offloading.units import UNLIMITED, to_ns


class _Columns:
    """Candidate options, one column each over all K requests; a mask says which exist."""

    def __init__(self, n: int) -> None:
        self._n = n
        self.exists: list[NDArray] = []
        self.label: list[NDArray] = []
        self.fixed_s: list[NDArray] = []
        self.upload_resource: list[NDArray] = []  # -1 where the option has no upload
        self.upload_s: list[NDArray] = []
        self.host_resource: list[NDArray] = []
        self.host_s: list[NDArray] = []
        self.believed_s: list[NDArray] = []

    def add(self, **values: Any) -> None:
        for name, value in values.items():
            getattr(self, name).append(np.broadcast_to(value, self._n))

    def flat(self, name: str) -> NDArray:
        """(O,) values of the options that exist, requests in order, columns in order."""
        return np.stack(getattr(self, name), axis=1)[np.stack(self.exists, axis=1)]


def assemble(
    requests: Requests,
    *,
    owners: NDArray[np.int64],
    device_of_user: NDArray[np.int64],
    site_ids: NDArray,
    coverage: Coverage,
    hosts: Hosts,
    everything: Requests,
    bytes_per_prompt_token: float,
    deadline_s: float,
    drop_cost_s: float,
    meta: dict[str, Any],
) -> OffloadingInstance:
    """The instance; its resources depend on `owners`, `coverage` and `hosts` only.

    Parameters
    ----------
    requests : Requests
        In order of arrival; every owner is one of `owners`.
    owners : (U,) int
        Users that get an uplink and a device.
    device_of_user : (users,) int
        Kind of device of every user.
    site_ids : (sites,) str
    coverage, hosts : Coverage, Hosts
    everything : Requests
        The whole trace: its longest answer and its mean context.
    bytes_per_prompt_token, deadline_s, drop_cost_s : float
    meta : dict

    Raises
    ------
    ValueError
        If a request has no option at all.
    """
    n, u = len(requests), len(owners)
    longest = int(everything.output_tokens.max())
    context = everything.mean_context_tokens
    near = coverage.near[owners]
    used = np.unique(near[near >= 0])
    position = np.full(len(site_ids), -1)
    position[used] = np.arange(len(used))
    cloud = 2 * u + len(used)

    owner = np.searchsorted(owners, requests.owner)
    device_kind = device_of_user[requests.owner]
    bits = requests.prompt_tokens * bytes_per_prompt_token * 8.0
    labels: dict[str, int] = {}
    columns = _Columns(n)

    def label(name: str) -> int:
        return labels.setdefault(name, len(labels))

    def times(host: Host) -> tuple[NDArray, NDArray, NDArray]:
        fits = requests.prompt_tokens + longest <= host.model.max_context_tokens
        return (
            fits,
            host.service_s(requests, requests.output_tokens, context),
            host.service_s(requests, requests.believed_output_tokens, context),
        )

    fits, real, believed = map(np.stack, zip(*map(times, hosts.devices), strict=True))
    rows = np.arange(n)
    columns.add(
        exists=fits[device_kind, rows],
        label=label(f"device: {hosts.devices[0].model.name}"),
        fixed_s=np.array([h.fixed_cost_s for h in hosts.devices])[device_kind],
        upload_resource=-1,
        upload_s=0.0,
        host_resource=u + owner,
        host_s=real[device_kind, rows],
        believed_s=believed[device_kind, rows],
    )
    site_times = [[times(host) for host in kind] for kind in hosts.sites]
    for rank in range(near.shape[1]):
        site = near[owner, rank]
        rate = coverage.near_bps[requests.owner, rank]
        for m in range(max(len(kind) for kind in hosts.sites)):
            exists = np.zeros(n, dtype=bool)
            host_s, believed_s, fixed_s = np.zeros(n), np.zeros(n), np.zeros(n)
            for kind, kind_hosts in enumerate(hosts.sites):
                if m >= len(kind_hosts):
                    continue
                fits, real, believed = site_times[kind][m]
                here = (site >= 0) & (coverage.gpu_of_site[site] == kind) & fits
                exists |= here
                host_s = np.where(here, real, host_s)
                believed_s = np.where(here, believed, believed_s)
                fixed_s = np.where(here, kind_hosts[m].fixed_cost_s, fixed_s)
            name_of = np.zeros(len(site_ids), dtype=np.int64)
            for i in used:
                kind_hosts = hosts.sites[coverage.gpu_of_site[i]]
                if m < len(kind_hosts):
                    name_of[i] = label(f"site {site_ids[i]}: {kind_hosts[m].model.name}")
            columns.add(
                exists=exists,
                label=name_of[site],
                fixed_s=fixed_s,
                upload_resource=owner,
                upload_s=np.divide(bits, rate, out=np.zeros(n), where=exists),
                host_resource=2 * u + position[site],
                host_s=host_s,
                believed_s=believed_s,
            )
    fits, real, believed = times(hosts.cloud)
    access = coverage.access_bps[requests.owner]
    exists = fits & (access > 0)
    columns.add(
        exists=exists,
        label=label(f"cloud: {hosts.cloud.model.name}"),
        fixed_s=hosts.cloud.fixed_cost_s,
        upload_resource=owner,
        upload_s=np.divide(bits, access, out=np.zeros(n), where=exists),
        host_resource=cloud,
        host_s=real,
        believed_s=believed,
    )

    count = np.stack(columns.exists, axis=1).sum(axis=1)
    if (count == 0).any():
        k = int(np.argmin(count))
        raise ValueError(
            f"request {k} of user {requests.owner[k]} ({requests.prompt_tokens[k]} prompt tokens): "
            "no model fits its context, or the user is out of coverage"
        )
    upload = columns.flat("upload_resource")
    uploads = upload >= 0
    stage_ptr = np.concatenate([[0], np.cumsum(1 + uploads)])
    second = np.zeros(stage_ptr[-1], dtype=bool)
    second[stage_ptr[:-1][uploads] + 1] = True
    last = stage_ptr[1:] - 1

    def stages(uploading: NDArray, hosting: NDArray) -> NDArray:
        out = np.empty(stage_ptr[-1], dtype=hosting.dtype)
        out[stage_ptr[:-1][uploads]] = uploading[uploads]
        out[last] = hosting
        return out

    upload_s = columns.flat("upload_s")
    return OffloadingInstance(
        resource_names=(
            *(f"uplink {i}" for i in owners),
            *(f"device {i}" for i in owners),
            *(f"site {site_ids[i]}" for i in used),
            "cloud",
        ),
        resource_kinds=("uplink",) * u + ("device",) * u + ("server",) * len(used) + ("cloud",),
        capacity=np.array([1] * (2 * u) + [hosts.slots] * len(used) + [UNLIMITED]),
        down_ptr=np.zeros(cloud + 2, dtype=np.int32),
        down_ns=np.empty((0, 2), dtype=np.int64),
        owner_names=tuple(f"user {i}" for i in owners),
        owner=owner.astype(np.int32),
        release_ns=to_ns(requests.arrival_s, "arrival_s"),
        deadline_ns=np.full(n, to_ns(deadline_s, "deadline_s")),
        drop_cost_ns=np.full(n, to_ns(drop_cost_s, "drop_cost_s")),
        latency_weight=np.ones(n),
        option_ptr=np.concatenate([[0], np.cumsum(count)]),
        labels=tuple(labels),
        option_label=columns.flat("label"),
        fixed_cost_ns=to_ns(columns.flat("fixed_s"), "fixed_cost_s"),
        stage_ptr=stage_ptr,
        stage_resource=stages(upload, columns.flat("host_resource")),
        service_ns=to_ns(stages(upload_s, columns.flat("host_s")), "service_s"),
        believed_ns=to_ns(stages(upload_s, columns.flat("believed_s")), "believed_s"),
        pred_ptr=np.concatenate([[0], np.cumsum(second)]),
        pred=(np.flatnonzero(second) - 1).astype(np.int32),
        meta=meta,
    )
