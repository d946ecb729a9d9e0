"""Who is linked with whom: a ring with chords, a random connected graph, edge sites on a map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mecopt.data.tables import Table
from mecopt.edge import radio

Pairs = list[tuple[int, int]]


def ring_with_chords(nodes: int, rng: np.random.Generator) -> Pairs:
    """A ring, and chords between random pairs of nodes, each node in at most one.

    Nodes are paired at random; a pair of neighbours on the ring gets no chord. Two nodes get one
    link, one node none.
    """
    ring = {tuple(sorted((i, (i + 1) % nodes))) for i in range(nodes)}
    order = rng.permutation(nodes).tolist()
    chords = {tuple(sorted(pair)) for pair in zip(order[::2], order[1::2], strict=False)}
    return sorted((a, b) for a, b in ring | chords if a != b)


def random_connected(nodes: int, rng: np.random.Generator) -> Pairs:
    """A random tree, in which each node joins one of those before it, and nodes // 2 more pairs."""
    order = rng.permutation(nodes).tolist()
    tree = {_pair(order[i], order[int(rng.integers(i))]) for i in range(1, nodes)}
    others = [(a, b) for a in range(nodes) for b in range(a + 1, nodes) if (a, b) not in tree]
    more = rng.permutation(len(others))[: nodes // 2].tolist()
    return sorted(tree | {others[i] for i in more})


def sites(
    table: Table, nodes: int, range_m: float, most_links: int, rng: np.random.Generator
) -> tuple[Pairs, list[str]]:
    """The sites around a random one, linked within range: shortest links first.

    First the links that connect all, then further ones while both sites have less than
    `most_links`.

    Parameters
    ----------
    table : Table
        Columns ``site_id``, ``latitude_deg``, ``longitude_deg``.
    nodes : int
        How many sites; those nearest to the one drawn.
    range_m : float
        Greatest length of a link.
    most_links : int
    rng : Generator

    Returns
    -------
    pairs : list of (int, int)
    names : list of str
        Of the sites.

    Raises
    ------
    ValueError
        If there are fewer sites, or those taken are not connected within range.
    """
    if nodes > len(table):
        raise ValueError(f"nodes = {nodes}: {table.path} has {len(table)} sites")
    place = table["latitude_deg"], table["longitude_deg"]
    distance = radio.ground_distance_m(*place, *place)
    centre = int(rng.integers(len(table)))
    taken = np.argsort(distance[centre], kind="stable")[:nodes]
    distance = distance[np.ix_(taken, taken)]
    pairs = _short_links(distance, range_m, most_links)
    if pairs is None:
        raise ValueError(f"range_m = {range_m:g}: the {nodes} sites are not connected within it")
    return pairs, [str(name) for name in table["site_id"][taken]]


def _short_links(distance: NDArray[np.float64], range_m: float, most_links: int) -> Pairs | None:
    """Shortest links within range; None where they cannot connect all."""
    n = len(distance)
    within = [(a, b) for a in range(n) for b in range(a + 1, n) if distance[a, b] <= range_m]
    within.sort(key=lambda pair: (distance[pair], pair))
    group = list(range(n))
    chosen: set[tuple[int, int]] = set()
    for a, b in within:
        if group[a] != group[b]:
            chosen.add((a, b))
            group = [group[a] if g == group[b] else g for g in group]
    if len(set(group)) > 1:
        return None
    degree = np.bincount(np.array(sorted(chosen), dtype=int).ravel(), minlength=n)
    for a, b in within:
        if (a, b) not in chosen and max(degree[a], degree[b]) < most_links:
            chosen.add((a, b))
            degree[[a, b]] += 1
    return sorted(chosen)


def _pair(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a < b else (b, a)
