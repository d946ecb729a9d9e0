"""Networks that fail: routes, kinds of topology, and what is refused."""

import networkx
import numpy as np
import pytest

from mecopt.collaboration import topology
from mecopt.collaboration.network import Link, Network, Node
from mecopt.collaboration.scenarios import ledrl
from mecopt.data.folder import find
from mecopt.data.tables import Table
from tests.collaboration.hand_made import line, made


def test_routes_fewest_hops_first():
    """From a on the line a - b - c: stay, a > b, a > b > c; nobody is met twice."""
    network = line()
    assert network.routes(0, 3) == [((), 0), ((0,), 1), ((0, 2), 2)]
    assert network.routes(1, 3) == [((), 1), ((1,), 0), ((2,), 2)]
    assert network.routes(0, 1) == [((), 0), ((0,), 1)]


def test_a_network_is_read_back_from_an_instance():
    network = line(0.1, 0.2, 0.3)
    x = made(network, [(0.0, 0, 10.0, 1.0)], 4.0)
    assert Network.of(x) == network


@pytest.mark.parametrize(
    ("nodes", "links", "message"),
    [
        ("ab", "", "disconnected, no way from 'a' to 'b'"),
        ("aa", "", "duplicate name 'a'"),
        ("ab", "az", "'z' is no node"),
        ("ab", "aa", "joins a node with itself"),
    ],
)
def test_refused_networks(nodes: str, links: str, message: str):
    with pytest.raises(ValueError, match=message):
        Network(
            tuple(Node(name, 1.0) for name in nodes),
            tuple(Link(*pair, 1.0) for pair in ([links] if links else [])),
        )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Node("a", 0.0), "node 'a': cycles_per_s = 0 must be > 0"),
        (lambda: Node("a", 1.0, 0), "places = 0 must be"),
        (lambda: Node("a", 1.0, 1, -0.1), "execution_failure_per_s = -0.1 is negative"),
        (lambda: Link("a", "b", 1.0, float("nan")), "failure_per_s"),
        (lambda: Network((Node("a", 1.0),), (), 0.1, 0.0), "repair_per_s = 0 must be > 0"),
        (lambda: Network(()), "nodes: the list is empty"),
    ],
)
def test_refused_numbers(make, message: str):
    with pytest.raises(ValueError, match=message):
        make()


def _graph(nodes: int, pairs: list[tuple[int, int]]) -> networkx.Graph:
    graph = networkx.Graph(pairs)
    graph.add_nodes_from(range(nodes))
    return graph


@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 10, 25])
def test_ring_with_chords(nodes: int):
    """Connected; nobody has more than two neighbours on the ring and one chord."""
    for seed in range(20):
        pairs = topology.ring_with_chords(nodes, np.random.default_rng(seed))
        graph = _graph(nodes, pairs)
        assert networkx.is_connected(graph)
        ring = {frozenset((i, (i + 1) % nodes)) for i in range(nodes)} - {frozenset((0,))}
        assert ring <= {frozenset(pair) for pair in pairs}
        chords = [pair for pair in pairs if frozenset(pair) not in ring]
        ends = [end for chord in chords for end in chord]
        assert len(ends) == len(set(ends))


def test_random_networks_are_connected():
    """A tree of 9 links and 5 more on ten nodes."""
    for seed in range(20):
        pairs = topology.random_connected(10, np.random.default_rng(seed))
        assert networkx.is_connected(_graph(10, pairs)) and len(set(pairs)) == 14


def _sites(longitude: list[float]) -> Table:
    names = np.array([f"site {i}" for i in range(len(longitude))])
    return Table(
        find("eua-sites").path,
        "",
        {
            "site_id": names,
            "latitude_deg": np.zeros(len(longitude)),
            "longitude_deg": np.array(longitude),
        },
    )


def test_sites_within_range():
    """Sites on the equator, 0.001 degrees (111 m) apart: within 120 m a line of neighbours."""
    table = _sites([0.0, 0.001, 0.002, 0.003])
    pairs, names = topology.sites(table, 4, 120.0, 4, np.random.default_rng(0))
    near = {frozenset((names[a], names[b])) for a, b in pairs}
    assert near == {frozenset((f"site {i}", f"site {i + 1}")) for i in range(3)}


def test_sites_out_of_range_are_refused():
    table = _sites([0.0, 0.001, 0.1])
    with pytest.raises(ValueError, match="range_m = 120: the 3 sites are not connected"):
        topology.sites(table, 3, 120.0, 4, np.random.default_rng(0))
    with pytest.raises(ValueError, match="nodes = 4: .* has 3 sites"):
        topology.sites(table, 4, 120.0, 4, np.random.default_rng(0))


def test_sites_have_at_most_so_many_links():
    """Ten sites within reach of each other: a tree, and more links up to three a site."""
    table = _sites([1e-4 * i * i for i in range(10)])
    pairs, _ = topology.sites(table, 10, 1e5, 3, np.random.default_rng(1))
    graph = _graph(10, pairs)
    assert networkx.is_connected(graph) and max(dict(graph.degree).values()) <= 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nodes": 0}, "nodes = 0 must be"),
        ({"topology": "star"}, "topology: unknown 'star', one of ring, random, eua"),
        ({"cores": (4, 30)}, "must be multiples of 4"),
        ({"link_failure_per_s": (-0.1, 0.1)}, "link_failure_per_s"),
        ({"arrival_probability": (0.0, 1.5)}, "must be at most 1"),
        ({"repair_per_slot": 1.0}, "repair_per_slot = 1.0"),
        ({"deadline_s": 0.0}, "deadline_s = 0.0 must be > 0"),
        ({"hops": 3}, "unknown 'hops'"),
    ],
)
def test_refused_parameters(changes: dict, message: str):
    with pytest.raises(ValueError, match=message):
        ledrl.generate("paper", 0, **changes)
