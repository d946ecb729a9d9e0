"""What a caching solve has before it begins: a schedule, and a bound that holds by itself."""

from __future__ import annotations

import numpy as np

from formulations.caching.blocks import Blocks
from formulations.caching.coupling import Coupling
from formulations.caching.oracle import Pricer, RowOracle
from mecopt.caching import CachingInstance, CachingPlan
from mecopt.caching.policies.simple import Myopic
from mecopt.caching.rollout import rollout


def first_plan(instance: CachingInstance) -> CachingPlan:
    """The plan of the myopic policy, in some hundredths of a second."""
    return rollout(instance, Myopic())


def first_bound(blocks: Blocks) -> float:
    """What the cheapest plans of all pairs cost together when memory and energy are free."""
    coupling = Coupling(blocks)
    rows = RowOracle(blocks, Pricer(blocks), coupling)
    priced = rows.price(rows.start)
    value = rows.dual_value(rows.start, priced)
    scale = np.abs(priced.value).sum() + abs(value)
    return float(value - 1e-12 * scale * np.sqrt(len(blocks.requests)))
