"""Rollout of caching policies: one decision a slot, for all servers."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt.caching.coupling import expand
from mecopt.caching.instance import CachingInstance
from mecopt.caching.observation import CachingObservation
from mecopt.caching.plan import CachingPlan, replay
from mecopt.caching.policies.protocol import CachingPolicy
from mecopt.checks import check_rollout


def rollout(instance: CachingInstance, policy: CachingPolicy) -> CachingPlan:
    """Run an online policy and replay what it decided.

    Raises
    ------
    ValueError
        If `instance` is of another family, `policy` is a class or no policy, or an answer is
        malformed or breaks a constraint; names policy, server, pair and slot.
    """
    return timed_rollout(instance, policy)[0]


def timed_rollout(
    instance: CachingInstance, policy: CachingPolicy
) -> tuple[CachingPlan, NDArray[np.float64]]:
    """`rollout`, and the CPU seconds of each decision (T,)."""
    check_rollout(instance, policy, CachingInstance)
    x = instance
    blind = x.blinded
    policy.reset(blind)
    resident = np.zeros((x.n_servers, x.n_pairs), dtype=np.bool_)
    kappa = np.zeros((x.n_servers, x.n_pairs), dtype=np.int64)
    a = np.zeros(x.requests.shape, dtype=np.bool_)
    flow = np.zeros((x.n_servers, 3, *x.requests.shape[1:]), dtype=np.int64)
    seconds = np.empty(x.n_slots)
    for t in range(x.n_slots):
        seen = CachingObservation(
            blind, t, x.requests[:, :, t].copy(), resident.copy(), kappa.copy()
        )
        begin = time.thread_time()
        answer = policy.act(seen)
        seconds[t] = time.thread_time() - begin
        a[:, :, t], flow[:, :, :, t] = _checked(x, policy.name, t, answer)
        resident = a[:, :, t]
        gained = x.thoughts * flow[:, :, :, t].sum(axis=1) - x.vanish
        kappa = np.where(resident, np.clip(kappa + gained, 0, x.kappa_max), 0)
    try:
        return replay(x, a, flow), seconds
    except ValueError as error:
        raise ValueError(f"policy {policy.name!r}: {error}") from None


def _checked(
    x: CachingInstance, name: str, t: int, answer: tuple[ArrayLike, ArrayLike]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Residency (N, P) and flows (N, 3, P) of an answer."""
    a, served = (np.asarray(part) for part in answer)
    shape = (x.n_servers, x.n_pairs)
    if a.shape != shape:
        raise ValueError(f"policy {name!r}: slot {t}: a must have shape {shape}, has {a.shape}")
    if served.dtype.kind not in "iu":
        raise ValueError(f"policy {name!r}: slot {t}: x must hold whole numbers")
    if served.shape == shape:
        served = expand(served)
    if served.shape != (shape[0], 3, shape[1]):
        raise ValueError(f"policy {name!r}: slot {t}: x has shape {served.shape}")
    return a.astype(np.bool_), served
