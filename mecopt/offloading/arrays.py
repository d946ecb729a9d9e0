"""What the compiled kernels read of an instance."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mecopt.offloading.units import UNLIMITED


class Arrays(NamedTuple):
    """What the kernels read of an instance, with successors and slots worked out.

    Slots number the stages a task can have at once: task k owns
    ``slot_ptr[k]:slot_ptr[k + 1]``; stage s of its chosen option o sits at
    ``slot_ptr[k] + s - stage_ptr[o]``.
    """

    free_ptr: NDArray[np.int32]  # (R + 1,) units per resource; none when unlimited
    down_ptr: NDArray[np.int32]
    down_ns: NDArray[np.int64]
    release: NDArray[np.int64]
    option_ptr: NDArray[np.int32]
    stage_ptr: NDArray[np.int32]
    resource: NDArray[np.int32]
    n_pred: NDArray[np.int32]
    pred_ptr: NDArray[np.int32]
    pred: NDArray[np.int32]
    succ_ptr: NDArray[np.int32]
    succ: NDArray[np.int32]
    task_of_stage: NDArray[np.int32]
    slot_ptr: NDArray[np.int32]


def kernel_arrays(instance: Any) -> Arrays:
    """The kernel's arrays of an `OffloadingInstance`, which imports this module."""
    n_stages = len(instance.service_ns)
    child = np.repeat(np.arange(n_stages), np.diff(instance.pred_ptr))
    order = np.argsort(instance.pred, kind="stable")
    succ_count = np.bincount(instance.pred, minlength=n_stages)
    uses = np.bincount(instance.stage_resource, minlength=instance.n_resources)
    units = np.where(
        instance.capacity == UNLIMITED, 0, np.minimum(instance.capacity, np.maximum(uses, 1))
    )
    stages = np.diff(instance.stage_ptr)
    width = np.zeros(instance.n_tasks, dtype=np.int64)
    np.maximum.at(width, instance.task_of_option, stages)

    def ptr(counts: NDArray[np.int64]) -> NDArray[np.int32]:
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)

    return Arrays(
        free_ptr=ptr(units),
        down_ptr=instance.down_ptr,
        down_ns=instance.down_ns,
        release=instance.release_ns,
        option_ptr=instance.option_ptr,
        stage_ptr=instance.stage_ptr,
        resource=instance.stage_resource,
        n_pred=np.diff(instance.pred_ptr).astype(np.int32),
        pred_ptr=instance.pred_ptr,
        pred=instance.pred,
        succ_ptr=ptr(succ_count),
        succ=child[order].astype(np.int32),
        task_of_stage=instance.task_of_option[instance.option_of_stage].astype(np.int32),
        slot_ptr=ptr(width),
    )
