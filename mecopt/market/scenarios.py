"""Seeded random markets: the shapes on which auction rules differ.

* ``balanced``: as many buyers as sellers, values and costs U[0, 1];
* ``five-to-one``: five buyers to a seller, U[0, 1];
* ``low-values``: values and costs Beta(1, 6), so that trade happens near the bottom of the range;
* ``thin``: at most three traders a side;
* ``lattice``: reports on the multiples of a tenth, so that ties are everywhere;
* ``units``: steps of several units, falling values and rising costs, two decimals;
* ``units-lattice``: the same on the multiples of a tenth, small, so that ties are everywhere;
* ``two-classes``: 30 % of the buyers are urgent (Beta(12, 4)), the others not (Beta(4, 16)); 60 %
  of the sellers are idle (Beta(6, 24)), the others busy (Beta(12, 8)): the crossing is where two
  humps meet, and most of the price range is empty;
* ``graph``: users in a square, servers with seats, link cost grows with distance.
"""

from __future__ import annotations

import numpy as np

from mecopt import checks
from mecopt.market.instance import Market

KINDS = (
    *("balanced", "five-to-one", "low-values", "thin", "lattice", "graph"),
    *("two-classes", "units", "units-lattice"),
)


def generate(kind: str = "balanced", seed: int = 0, *, n: int = 100, servers: int = 5) -> Market:
    """One market with prices in [0, 1].

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    seed : int
    n : int
        Buyers (and, except in graphs, sellers; a fifth of them in ``five-to-one``).
    servers : int
        Servers of a ``graph`` market.

    Raises
    ------
    ValueError
        If the kind is unknown, or a number is out of range.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: unknown {kind!r}, one of {', '.join(KINDS)}")
    for name, number, least in (("seed", seed, 0), ("n", n, 1), ("servers", servers, 1)):
        checks.whole(name, number, least)
    rng = np.random.default_rng([KINDS.index(kind), seed, n])
    meta = {"scenario": "markets", "kind": kind, "seed": seed}
    if kind == "graph":
        return _graph(rng, n, servers, meta)
    if kind.startswith("units"):
        return _units(rng, n, meta, lattice=kind == "units-lattice")
    if kind == "low-values":
        values, costs = rng.beta(1, 6, n), rng.beta(1, 6, n)
    elif kind == "five-to-one":
        values, costs = rng.random(n), rng.random(max(1, n // 5))
    elif kind == "thin":
        values, costs = rng.random(rng.integers(1, 4)), rng.random(rng.integers(1, 4))
    elif kind == "lattice":
        values, costs = rng.integers(0, 11, n) / 10, rng.integers(0, 11, n) / 10
    elif kind == "two-classes":
        values = np.where(rng.random(n) < 0.3, rng.beta(12, 4, n), rng.beta(4, 16, n))
        costs = np.where(rng.random(n) < 0.6, rng.beta(6, 24, n), rng.beta(12, 8, n))
    else:
        values, costs = rng.random(n), rng.random(n)
    # On the money grid; the numbers drawn have more digits.
    return Market.of(np.round(values, 6), np.round(costs, 6), price_range=(0, 1), meta=meta)


def _units(rng: np.random.Generator, n: int, meta: dict[str, object], *, lattice: bool) -> Market:
    """Up to four steps of up to five units a trader (lattice: two of up to two)."""
    steps, most, cells = (2, 2, 10) if lattice else (4, 5, 100)

    def prices() -> list[float]:
        at = np.sort(rng.integers(0, cells + 1, rng.integers(1, steps + 1))) / cells
        return [float(p) for p in np.repeat(at, rng.integers(1, most + 1, len(at)))]

    values = [prices()[::-1] for _ in range(n)]
    return Market.of(values, [prices() for _ in range(n)], price_range=(0, 1), meta=meta)


def _graph(rng: np.random.Generator, n: int, servers: int, meta: dict[str, object]) -> Market:
    """Seats for about 80 % of the users; a server reaches two thirds of the square's side."""
    user, server = rng.random((n, 2)), rng.random((servers, 2))
    distance = np.linalg.norm(user[:, None] - server[None, :], axis=2)
    seats = np.maximum(1, rng.multinomial(max(servers, int(0.8 * n)), [1 / servers] * servers))
    return Market.of(
        np.round(rng.uniform(0.2, 1.0, n), 6),
        np.round(rng.uniform(0.0, 0.3, servers), 6),
        price_range=(0, 1),
        seats=seats.tolist(),
        compatible=distance < 0.67,
        link_cost=np.round(0.2 * distance, 6),
        meta=meta,
    )
