"""What being resident is worth from the next slot on: pairs apart, capacity priced.

With a price on memory and on energy the pairs of a server separate, and each is a small stochastic
program over its age of thoughts k (Poisson requests R at a forecast rate, seen before deciding).
Relative to sending everything to the cloud, with w the worth of a request served,

    f(x, k)  = x (serve + energy price + accuracy[k'] - w) + V_{h+1}(k'),  k' = age after serving x
    V_h(k)   = E min( O_{h+1},            memory price + min over x <= R of f(x, k) )
    O_h      = E min( O_{h+1}, switch +   memory price + min over x <= R of f(x, 0) )

and O_h - V_h(k) >= 0 or <= 0 says whether a context is worth its place. The expected memory and
energy that these decisions use are carried along: they are the slopes in the two prices.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from mecopt.caching.kernel import aged

#: Requests of a slot beyond this many, and less likely ones than this, are cut off.
_MOST, _TAIL = 24, 1e-3


@njit(cache=True, nogil=True, error_model="numpy")
def _future_of_pair(pairs, p, rates, worth, memory_price, energy_price, budget, value, now, use):
    """Value of being off, with value (K + 1,) filled; `use` (K + 2, 2) holds memory and energy.

    The last row of `use` belongs to being off. `now` (3, K + 1) is scratch.
    """
    top = pairs.kappa_max[p]
    hold = memory_price * pairs.memory[p]
    each = pairs.serve[p] + energy_price * pairs.energy[p] - worth
    most_served = budget // pairs.energy[p] if pairs.energy[p] > 0 else _MOST
    value[: top + 1] = 0.0
    use[:] = 0.0
    off, off_memory, off_energy = 0.0, 0.0, 0.0
    fresh = np.empty(top + 1)
    fresh_use = np.empty((top + 1, 2))
    for h in range(len(rates) - 1, -1, -1):
        rate = rates[h]
        chance, left = np.exp(-rate), 1.0
        fresh[:] = 0.0
        fresh_use[:] = 0.0
        fresh_off, fresh_off_memory, fresh_off_energy = 0.0, 0.0, 0.0
        now[0, : top + 1] = np.inf
        for requests in range(_MOST + 1):
            if requests > 0:
                chance *= rate / requests
            weight = chance
            last = requests == _MOST or left - chance < _TAIL
            if last:
                weight = left
            left -= weight
            if requests <= most_served:
                gained = pairs.thoughts[p] * requests - pairs.vanish[p]
                for k in range(top + 1):
                    after = min(max(k + gained, 0), top)
                    cost = requests * (each + pairs.accuracy[p, after]) + value[after]
                    if cost < now[0, k]:
                        now[0, k] = cost
                        now[1, k] = use[after, 0] + pairs.memory[p]
                        now[2, k] = use[after, 1] + requests * pairs.energy[p]
            if weight > 0.0:
                for k in range(top + 1):
                    if hold + now[0, k] <= off:
                        fresh[k] += weight * (hold + now[0, k])
                        fresh_use[k, 0] += weight * now[1, k]
                        fresh_use[k, 1] += weight * now[2, k]
                    else:
                        fresh[k] += weight * off
                        fresh_use[k, 0] += weight * off_memory
                        fresh_use[k, 1] += weight * off_energy
                enter = pairs.switch[p] + hold + now[0, 0]
                if enter < off:
                    fresh_off += weight * enter
                    fresh_off_memory += weight * now[1, 0]
                    fresh_off_energy += weight * now[2, 0]
                else:
                    fresh_off += weight * off
                    fresh_off_memory += weight * off_memory
                    fresh_off_energy += weight * off_energy
            if last:
                break
        value[: top + 1] = fresh
        use[: top + 1] = fresh_use
        off, off_memory, off_energy = fresh_off, fresh_off_memory, fresh_off_energy
    use[len(use) - 1, 0] = off_memory
    use[len(use) - 1, 1] = off_energy
    return off


@njit(cache=True, nogil=True, error_model="numpy")
def future_of_server(pairs, capacity, budget, was, kappa, requests, rates, worth, prices, future):
    """Fill future (P, K + 1) = O - V at the prices; mean memory and energy used over the window.

    The window is this slot, whose `requests` (P,) are known, and the slots of `rates` (P, H).
    """
    n_pairs, size = future.shape
    now = np.empty((3, size))
    value = np.empty(size)
    use = np.empty((size + 1, 2))
    used_memory, used_energy = 0.0, 0.0
    for p in range(n_pairs):
        future[p] = 0.0
        if pairs.memory[p] > capacity:
            continue
        off = _future_of_pair(
            pairs, p, rates[p], worth[p], prices[0], prices[1], budget, value, now, use
        )
        top = pairs.kappa_max[p]
        future[p, : top + 1] = off - value[: top + 1]
        # This slot, priced as well: what the pair would do, and what it uses from then on.
        load = 0.0 if was[p] else pairs.switch[p]
        age = kappa[p] if was[p] else 0
        best, memory, energy = 0.0, use[size, 0], use[size, 1]
        for x in range(requests[p] + 1):
            if x * pairs.energy[p] > budget:
                break
            k = aged(age, x, pairs.thoughts[p], pairs.vanish[p], top)
            each = pairs.serve[p] + prices[1] * pairs.energy[p] + pairs.accuracy[p, k] - worth[p]
            cost = load + prices[0] * pairs.memory[p] + x * each - future[p, k]
            if cost < best:
                best = cost
                memory = use[k, 0] + pairs.memory[p]
                energy = use[k, 1] + x * pairs.energy[p]
        used_memory += memory
        used_energy += energy
    slots = 1.0 + rates.shape[1]
    return used_memory / slots, used_energy / slots


@njit(cache=True, nogil=True, error_model="numpy")
def correct(prices, memory, energy, capacity, budget, requests, rates, worth, step):
    """Move the prices (2,) of a server towards use = capacity.

    A price moves by `step` times its scale (what the requests of a slot are worth, per unit of the
    resource) times the relative excess of use over capacity.
    """
    demand = 0.0
    for p in range(len(requests)):
        demand += (requests[p] + rates[p].sum()) * worth[p]
    demand *= step / (1.0 + rates.shape[1])
    if capacity > 0:
        excess = min(max(memory / capacity - 1.0, -1.0), 1.0)
        prices[0] = max(0.0, prices[0] + demand / capacity * excess)
    if budget > 0:
        excess = min(max(energy / budget - 1.0, -1.0), 1.0)
        prices[1] = max(0.0, prices[1] + demand / budget * excess)


@njit(cache=True, nogil=True, error_model="numpy")
def cleared_future(
    pairs, capacity, budget, was, kappa, requests, rates, worth, prices, steps, step, future
):
    """`future_of_server` after `steps` corrections of the prices (2,) by what is used."""
    for i in range(steps + 1):
        memory, energy = future_of_server(
            pairs, capacity, budget, was, kappa, requests, rates, worth, prices, future
        )
        if i < steps:
            correct(
                prices, memory, energy, capacity, budget, requests, rates, worth, step / (1.0 + i)
            )


@njit(cache=True, nogil=True, error_model="numpy")
def futures(
    pairs, capacity, budget, was, kappa, requests, rates, worth, prices, steps, step, future
):
    """Fill future (N, P, K + 1), after `steps` corrections of prices (N, 2) by what is used."""
    for n in range(len(capacity)):
        cleared_future(
            pairs, capacity[n], budget[n], was[n], kappa[n], requests[n], rates[n], worth,
            prices[n], steps, step, future[n],
        )  # fmt: skip
