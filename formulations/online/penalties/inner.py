"""[inner]: a world with penalties is the same instance with other costs; its certified bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mecopt import checks
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.units import INFINITE_NS


def penalised(
    instance: OffloadingInstance, z_s: NDArray[np.float64]
) -> tuple[OffloadingInstance, float]:
    """The instance in which option o costs z_o less, and what its costs are too high in all, s.

    Every decision costs there at most its cost here less its penalties, plus the second result.
    Rounding to whole nanoseconds is downwards. A late task has the penalty of the option that it
    was given, so the drop costs less by the largest penalty of the task's options where that is
    positive. Costs of a task are raised together where the drop would cost less than nothing.

    Raises
    ------
    ValueError
        If `z_s` is not one finite number per option.
    """
    x = instance
    if np.shape(z_s) != (x.n_options,):
        raise ValueError(f"z_s must have {x.n_options} entries, has shape {np.shape(z_s)}")
    checks.refuse(~np.isfinite(z_s), "z_s", z_s, "must be finite")
    ns = np.ceil(np.asarray(z_s) * 1e9).astype(np.int64)
    most = np.maximum(0, np.maximum.reduceat(ns, x.option_ptr[:-1]))
    may_drop = x.drop_cost_ns < INFINITE_NS
    drop = np.where(may_drop, x.drop_cost_ns - most, x.drop_cost_ns)
    raised = np.maximum(0, -drop)
    changed = replace(
        x,
        fixed_cost_ns=x.fixed_cost_ns - ns + raised[x.task_of_option],
        drop_cost_ns=drop + raised,
    )
    return changed, float(raised.sum()) * 1e-9
