"""How large the exact caching models are, and how long they take at least, before they are built.

HiGHS does not look at its clock while it sets a program up and takes its first steps, and Pyomo
has none. What a model takes at least is about proportional to its size, so a model that cannot be
built and begun in time is not built at all.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from formulations.caching.blocks import Blocks
from formulations.highs import Size
from mecopt.caching import Backhaul, CachingInstance

#: CPU seconds per variable until HiGHS first looks at the clock: of a labelled model and of arrays,
#: measured on one core (7e-5 and 1.5e-5), with something to spare.
LABELLED, ARRAYS = 1e-4, 2e-5
#: Until then from when a labelled model or arrays are built, in times what building took: on a
#: machine that is busy all phases are slower.
AFTER_LABELLED, AFTER_ARRAYS = 2.5, 25.0


def big_m_size(instance: CachingInstance) -> Size:
    """Size of `formulations.caching.big_m.build_model`."""
    x = instance
    servers, pairs, slots = x.requests.shape
    cells, levels = x.requests.size, servers * slots * int((x.kappa_max + 1).sum())
    near = 3 * servers - 2 if x.is_forwarding else servers
    link = slots if isinstance(x.coupling, Backhaul) else 0
    variables = 6 * cells + near * pairs * slots + levels + link
    return Size(variables, 2 * servers * slots + 9 * cells + levels + link)


def network_size(blocks: Blocks) -> tuple[Size, int]:
    """Size of `formulations.caching.network_arrays.build_program`, and its number of arcs."""
    arcs, nodes = (int(number) for number in _count_arcs(blocks))
    slots, places = blocks.n_slots, len(blocks.requests)
    columns = rows = 0
    if blocks.overflow_cost > 0:
        columns = rows = slots
    elif np.isfinite(blocks.hop).any():
        columns, rows = 3 * places, 2 * places
    choices = blocks.n_choices
    rows += nodes + choices + 2 * blocks.n_servers * slots
    return Size(arcs + choices + columns, rows), arcs


@njit(cache=True, nogil=True)
def _count_arcs(blocks):  # type: ignore[no-untyped-def]
    """Arcs that a path from the start can use, and the states they leave from."""
    slots = blocks.n_slots
    arcs, nodes = 0, 0
    now = np.zeros(blocks.accuracy.shape[1], dtype=np.bool_)
    then = np.zeros_like(now)
    for q in range(len(blocks.switching)):
        top = blocks.kappa_max[q]
        now[:] = False
        for t in range(slots):
            count = blocks.first[q * slots + t + 1] - blocks.first[q * slots + t]
            states = 1 + int(now[: top + 1].sum())  # off can be reached always
            arcs += states * count
            nodes += states
            then[:] = False
            for k in range(top + 1):
                # Becoming resident is starting at age 0.
                if not now[k] and k > 0:
                    continue
                for x in range(count - 1):
                    to = k + blocks.thoughts[q] * x - blocks.vanish[q]
                    then[min(top, max(0, to))] = True
            now, then = then, now
    return arcs, nodes
