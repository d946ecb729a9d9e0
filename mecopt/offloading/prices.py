"""Dual prices of server time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Prices:
    """Dual prices of shared resource time: cost in s per second of one server.

    Resource r has buckets ``row_ptr[r]:row_ptr[r + 1]`` of `bucket_ns` each, starting at time 0;
    a resource without rows, and time after the last bucket, is free.
    """

    resource_names: tuple[str, ...]
    bucket_ns: int
    row_ptr: NDArray[np.int64]
    value: NDArray[np.float64]

    def table(self) -> pd.DataFrame:
        """One row per bucket with a positive price: resource, start_s, end_s, price."""
        row = np.flatnonzero(self.value > 0)
        r = np.searchsorted(self.row_ptr, row, side="right") - 1
        start = (row - self.row_ptr[r]) * self.bucket_ns * 1e-9
        return pd.DataFrame(
            {
                "resource": [self.resource_names[i] for i in r],
                "start_s": start,
                "end_s": start + self.bucket_ns * 1e-9,
                "price": self.value[row],
            }
        )

    def mean_by_resource(self) -> NDArray[np.float64]:
        """(R,) mean price over each resource's horizon (0 without rows)."""
        total = np.add.reduceat(np.append(self.value, 0.0), self.row_ptr[:-1])
        count = np.diff(self.row_ptr)
        return np.where(count > 0, total, 0.0) / np.maximum(count, 1)
