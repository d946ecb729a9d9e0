"""Whole-number units of costs and prices in proofs, for every family."""

from __future__ import annotations

#: Costs are integers in units of 1 / COST_SCALE of the family's unit of cost (offloading: ns).
COST_SCALE = 2**30
#: Prices are integers in units of 1 / PRICE_SCALE.
PRICE_SCALE = 2**20
#: Cost units in a price unit.
RATIO = COST_SCALE // PRICE_SCALE
