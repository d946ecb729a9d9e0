"""Caching plan files: the decision, the instance it belongs to, the objective to be met again."""

from __future__ import annotations

import os

import numpy as np

from mecopt import files
from mecopt.caching.instance import CachingInstance
from mecopt.caching.plan import CachingPlan, replay

FORMAT = files.Format("mecopt.caching-plan", version=1, finite=True)


def save(path: str | os.PathLike[str], plan: CachingPlan) -> None:
    """Write a plan file (schema ``mecopt.caching-plan``, docs/files.md)."""
    body = {
        "instance_hash": plan.instance.content_hash,
        "objective": plan.objective,
        "cost_split": plan.cost_split,
        "a": plan.a.astype(np.int64),
        "flow": plan.flow,
        "servers": list(plan.instance.server_names),
        "pairs": list(plan.instance.pair_names),
    }
    FORMAT.write(path, body)


def load(path: str | os.PathLike[str], instance: CachingInstance) -> CachingPlan:
    """Read a plan file and replay it on its instance.

    Only ``instance_hash``, ``a``, ``flow`` and ``objective`` are read; the rest is for people.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is malformed, belongs to another instance, breaks a constraint, or does not cost what
        it claims (to 1e-9 relative).
    """
    body = FORMAT.read(path)
    files.check_decision(path, body, {"a": list, "flow": list}, instance)
    try:
        plan = replay(instance, np.array(body["a"]), np.array(body["flow"]))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    files.check_objective(path, body, plan.objective)
    return plan
