"""Rollout of snapshot rules: one decision for all users at once."""

from __future__ import annotations

import time

from mecopt.accuracy_delay.assignment import Assignment, replay
from mecopt.accuracy_delay.instance import QuerySnapshot
from mecopt.accuracy_delay.policies.protocol import SnapshotPolicy
from mecopt.checks import check_rollout


def rollout(instance: QuerySnapshot, policy: SnapshotPolicy) -> Assignment:
    """Let a rule decide a snapshot, and replay what it decided.

    Raises
    ------
    ValueError
        If `instance` is of another family, `policy` is a class or no policy, or its answer is
        malformed; names policy and user.
    """
    return timed_rollout(instance, policy)[0]


def timed_rollout(
    instance: QuerySnapshot, policy: SnapshotPolicy
) -> tuple[Assignment, float, float]:
    """`rollout`, and the CPU and wall seconds of the decision."""
    check_rollout(instance, policy, QuerySnapshot)
    policy.reset(instance)
    wall, cpu = time.perf_counter(), time.thread_time()
    choice = policy.act(instance)
    cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
    try:
        return replay(instance, choice), cpu, wall
    except (TypeError, ValueError) as error:
        raise ValueError(f"policy {policy.name!r}: {error}") from None
