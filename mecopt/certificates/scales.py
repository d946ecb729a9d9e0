"""Whole-number units of costs and prices in proofs, for every family."""

from __future__ import annotations

#: Costs are integers in units of 1 / COST_SCALE of the family's unit of cost (offloading: ns).
COST_SCALE = 2**30
#: Prices are integers in units of 1 / PRICE_SCALE.
PRICE_SCALE = 2**20
#: Cost units in a price unit.
RATIO = COST_SCALE // PRICE_SCALE
#: Prices of energy within a slot count in 1 / FINE cost units.
FINE = 2**20
#: Prices in a certificate are smaller than this, in units of 1 / PRICE_SCALE.
LARGEST_PRICE = 2**62
