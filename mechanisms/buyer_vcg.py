"""VCG for buyers in a graph market, where the operator owns the servers.

When sellers are not strategic, nothing has to be given up: serve the optimal assignment and charge
every buyer the lowest competitive price of its server, which for unit demand is exactly the harm it
does to the others (Leonard, "Elicitation of Honest Preferences for the Assignment of Individuals to
Positions", JPE 91 (1983)). Efficient, truthful for buyers, never below cost.
"""

from __future__ import annotations

from formulations.market import assignment
from mechanisms.outcome import Outcome, rule, seated
from mecopt.market.instance import Market

#: Pairs up to which the greedy assignment is tried before a solver.
_SMALL = 64


@rule
def run(market: Market) -> Outcome:
    """Optimal assignment at the lowest competitive prices.

    Raises
    ------
    ValueError
        With memory limits (no competitive prices exist in general).
    """
    if market.memory is not None:
        raise ValueError("vcg: needs competitive prices, the market has memory limits")
    best = None
    if market.n_buyers * market.n_sellers <= _SMALL:
        best = assignment.greedy_if_proved(market)
    best = best or assignment.solve(market, method="lp")
    if best.server is None or best.lowest_price is None:
        raise RuntimeError("vcg: the assignment has no supporting prices")
    price = best.lowest_price
    told = {"sellers": "not strategic"}
    return seated("vcg", market, best.server, price, price, parameters=told)
