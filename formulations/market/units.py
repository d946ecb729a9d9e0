r"""Efficient trade of units as a linear program: a check of the sorted optimum.

Parameters: value v_u of unit u wanted, cost c_w of unit w offered. Variables: x_u, y_w in [0, 1],
bought and sold.

    maximize    sum_u v_u x_u - sum_w c_w y_w
    (balance)   sum_u x_u - sum_w y_w = 0        dual: a market-clearing price

The matrix has one row of ones and minus ones, so vertices are whole. Marginal values fall and costs
rise within a trader, so an optimum takes first units first; the program need not say so.
"""

from __future__ import annotations

import numpy as np

from formulations import highs
from mecopt.market.instance import Market


def most_welfare(market: Market) -> float:
    """Optimum of the program, half minor units (what the solver says, rounded to whole numbers).

    Raises
    ------
    ValueError
        For graphs.
    RuntimeError
        If HiGHS has no answer.
    """
    if market.is_graph:
        raise ValueError("market: has compatibility or link cost; see formulations.market")
    n, m = len(market.values), len(market.costs)
    columns = np.arange(n + m)
    entries = (np.zeros(n + m, dtype=np.int64), columns, np.repeat([1.0, -1.0], [n, m]))
    # Minor units, as in `assignment`: the solver's tolerances are then far below a difference.
    cost = np.concatenate([-market.values, market.costs]) / 2.0
    zero = np.zeros(1)
    found = highs.run(highs.program([entries], cost, np.ones(n + m), zero, zero), gap=0.0)
    if found.values is None:
        raise RuntimeError("HiGHS has no optimum of the units' program")
    return 2.0 * round(-found.objective)
