"""The bound for rules that know failure rates only, from a solve of the second instance.

`mecopt.collaboration.expected` says what it means and why it holds: for bounds from prices, not for
those that replay decisions of the second instance, as a search tree does at its leaves. A rule's
tasks on time need not be on time again when the lost ones are taken out: FIFO has anomalies. So of
a proof with a tree only the prices of the root are used, valued by the certificate's own code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import formulations
from mecopt.certificates.budget import Budget
from mecopt.certificates.offloading import document
from mecopt.certificates.offloading.proof import Node
from mecopt.collaboration.expected import expected
from mecopt.offloading.instance import OffloadingInstance


@dataclass(frozen=True)
class RatesOnly:
    """What rules that know rates only can expect, as shares of tasks on time.

    Parameters
    ----------
    bound : float
        No such rule has a greater expected share.
    planned : float
        Worth of the best plan found when nothing fails: how close the bound may be to what it
        bounds.
    """

    bound: float
    planned: float


def rates_only(
    instance: OffloadingInstance,
    *,
    time_limit: float | None = None,
    gap: float = 1e-3,
    seed: int = 0,
) -> RatesOnly:
    """Bound on the expected share of tasks on time of every rule that knows failure rates only.

    Where rates of nodes drift, it is for rules that know that, too.

    Parameters
    ----------
    instance : OffloadingInstance
        With its network in the meta (`mecopt.collaboration.scenarios.ledrl`).
    time_limit, gap, seed : float, float, int
        Those of `formulations.solve`.

    Raises
    ------
    ValueError
        If the instance has no network in its meta.
    """
    second = expected(instance, drifting=True)
    result = formulations.solve(second, time_limit=time_limit, gap=gap, seed=seed)
    bound = result.bound
    if result.proof.root.parts:  # a tree
        at_root = replace(result, proof=replace(result.proof, root=Node(prices=0)))
        bound = document.check(document.body(at_root), "the second instance", Budget()).bound
    return RatesOnly(-bound / instance.n_tasks, -result.objective / instance.n_tasks)
