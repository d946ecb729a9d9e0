"""Every cell of the theorem table against the audit, on 300 instances with ties."""

import numpy as np
import pytest

from mechanisms import rules
from mechanisms.audit import notes, theorems
from mechanisms.audit.asking import ask
from mechanisms.audit.statistics import ratios
from mecopt.market import scenarios as markets
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS


def instances(count=300):
    """One to three traders a side: anywhere, on the grid of a tenth, and on half of it."""
    made = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        n, m = rng.integers(1, 4), rng.integers(1, 4)
        if seed % 3 == 0:
            values, costs = rng.random(n).round(6), rng.random(m).round(6)
        else:
            cells = 10 * (1 + seed % 3 // 2)
            values, costs = (rng.integers(0, cells + 1, size) / cells for size in (n, m))
        made.append(Market.of(values, costs, price_range=(0, 1)))
    return made


@pytest.fixture(scope="module")
def common():
    return instances()


@pytest.mark.parametrize("row", theorems.TABLE, ids=lambda row: row.mechanism)
def test_row_of_the_theorem_table(row, common):
    """A yes is never contradicted, every no has a counter-example (printed), bounds hold."""
    found = theorems.gather(row, common)
    for cell, text in found.examples.items():  # shown by `pytest -rP`
        print(f"{row.mechanism}: {cell}: {text}")
    assert found.instances >= 300
    assert found.contradictions == []
    assert found.regret_is_exact


@pytest.mark.parametrize("row", theorems.GRAPH_TABLE, ids=lambda row: row.mechanism)
def test_row_of_the_graph_table(row):
    """300 lattice graphs, every trader's reports on the lattice and near every threshold."""
    made = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        made.append(
            Market.of(
                rng.integers(0, 11, 3) / 10,
                rng.integers(0, 5, 2) / 10,
                price_range=(0, 1),
                compatible=rng.random((3, 2)) < 0.8,
                link_cost=rng.integers(0, 4, (3, 2)) / 10,
            )
        )
    assert theorems.gather(row, made).contradictions == []


def test_a_wrong_claim_is_contradicted(common):
    """The check can fail: claim that first-price clocks are truthful and McAfee has no surplus."""
    wrong = theorems.Row("dda-unit-own-clock", "yes", "yes", "no", "strong", "no", "W*")
    cells = {text.split(":")[0] for text in theorems.gather(wrong, common[:40]).contradictions}
    assert {"buyers", "budget", "welfare"} <= cells


@pytest.mark.parametrize(("note", "name"), [("obviously", "vcg"), ("false-name-proof", "mcafee")])
def test_a_wrong_note_is_contradicted(common, note, name):
    """VCG's prices are winners' reports, and an extra report pays under McAfee's rule."""
    asked = ask(name, rules.mechanism(name))
    assert any(notes.check(note, asked, market) for market in common[:40])


def test_the_lot_of_sbba_is_fair():
    """Values 9, 8, 7; costs 1, 2, 3: buyer 7 is out, and one of three sellers, a third each."""
    market = Market.of([9, 8, 7], [1, 2, 3], price_range=(0, 10))
    left_out = [
        int(np.argmin(rules.run("sbba", market, seed=seed).seller_units)) for seed in range(600)
    ]
    assert np.bincount(left_out).min() > 160
    # W = 17 - 5, 17 - 4 or 17 - 3: 13 on average; (1 - 1/3) W* = 2/3 x 18 = 12.
    assert notes.expected_welfare("sbba", market) / HALF_UNITS == pytest.approx(13)


def test_steps_to_zero_restore_efficiency():
    """`limit`: with unit the mean loss falls a hundredfold from 10 to 1000 ticks."""
    made = [markets.generate("balanced", seed, n=20) for seed in range(40)]
    loss = {ticks: 1 - ratios("dda-unit-clamped", made, ticks=ticks).mean() for ticks in (10, 1000)}
    assert loss[1000] < loss[10] / 100


def test_muda_approaches_the_optimum():
    """`-> W*`: mean ratio grows with the market and passes 0.97 at 20,000 traders a side."""

    def mean(n):
        made = [markets.generate("balanced", seed, n=n) for seed in range(20)]
        return np.mean([ratios("muda", [m], seed=seed) for seed, m in enumerate(made)])

    small, middle, large = mean(10), mean(200), mean(20_000)
    assert small < middle < large and large > 0.97


def test_the_table_is_data():
    """One row per mechanism, readable as a DataFrame."""
    counts = theorems.table().groupby("market").size().to_dict()
    assert counts == {
        "one good": len(theorems.TABLE),
        "graph": len(theorems.GRAPH_TABLE),
        "units": len(theorems.UNITS_TABLE),
    }
