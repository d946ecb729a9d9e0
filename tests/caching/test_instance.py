"""The caching instance: always valid, frozen, and what is written is what is read."""

import numpy as np
import pytest

from mecopt.caching import Backhaul, CachingInstance, Forwarding, Pair
from tests.support.tiny_caching import KINDS, tiny_instance

REQUESTS = [[[2, 0, 3], [1, 1, 1]]]
CHAT = Pair("chat", memory_gb=6, energy_j=50, thoughts=3, accuracy=0.5, cloud_cost=1.2)
CODE = Pair("code", memory_gb=42, energy_j=450, thoughts=2, accuracy=0.8, cloud_cost=2.0)


def make(requests=REQUESTS, pairs=(CHAT, CODE), **changes):
    given = {"capacity_gb": [80], "energy_budget_j": [3000], **changes}
    return CachingInstance.from_pairs(np.array(requests), list(pairs), **given)


def changed(pair, **changes):
    from dataclasses import replace

    return replace(pair, **changes)


def test_units_are_whole_megabytes_and_tens_of_joules():
    x = make()
    assert x.memory_mb.tolist() == [6000, 42000] and x.capacity_mb.tolist() == [80000]
    assert x.energy_10j.tolist() == [5, 45] and x.energy_budget_10j.tolist() == [300]


def test_accuracy_cost_follows_the_formula():
    """c_acc (1 - alpha) / max(0.05, kappa log(1 / beta)); here 2.5 x 0.5 / 0.05 = 25 when cold."""
    x = make()
    assert x.accuracy_cost.shape == (2, 41)
    assert x.accuracy_cost[0, 0] == 25.0
    assert x.accuracy_cost[0, 12] == pytest.approx(1.25 / (12 * np.log(1 / 0.92)), abs=2**-30)


def test_costs_lie_on_a_grid():
    """Multiples of 2^-30, so that sums of costs are exact."""
    x = tiny_instance(3)
    for name in ("switch_cost", "edge_cost", "compute_cost", "cloud_cost", "accuracy_cost"):
        scaled = getattr(x, name) * 2**30
        assert np.array_equal(scaled, np.rint(scaled)), name


def test_arrays_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        make().requests[0, 0, 0] = 9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"requests": [[[2, -1, 3], [1, 1, 1]]]}, r"requests\[0, 0, 1\] = -1 is negative"),
        ({"requests": [[[2, 0.5, 3], [1, 1, 1]]]}, r"requests\[0, 0, 1\] = 0.5 is not a whole"),
        ({"requests": [[[], []]]}, "requests: there are zero slots"),
        ({"requests": [[[1]]]}, r"requests must have shape \(1, 2, slots\), has \(1, 1, 1\)"),
        ({"capacity_gb": [80.0005]}, r"capacity_gb\[0\] = 80.0005 GB is not on the grid of 0.001"),
        (
            {"energy_budget_j": [3005]},
            r"energy_budget_j\[0\] = 3005.0 J is not on the grid of 10 J",
        ),
        ({"energy_budget_j": [-10]}, r"energy_budget_j\[0\] = -10.0 J is negative"),
        ({"slot_s": 0.0}, "slot_s = 0.0 must be > 0"),
        ({"accuracy_weight": -1.0}, "accuracy_weight = -1.0"),
        ({"server_names": ["a", "b"]}, r"requests must have shape \(2, 2, slots\)"),
        ({"pairs": (CHAT, CHAT)}, r"pair_names\[1\]: duplicate name 'chat'"),
        ({"coupling": Forwarding([0.1])}, r"coupling.hop_cost must have shape \(2,\), has \(1,\)"),
        (
            {"coupling": Backhaul([100, 200], [5, 5], 0.02)},
            r"coupling.capacity must have shape \(3,\), has \(2,\)",
        ),
    ],
)
def test_bad_input_names_argument_and_value(change, message):
    with pytest.raises(ValueError, match=message):
        make(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"memory_gb": 6.0005}, r"memory_gb\[0\] = 6.0005 GB is not on the grid of 0.001 GB"),
        (
            {"memory_gb": 15.231233024},
            r"memory_gb\[0\] = 15.231233024 GB is not on the grid of 0.001 GB, nearest 15.231$",
        ),
        ({"energy_j": 47}, r"energy_j\[0\] = 47 J is not on the grid of 10 J, nearest 50"),
        ({"thoughts": 0}, r"thoughts\[0\] = 0 must be at least 1"),
        ({"kappa_max": 2}, r"kappa_max\[0\] = 2 is below the thoughts of one request"),
        ({"vanish": -1}, r"vanish\[0\] = -1 is negative"),
        ({"accuracy": 1.2}, r"inaccuracy\[0\] = -0.19\d* must be between 0 and 1"),
        ({"beta": 1.0}, r"beta\[0\] = 1.0 must be between 0 and 1"),
        ({"cloud_cost": float("nan")}, r"cloud_cost\[0\] = nan is not a finite number"),
        ({"switch_cost": -0.1}, r"switch_cost\[0\] = -0.1 is negative"),
    ],
)
def test_bad_pairs_name_field_and_value(change, message):
    with pytest.raises(ValueError, match=message):
        make(pairs=(changed(CHAT, **change), CODE))


def test_fractions_of_the_grid_are_refused_in_flat_arrays_too():
    body = make().to_document()
    body["memory_mb"] = [6000.5, 42000]
    with pytest.raises(ValueError, match=r"memory_mb\[0\] = 6000.5 is not on the grid of 1 MB"):
        CachingInstance.from_document(body)


def test_pair_larger_than_every_server_is_cloud_only_and_says_so():
    x = make(pairs=(CHAT, changed(CODE, memory_gb=81)))
    assert x.cloud_only.tolist() == [False, True]
    assert "1 pair larger than every server (cloud only)" in repr(x)


@pytest.mark.parametrize("kind", KINDS)
def test_file_round_trip(kind, tmp_path):
    x = tiny_instance(5, **KINDS[kind])
    path = tmp_path / "instance.json.gz"
    x.save(path)
    again = CachingInstance.load(path)
    assert again.content_hash == x.content_hash and repr(again) == repr(x)


def test_hash_follows_what_changes_a_replay_and_nothing_else():
    base = make()
    assert make(meta={"note": 1}).content_hash == base.content_hash
    assert make(pairs=(changed(CHAT, name="other"), CODE)).content_hash == base.content_hash
    assert make(pairs=(changed(CHAT, vanish=2), CODE)).content_hash != base.content_hash
    assert make(coupling=Forwarding([0.1, 0.1])).content_hash != base.content_hash


def test_broken_file_is_refused(tmp_path):
    body = make().to_document()
    body["requests"][0][0][0] = 7
    with pytest.raises(ValueError, match="content_hash does not match"):
        CachingInstance.from_document(body, "file")
    del body["requests"]
    with pytest.raises(ValueError, match="file: field 'requests' is missing"):
        CachingInstance.from_document(body, "file")
    body = make().to_document() | {"coupling": {"kind": "tunnel"}}
    with pytest.raises(ValueError, match="coupling.kind: unknown 'tunnel'"):
        CachingInstance.from_document(body, "file")
