"""The online bound in scorecards of caching. Episodes are cut to 8 slots of 4 agents."""

import functools

import numpy as np
import pytest

from mecopt.bench import pages, scorecard
from mecopt.bench import run as benchmark
from mecopt.bench.caching import online
from mecopt.bench.families import FAMILIES
from mecopt.bench.suite import Suite
from mecopt.caching.scenarios import t2drl

FAMILY = FAMILIES["caching"]
SMALL = {"slots": 8, "agents": 4, "servers": 2, "capacity_gb": 30.0}


def suite(*presets, **options) -> Suite:
    rules = ("rolling", "fifo-sensible")
    presets = presets or ("ten",)
    return Suite("caching", presets, (0, 2), rules, time_limit_s=1.0, gap=0.01, options=options)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A whole run that asks for online bounds of two worlds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(t2drl, "generate", functools.partial(t2drl.generate, **SMALL))
        out = tmp_path_factory.mktemp("online") / "run"
        folder = benchmark.run(suite(online_bound=2), out, jobs=1)
        pages.build(folder)
    return folder


def test_distances_and_what_they_are_made_of(run):
    """Price of not knowing times what is left is the distance of luckless cost and bound."""
    _, tables = run.read()
    results = tables["results"]
    both = (1 + results["not_knowing"]) * (1 + results["gap_to_online"]) - 1
    assert (both >= -1e-9).all()  # nothing is below the clairvoyant bound
    assert (results["online_bound_lower_95"] <= results["online_bound"]).all()
    assert np.isfinite(results["gap_to_online"]).all()


def test_card_remark_and_page_show_them(run):
    _, tables = run.read()
    assert {"gap_to_online", "not_knowing"} <= set(scorecard.scorecard(tables["results"], FAMILY))
    assert "every rule that cannot see the future, on ten" in FAMILY.remark(tables)
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "best rule that cannot see the future" in page
    assert (run.path / "pictures" / "online.png").exists()


def test_nothing_is_said_unless_asked():
    """Instances are the same with and without the wish, and so are their hashes."""
    plain, asked = suite(), suite(online_bound=2)
    one, other = plain.instance(plain.units[0]), asked.instance(asked.units[0])
    assert one.content_hash == other.content_hash
    assert online.described(one) == {}


@pytest.mark.parametrize(
    ("preset", "worlds", "said"),
    [
        ("ten", 1, "online_bound = 1"),
        ("ten", 0, "online_bound = 0"),
        ("forwarding", 2, "serve each other's requests"),
        ("backhaul", 2, "drawn with its requests"),
        ("data", 2, "come from recorded data"),
    ],
)
def test_what_is_refused(preset, worlds, said):
    from mecopt.caching.scenarios import trace

    preset = trace.PRESET if preset == "data" else preset
    with pytest.raises(ValueError, match=said):
        suite(preset, online_bound=worlds)


def test_bounds_of_a_preset(monkeypatch):
    """Both bounds in cost per episode; without --online only the clairvoyant one."""
    monkeypatch.setattr(t2drl, "generate", functools.partial(t2drl.generate, **SMALL))
    found = online.bounds("ten", range(2), replicates=2, time_limit_s=1.0)
    assert found.online.unit == "cost"
    assert found.online.worlds == 4
    assert found.online.provenance["mean_of"][1]["seed"] == 1
    assert online.bounds("ten", range(1), replicates=2, with_online=False).online is None
    alone = online.bounds("ten", range(1), method="pairs-alone", replicates=2, time_limit_s=1.0)
    assert alone.online.worlds == 0
    with pytest.raises(ValueError, match="samples = 7"):
        online.bounds("ten", range(1), replicates=2, samples=7)
