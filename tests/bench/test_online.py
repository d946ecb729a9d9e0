"""The online bound in scorecards: columns, remark, picture. Episodes are cut to 8 slots."""

import functools

import numpy as np
import pandas as pd
import pytest

from mecopt.bench import pages, scorecard
from mecopt.bench import run as benchmark
from mecopt.bench.families import FAMILIES
from mecopt.bench.offloading import online
from mecopt.bench.online import picture, remark
from mecopt.bench.suite import Suite
from mecopt.offloading.scenarios import comllm

FAMILY = FAMILIES["offloading"]


def suite(**options) -> Suite:
    rules = ("priced", "random")
    return Suite(
        "comllm", ("paper",), (100, 102), rules, time_limit_s=1.0, gap=0.01, options=options
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A whole run that asks for online bounds of two worlds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comllm, "generate", functools.partial(comllm.generate, slots=8))
        out = tmp_path_factory.mktemp("online") / "run"
        folder = benchmark.run(suite(online_bound=2), out, jobs=1)
        pages.build(folder)
    return folder


def test_distances_and_what_they_are_made_of(run):
    """Price of not knowing times what is left is the distance of luckless cost and bound."""
    _, tables = run.read()
    results = tables["results"]
    both = (1 + results["not_knowing"]) * (1 + results["gap_to_online"]) - 1
    of_rule = results["policy"] == "priced"
    assert (both[of_rule] >= -1e-9).all()  # nothing is below the clairvoyant bound
    assert (results["online_bound_lower_95_slots"] <= results["online_bound_slots"]).all()
    mean = results.groupby("policy")["gap_to_online"].mean()
    assert mean["random"] > mean["priced"] + 0.2


def test_card_remark_and_page_show_them(run):
    _, tables = run.read()
    card = scorecard.scorecard(tables["results"], FAMILY)
    assert {"gap_to_online", "gap_to_online_low", "not_knowing"} <= set(card)
    assert "every rule that cannot see the future, on paper priced is" in remark(tables)
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "best rule that cannot see the future" in page
    assert (run.path / "pictures" / "online.png").exists()


def test_nothing_is_said_unless_asked():
    """Instances are the same with and without the wish, and so are their hashes."""
    plain, asked = suite(), suite(online_bound=2)
    one, other = plain.instance(plain.units[0]), asked.instance(asked.units[0])
    assert one.content_hash == other.content_hash
    assert online.described(one) == {}
    assert remark({"results": pd.DataFrame({"policy": ["priced"]})}) == ""


def test_a_rule_below_the_bound_is_reported():
    """5 % below on six episodes alike: it cheats, or the bound is wrong."""
    gaps = np.array([0.01, 0.02, 0.01, 0.02, 0.01, 0.02])
    rows = [
        pd.DataFrame({"preset": "paper", "policy": policy, "gap_to_online": gaps + shift})
        for policy, shift in (("honest", 0.0), ("seer", -0.06))
    ]
    said = remark({"results": pd.concat(rows)})
    assert "BELOW THAT BOUND: seer on paper" in said
    assert "sees the future, or the bound is wrong" in said
    assert "BELOW" not in remark({"results": rows[0]})


def test_picture_has_a_panel_for_each_preset():
    card = pd.DataFrame(
        {
            "preset": ["paper", "busy"],
            "policy": ["priced", "priced"],
            "not_knowing": [0.01, 0.03],
            "gap_to_online": [0.002, -0.001],
        }
    )
    figure = picture(card)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["paper", "busy"]


@pytest.mark.parametrize("worlds", [0, 1, -3, 2.5])
def test_too_few_worlds_are_refused(worlds):
    with pytest.raises(ValueError, match="online_bound"):
        suite(online_bound=worlds)
