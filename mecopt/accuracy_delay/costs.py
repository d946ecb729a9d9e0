"""What a compiled rule reads of a snapshot: costs as floats of whole nanoseconds.

Sums of such floats are exact as long as they stay below 2^53 ns (104 days), so that compiled rules
compare as whole numbers would.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mecopt.accuracy_delay.instance import QuerySnapshot

FloatArray = NDArray[np.float64]


class Costs(NamedTuple):
    """Costs of a snapshot, in ns unless said.

    Parameters
    ----------
    local : (N,) float64
        Delay on the device.
    worth : (N,) float64
        What leaving the device is worth.
    queue : (M,) float64
        Wait before a server begins.
    linear : (N, M) float64
        What a query adds to the time of every query at its server; infinite out of reach.
    root : (N, M) float64
        Square roots of uploads, in units whose square is 2^-20 ns (zeros with equal shares).
    room : (M,) int64
    gain : (N, M) float64
        Expected accuracy won by leaving the device, in units of 10^-9.
    """

    local: FloatArray
    worth: FloatArray
    queue: FloatArray
    linear: FloatArray
    root: FloatArray
    room: NDArray[np.int64]
    gain: FloatArray


def costs_of(x: QuerySnapshot) -> Costs:
    """Costs of a snapshot as compiled rules read them."""
    return Costs(
        x.local_ns.astype(np.float64),
        x.worth_ns.astype(np.float64),
        x.queue_ns.astype(np.float64),
        np.where(x.reachable, x.linear_ns, np.inf),
        x.root.astype(np.float64),
        np.asarray(x.room),
        (x.accuracy_edge_units - x.accuracy_local_units[:, None]).astype(np.float64),
    )
