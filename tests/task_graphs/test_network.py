"""Nodes, links and where work can go."""

import math

import pytest

from mecopt.task_graphs.network import Link, Network, Node, roofline


def node(name, kind="server", **changes):
    return Node(name, 0.001, 0.02, kind=kind, **changes)


def test_roofline():
    """7 B parameters: 14 GFLOP a prompt token, 140 TFLOPS shared by 2; 14 GB a step at 1 TB/s."""
    prompt, output = roofline(7e9, 140e12, 1e12, slots=2)
    assert prompt == pytest.approx(2e-4)
    assert output == pytest.approx(0.014)


def test_execution():
    """100 tokens to read at 1 ms and 50 to write at 20 ms: 0.1 + 1 s."""
    assert node("a").execution_s(100, 50) == pytest.approx(1.1)


def test_a_transfer_goes_in_frames():
    """2,500 bits in frames of 1,000: 3 frames of 0.1 s beside 2.5 s of bits, 0.5 s of latency."""
    link = Link("a", "b", 1000.0, 0.5, frame_bits=1000, frame_s=0.1)
    assert link.seconds(2500) == pytest.approx(0.5 + 0.3 + 2.5)
    assert link.seconds(0) == pytest.approx(0.5 + 0.1)
    assert Link("a", "b", math.inf).seconds(1e9) == 0.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Node("a", -1, 0), "node 'a': prompt_s_per_token = -1 is negative"),
        (lambda: Node("a", 0, math.inf), "output_s_per_token = inf is not a finite number"),
        (lambda: Node("a", 0, 1, slots=0), "node 'a': slots = 0 must be a whole number >= 1"),
        (lambda: Node("a", 0, 1, kind="cloud"), "kind = 'cloud' must be one of device, server"),
        (lambda: Node("a", 0, 1, params=0), "node 'a': params = 0 must be > 0"),
        (lambda: Node("a\n", 0, 1), "control character"),
        (lambda: Node("a", 0, 1, slots=10**12), "slots = 1000000000000 must be at most 1000000"),
        (lambda: Link("a", "a", 1), "link 'a' - 'a': joins a node with itself"),
        (lambda: Link("a", "b", 0), "link 'a' - 'b': bit_per_s = 0 must be > 0"),
        (lambda: Link("a", "b", math.nan), "bit_per_s = nan must be > 0"),
        (lambda: Link("a", "b", 1, -1), "latency_s = -1 is negative"),
        (lambda: Link("a", "b", 1, frame_bits=0), "frame_bits = 0 must be > 0"),
        (lambda: Network(()), "nodes: the list is empty"),
        (lambda: Network((node("a"), node("a"))), r"nodes\[1\]: duplicate name 'a'"),
        (lambda: Network((node("a"),), (Link("a", "b", 1),)), "links: 'b' is no node"),
        (
            lambda: Network((node("a"), node("b")), (Link("a", "b", 1), Link("b", "a", 2))),
            r"links\[1\]: duplicate name 'a - b'",
        ),
        (
            lambda: Network((node("a"), node("b")), (Link("a", "b", 1, channel="a"),)),
            "channel 'a' has the name of a node",
        ),
        (lambda: Network((node("a"),)).places("b"), "node 'b' is unknown, one of a"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    """Names the node or link, the field and the value."""
    with pytest.raises(ValueError, match=message):
        make()


def test_work_comes_to_servers_only():
    """The other device is linked, but its user did not ask; `far` is nobody's neighbour."""
    network = Network(
        (node("me", "device"), node("you", "device"), node("b"), node("a"), node("far")),
        (Link("me", "a", 1), Link("a", "b", 1), Link("you", "a", 1)),
    )
    assert [network.nodes[i].name for i in network.places("me")] == ["me", "a", "b"]
    assert [network.nodes[i].name for i in network.places("far")] == ["far"]


def test_nobody_carries_for_others():
    """The only way from a to b leads through a device: there is none for the work of others."""
    network = Network(
        (node("a"), node("phone", "device"), node("b")),
        (Link("a", "phone", 1), Link("phone", "b", 1)),
    )
    assert [network.nodes[i].name for i in network.places("a")] == ["a"]
    assert sorted(network.routes_from(0)) == [0, 1]
    assert sorted(network.routes_from(1)) == [0, 1, 2]
