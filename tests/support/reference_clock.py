"""The double Dutch auction, tick by tick, as a person with a bell would run it.

Slow and literal on purpose: every tick is announced, every trader is asked. Nothing is shared with
the package. Prices are integers; the result is (buyer payments, seller receipts, trades, final
clocks, broadcasts), with payments keyed by trader.
"""

from __future__ import annotations

from fractions import Fraction


def auction(values, costs, low, step, ticks, alternation, pricing, first="buyer", early=False):
    """Run one auction; ties go to the trader listed first; `early`: no acceptance can come."""
    grid = [low + m * step for m in range(ticks + 1)]
    waiting = {"buyer": list(range(len(values))), "seller": list(range(len(costs)))}
    stopped = {"buyer": [], "seller": []}  # (trader, level)
    clock = {"buyer": ticks, "seller": 0}
    ahead = {"buyer": ticks, "seller": 0}  # level to be announced next
    other = {"buyer": "seller", "seller": "buyer"}
    sealed = pricing in ("mcafee", "trade-reduction", "trade-reduction-critical")

    def stops(side, trader):
        price = grid[clock[side]]
        return values[trader] >= price if side == "buyer" else costs[trader] <= price

    def ask(side, most):
        for trader in list(waiting[side]):
            if most > 0 and stops(side, trader):
                waiting[side].remove(trader)
                stopped[side].append((trader, clock[side]))
                most -= 1

    def announce(side):
        """Next tick of a clock; False at the end of the grid."""
        if not 0 <= ahead[side] <= ticks:
            return False
        clock[side] = ahead[side]
        ahead[side] += -1 if side == "buyer" else 1
        return True

    everybody = len(values) + len(costs)
    rounds = 0
    if sealed:
        for side in ("buyer", "seller"):
            while announce(side):
                ask(side, everybody)
        rounds = ticks + 1 if alternation == "synchronous" else 2 * (ticks + 1)
    elif alternation == "synchronous":
        while announce("buyer") and announce("seller"):
            rounds += 1
            if clock["buyer"] < clock["seller"]:
                break
            ask("buyer", everybody)
            ask("seller", everybody)
            if early and min(map(len, stopped.values())) == min(len(values), len(costs)):
                break
    else:
        turn = first
        over = False
        while not over:
            before = len(stopped[turn])
            # In `unit`, more traders may be waiting to stop at the tick already announced.
            if alternation == "unit" and ahead[turn] != clock[turn]:
                ask(turn, 1)
            while len(stopped[turn]) == before:
                if not announce(turn):
                    over = True
                    break
                rounds += 1
                if clock["buyer"] < clock["seller"]:
                    over = True
                    break
                ask(turn, 1 if alternation == "unit" else everybody)
                if alternation == "tick":
                    break
            if early and min(map(len, stopped.values())) == min(len(values), len(costs)):
                over = True
            turn = other[turn]
    return settle(values, costs, grid, stopped, clock, pricing, step), rounds


def settle(values, costs, grid, stopped, clock, pricing, step):
    """Payments and receipts, as dictionaries of the traders who trade."""
    buyers, sellers = stopped["buyer"], stopped["seller"]
    n = min(len(buyers), len(sellers))
    if pricing in ("mid", "clamped", "own-clock"):
        pairs = list(zip(buyers[:n], sellers[:n], strict=True))
        price = Fraction(grid[clock["buyer"]] + grid[clock["seller"]], 2)
        if pricing == "clamped" and pairs:
            price = min(max(price, grid[sellers[n - 1][1]]), grid[buyers[n - 1][1]])
        pay = {b: grid[lb] if pricing == "own-clock" else price for (b, lb), _ in pairs}
        get = {s: grid[ls] if pricing == "own-clock" else price for _, (s, ls) in pairs}
        return pay, get
    k = max((i + 1 for i in range(n) if buyers[i][1] >= sellers[i][1]), default=0)
    if k == 0:
        return {}, {}
    high, low = grid[buyers[k - 1][1]], grid[sellers[k - 1][1]]
    if pricing == "mcafee" and k < len(sellers):
        next_buyer = grid[buyers[k][1]] if k < len(buyers) else 0
        mid = Fraction(next_buyer + grid[sellers[k][1]], 2)
        if low <= mid <= high:
            return {b: mid for b, _ in buyers[:k]}, {s: mid for s, _ in sellers[:k]}
    pay = {b: high for b, _ in buyers[: k - 1]}
    get = {s: low for s, _ in sellers[: k - 1]}
    if pricing == "trade-reduction-critical":
        pay = {b: p + step * (b > buyers[k - 1][0]) for b, p in pay.items()}
        get = {s: p - step * (s > sellers[k - 1][0]) for s, p in get.items()}
    return pay, get
