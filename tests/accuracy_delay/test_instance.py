"""Snapshots check themselves, say what is wrong, and survive a file."""

import dataclasses

import numpy as np
import pytest

from mecopt.accuracy_delay import QuerySnapshot
from mecopt.accuracy_delay.scenarios import goa


def two_users(**changes):
    """Two users, one server: uploads of 1 and 4 s alone, computing 1 s alone, 10 s on a device."""
    fields = {
        "users": ("a", "b"),
        "servers": ("edge",),
        "bits": np.array([1e6, 4e6]),
        "work": np.array([60.0, 60.0]),
        "rate_bps": np.array([[1e6], [1e6]]),
        "speed": np.array([60.0]),
        "queue_s": np.array([0.5]),
        "room": np.array([2]),
        "local_s": np.array([10.0, 10.0]),
        "uncertainty": np.array([0.25, 0.75]),
        "accuracy_local": np.array([0.8, 0.4]),
        "accuracy_edge": np.array([0.9]),
    }
    return QuerySnapshot(**(fields | changes))


def test_what_is_derived():
    """Upload and computing alone in whole ns; roots only with optimal shares."""
    x = two_users()
    assert x.linear_ns.tolist() == [[2 * 10**9], [5 * 10**9]]
    assert not x.root.any()
    shared = two_users(shares="optimal")
    assert shared.linear_ns.tolist() == [[10**9], [10**9]]
    # 2^10 sqrt(10^9) = 32381723.2..., 2^10 sqrt(4 10^9) = 64763446.5, to even
    assert shared.root.tolist() == [[32381723], [64763446]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"uncertainty": np.array([0.2, 1.2])}, r"uncertainty\[1\] = 1.2 must be between 0 and 1"),
        ({"accuracy_edge": np.array([-0.1])}, "accuracy_edge.* is negative"),
        ({"speed": np.array([0.0])}, r"speed\[0\] = 0.0 must be > 0"),
        ({"rate_bps": np.zeros((2, 1))}, "rate_bps: no user reaches any server"),
        ({"rate_bps": np.array([[1e6], [np.inf]])}, r"rate_bps\[1, 0\] = inf is not a finite"),
        ({"rate_bps": np.array([[1e6], [1e-3]])}, r"is longer than 100000 s; a rate of 0 says"),
        ({"local_s": np.array([1.0, np.nan])}, r"local_s\[1\] = nan is not a finite number"),
        ({"room": np.array([1.5])}, "room: must hold whole numbers"),
        ({"room": np.array([-1])}, r"room\[0\] = -1 is negative"),
        ({"bits": np.array([1e6])}, r"bits must have shape \(2,\), has \(1,\)"),
        ({"users": ("a", "a")}, r"users\[1\]: duplicate name 'a'"),
        ({"users": ()}, "users: the list is empty"),
        ({"shares": "fair"}, "shares = 'fair' must be one of equal, optimal"),
        ({"kappa_s": -1.0}, "kappa_s = -1.0 must be a finite number >= 0"),
        ({"least_accuracy": 1.5}, "least_accuracy = 1.5 must be between 0 and 1"),
        ({"bits": np.array(["1", "2"])}, "bits: must hold numbers"),
    ],
)
def test_malformed_fields_are_one_line(changes, message):
    """The argument, the position and the value are named."""
    with pytest.raises(ValueError, match=message):
        two_users(**changes)


def test_files_bring_snapshots_back(tmp_path):
    """Equal hash, equal fields; names are no part of the hash; a changed number is noticed."""
    x = goa.generate(7, 3, shares="optimal", least_accuracy=0.7)
    path = tmp_path / "x.json.gz"
    x.save(path)
    again = QuerySnapshot.load(path)
    assert again.content_hash == x.content_hash
    assert again.meta == {**x.meta, "parameters": again.meta["parameters"]}
    renamed = dataclasses.replace(x, users=tuple(f"u{i}" for i in range(7)))
    assert renamed.content_hash == x.content_hash
    assert dataclasses.replace(x, kappa_s=x.kappa_s + 1).content_hash != x.content_hash
    body = x.to_document()
    body["bits"][0] += 1
    with pytest.raises(ValueError, match="content_hash does not match"):
        QuerySnapshot.from_document(body)


def test_seeds_and_parameters():
    """Equal seeds give equal snapshots, parameters change what they name, others are refused."""
    assert goa.generate(5, 1).content_hash == goa.generate("5", 1).content_hash
    assert goa.generate(5, 1).content_hash != goa.generate(5, 2).content_hash
    assert goa.generate(5, 1, servers=7).n_servers == 7
    with pytest.raises(ValueError, match="users = 'many' must be a whole number >= 1"):
        goa.generate("many")
    with pytest.raises(ValueError, match="parameters: unknown 'bandwith'"):
        goa.generate(5, bandwith=3)
