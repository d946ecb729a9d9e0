"""Demand of the caching trace scenario: ServeGen's clients and Mooncake's context reuse."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import gamma

import numpy as np
from numpy.typing import NDArray

from mecopt.data.folder import find
from mecopt.data.spec import Column, DataFile
from mecopt.data.tables import Table

#: Seconds between two windows of the rate table.
WINDOW_S = 600.0
#: Mean gaps between requests that an arrival process runs before it is looked at.
_BURN_IN = 30.0

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Demand:
    """Rates and burstiness of C clients over W consecutive windows.

    Parameters
    ----------
    clients : (C,) int64
        Identifiers, busiest first.
    start_s : float
        First window, s from the start of the data.
    rate : (C, W) float64
        Mean requests per second.
    family : (C, W) str
        Law of the gaps between requests: Gamma, Weibull, or empty (exponential).
    shape : (C, W) float64
        Its shape; 1 where there is none.
    """

    clients: NDArray[np.int64]
    start_s: float
    rate: FloatArray
    family: NDArray[np.str_]
    shape: FloatArray


def demand(
    rates: Table, workload: str, clients: int, windows: int, rng: np.random.Generator
) -> Demand:
    """The busiest clients of a workload in a random stretch of the data.

    Raises
    ------
    ValueError
        If the workload is unknown, or has too few clients or windows.
    """
    here = rates["workload"] == workload
    if not here.any():
        known = ", ".join(dict.fromkeys(map(str, rates["workload"])))
        raise ValueError(f"{rates.path}: no workload {workload!r}; it has {known}")
    client, start = rates["client"][here], rates["window_start_s"][here]
    last = int(start.max() // WINDOW_S)
    if last + 1 < windows:
        raise ValueError(f"{rates.path}: {workload!r} has {last + 1} windows, asked for {windows}")
    first = int(rng.integers(last + 2 - windows))
    window = (start // WINDOW_S).astype(np.int64) - first
    shown = (window >= 0) & (window < windows)
    names, at = np.unique(client[shown], return_inverse=True)
    if len(names) < clients:
        raise ValueError(
            f"{rates.path}: {workload!r} has {len(names)} clients from {first * WINDOW_S:g} s on, "
            f"asked for {clients}"
        )
    total = np.bincount(at, weights=rates["rate_rps"][here][shown])
    busiest = np.argsort(-total, kind="stable")[:clients]
    row = {int(c): i for i, c in enumerate(names[busiest])}
    rate = np.zeros((clients, windows))
    family = np.full((clients, windows), "", dtype=object)
    shape = np.ones((clients, windows))
    for k in np.flatnonzero(shown):
        c = row.get(int(client[k]))
        if c is None:
            continue
        rate[c, window[k]] = rates["rate_rps"][here][k]
        law, value = str(rates["iat_family"][here][k]), rates["iat_param1"][here][k]
        if law and np.isfinite(value) and value > 0:
            family[c, window[k]], shape[c, window[k]] = law, value
    return Demand(names[busiest], first * WINDOW_S, rate, family.astype(str), shape)


def arrivals(
    d: Demand,
    *,
    servers: int,
    slots: int,
    slots_per_window: int,
    mean_requests: float,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """(servers, C, slots) requests: a renewal process per client and server, slots counted.

    A client's requests fall to the servers in random shares (uniform over the simplex). Gaps are
    drawn from the window's law with mean 1 in operational time (requests expected so far), so rates
    may change from window to window.
    """
    clients, windows = d.rate.shape
    share = rng.dirichlet(np.ones(servers), size=clients).T * servers
    per_slot = np.repeat(d.rate, slots_per_window, axis=1)[:, :slots]
    per_slot = per_slot / max(float(per_slot.mean()), 1e-12) * mean_requests
    out = np.zeros((servers, clients, slots), dtype=np.int64)
    for n in range(servers):
        for c in range(clients):
            end_of_slot = np.cumsum(share[n, c] * per_slot[c])
            time = -_BURN_IN
            for w in range(windows):
                end = end_of_slot[min((w + 1) * slots_per_window, slots) - 1]
                times = []
                while time <= end:
                    if time > 0:
                        times.append(time)
                    time += _gap(d.family[c, w], d.shape[c, w], rng)
                slot = np.searchsorted(end_of_slot, times, side="left")
                out[n, c] += np.bincount(slot[slot < slots], minlength=slots)
    return out


def _gap(family: str, shape: float, rng: np.random.Generator) -> float:
    """A gap of mean 1."""
    if family == "Gamma":
        return float(rng.gamma(shape)) / shape
    if family == "Weibull":
        return float(rng.weibull(shape)) / gamma(1.0 + 1.0 / shape)
    return float(rng.exponential())


def mean_tokens(tokens: Table, workload: str, clients: NDArray[np.int64]) -> dict[str, FloatArray]:
    """(C,) mean ``input_tokens`` and ``output_tokens`` of clients; others' mean where unknown."""
    found = {}
    for name in ("input_tokens", "output_tokens"):
        here = (tokens["workload"] == workload) & (tokens["field"] == name)
        if not here.any():
            raise ValueError(f"{tokens.path}: no {name} of workload {workload!r}")
        client, mean = tokens["client"][here], tokens["mean"][here]
        everyone = float(mean.mean())
        found[name] = np.array(
            [float(mean[client == c].mean()) if (client == c).any() else everyone for c in clients]
        )
    return found


def block_file() -> DataFile:
    """The Mooncake conversation trace with the blocks of its prompts."""
    known = find("mooncake-conversation")
    blocks = Column("hash_ids", "text", "512-token blocks of the prompt, blank-separated")
    return replace(known, columns=(*known.columns, blocks))


def contexts(trace: Table, agents: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Reuse of context blocks when sessions are dealt to agents at random.

    Returns
    -------
    new_blocks : (agents,) float64
        Mean number of blocks per request that are new in it and used again by a later request.
    reuse_s : (agents,) float64
        Median time from a use of a block to the next, over requests that find some, s.
    """
    blocks = [np.array(text.split(), dtype=np.int64) for text in trace["hash_ids"]]
    session = np.array([b[1] if len(b) > 1 else -1 for b in blocks])
    names, index = np.unique(session, return_inverse=True)
    agent = rng.integers(agents, size=len(names))[index]
    last_use: dict[int, int] = {}
    for k, ids in enumerate(blocks):
        last_use.update(dict.fromkeys(ids.tolist(), k))
    seconds = trace["arrival_ms"] * 1e-3
    used_at: dict[int, float] = {}
    new = np.zeros(len(blocks))
    gap = np.full(len(blocks), np.nan)
    for k, ids in enumerate(blocks):
        known = [b for b in ids.tolist()[1:] if b in used_at]  # block 0 is in every prompt
        if known:
            gap[k] = seconds[k] - used_at[known[-1]]
        new[k] = sum(b not in used_at and last_use[b] > k for b in ids.tolist())
        used_at.update(dict.fromkeys(ids.tolist(), seconds[k]))
    typical = float(np.nanmedian(gap))
    count = np.maximum(np.bincount(agent, minlength=agents), 1)
    new_blocks = np.asarray(np.bincount(agent, weights=new, minlength=agents) / count)
    reuse_s = np.full(agents, typical)
    for i in range(agents):
        mine = gap[(agent == i) & np.isfinite(gap)]
        if len(mine):
            reuse_s[i] = np.median(mine)
    return new_blocks, reuse_s
