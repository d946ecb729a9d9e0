"""The audit of markets of several units: steps shaded, units withheld and split, faults caught."""

import json

import pytest
from typer.testing import CliRunner

from mechanisms import Outcome, rules
from mechanisms.audit import audit, notes, replay, theorems
from mechanisms.audit.asking import ask
from mechanisms.audit.incentives import best_response
from mechanisms.audit.unit_reports import reports_of
from mecopt.cli.app import app
from mecopt.market import scenarios
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS
from tests.market import units_by_hand as by_hand

TABLE = (
    "side,trader,quantity,price\nbuy,ann,2.5,30\nbuy,ann,1.5,22.5\nbuy,bob,3,28\n"
    "sell,wind,2,-5\nsell,wind,1,12\nsell,gas,3,20\n"
)


def test_withholding_a_unit_lowers_a_uniform_price():
    """Values 9, 7 and 6 (ann, ann, bob), costs 1, 1: all of ann's trade at 6 to 7; with one unit
    withheld bob gets the second, at 1 to 6. Price 6 -> 1 at k = 0: 9 - 1 is more than 4 for two."""
    market = Market.of([[9, 7], [6]], [[1, 1]], price_range=(0, 10))
    row = audit(market, "uniform-price-0", false_names=0).rows[0]
    found = next(f for f in row.findings if f.side == "buyer")
    assert row.regret_exact and found.gain == pytest.approx((9 - 1) - (16 - 12))
    assert len(found.reported_prices) == 1 and "(1 withheld)" in found.describe()


@pytest.mark.parametrize("name", rules.UNITS_NAMES)
def test_the_search_finds_what_every_report_finds(name):
    """Six minor units from end to end, up to three units a trader: all monotone reports."""
    rule = rules.mechanism(name)
    for seed in range(8):
        market = by_hand.small(seed)
        if rules.misfit(name, market):
            continue
        truthful = rule(market)
        for side, i in by_hand.traders(market):
            best = max(0, by_hand.best_gain(rule, market, side, i))
            assert best_response(rule, market, truthful, side, i).gain == best


@pytest.mark.parametrize("row", theorems.UNITS_TABLE, ids=lambda row: row.mechanism)
def test_row_of_the_units_table(row):
    """300 lattice markets of one or two traders a side: yes holds, every no has an example."""
    made = [scenarios.generate("units-lattice", seed, n=2 - (seed % 3 > 0)) for seed in range(300)]
    found = theorems.gather(row, made)
    assert found.contradictions == []
    assert found.regret_is_exact


def test_a_wrong_note_about_flat_prices_is_contradicted():
    """Pay as bid is not truthful in the price of flat bids."""
    asked = ask("pay-as-bid", rules.mechanism("pay-as-bid"))
    market = Market.of([[9, 9]], [[1, 1]], price_range=(0, 10))
    assert notes.check(notes.TRUE_PRICE, asked, market)


def test_steps_are_shaded_one_by_one_where_nothing_is_known():
    """A buyer of 9, 9, 4: the first step alone, the second alone, with and without the last."""
    market = Market.of([[9, 9, 4]], [[1, 1, 1]], price_range=(0, 10))
    asked = ask("mine", by_hand.posted)
    tried = reports_of(asked, market, by_hand.posted(market), "buyer", 0)
    nine, four = 9 * HALF_UNITS, 4 * HALF_UNITS
    whole = [report for report in tried if len(report) == 3]
    assert any(r[0] == r[1] < nine and r[2] == four for r in whole)
    assert any(r[:2] == (nine, nine) and r[2] < four for r in whole)
    assert any(len(r) == 2 and r[0] == r[1] < nine for r in tried)
    assert {(nine, nine), (nine,)} <= set(tried)
    assert (nine, nine, four) not in tried
    assert all(list(report) == sorted(report, reverse=True) for report in tried)


@pytest.mark.parametrize(
    ("rule", "kinds"),
    [
        (by_hand.pay_as_bid, {"misreport"}),
        (by_hand.skims_a_cent, {"surplus"}),
        (by_hand.leaks_a_cent, {"deficit"}),
        (by_hand.last_step_sets_the_price, {"misreport"}),
        (by_hand.by_size, {"false-name"}),
        (by_hand.at_a_loss, {"irrational"}),
        (by_hand.off_the_lot, {"error"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_planted_faults_are_caught_and_come_out_again(rule, kinds, tmp_path):
    """Each rule with one fault has a finding of that kind, and the file's findings replay."""
    market = Market.of([[9, 8, 3], [7]], [[1, 2], [4, 6]], price_range=(0, 10))
    report = audit(market, {"mine": rule})
    row = report.rows[0]
    assert kinds <= {f.kind for f in row.findings}
    assert not row.regret_exact
    report.save(tmp_path / "audit.json")
    again = replay.replay_file(tmp_path / "audit.json", rule)
    assert again and all(one.same == "yes" for one in again)


def test_a_truthful_rule_of_ones_own_is_not_accused():
    """A posted price with priority by place: nobody gains by any report, or by a second name."""
    for seed in range(6):
        market = scenarios.generate("units-lattice", seed, n=2)
        row = audit(market, {"mine": by_hand.posted}).rows[0]
        assert (row.buyer_regret_max, row.seller_regret_max) == (0, 0)


def test_units_under_two_names_are_found():
    """Large buyers pay ten cents more a unit: two names of one unit save them."""
    market = Market.of([[9, 8]], [[1, 2]], price_range=(0, 10))
    row = audit(market, {"mine": by_hand.by_size}).rows[0]
    found = next(f for f in row.findings if f.kind == "false-name")
    assert found.extra["side"] == "buyer" and len(found.extra["prices"]) == 1
    assert found.after.units == 2 and found.gain == pytest.approx(0.2)


def test_a_reserve_is_a_price_that_is_tried():
    """Pay as bid, values 9 and 9, costs 1 and 1, nothing below 5: two units at 5 gain 8."""
    market = Market.of([[9, 9]], [[1, 1]], price_range=(0, 10))
    rule = rules.mechanism("pay-as-bid", reserve=5)
    row = audit(market, {"pay-as-bid": rule}, false_names=0).rows[0]
    assert row.regret_exact and row.buyer_regret_max == 8 and row.claims is None


def test_ties_between_units_are_no_priority():
    """Bids 9, 5 and 8, 5, costs 1, 1, 1: one of the two bids of 5 trades at 5, whoever is first;
    at 4 being first is worth something."""
    market = Market.of([[9, 5], [8, 5]], [[1, 1, 1]], price_range=(0, 10))
    assert audit(market, "pay-as-bid", false_names=0).rows[0].anonymous == "up to ties"

    def at_four(m):
        trades, _ = by_hand.matched(m)
        return Outcome.from_trades(m, trades, 4, 4)

    row = audit(market, {"mine": at_four}, false_names=0).rows[0]
    found = next(f for f in row.findings if f.kind == "order")
    assert row.anonymous == "no" and found.gain == 1


def test_a_large_market_is_no_exact_audit():
    """Twenty traders: the search is called what it is."""
    market = scenarios.generate("units", 1, n=10)
    row = audit(market, "uniform-price-0.5", sample=2, false_names=0).rows[0]
    assert row.regret_text.startswith("largest found among")


def test_the_command_audits_quantities_and_replays(tmp_path):
    """Lots of a half, prices below zero: every rule for units, a page, findings again."""
    path, out, page = tmp_path / "m.csv", tmp_path / "a.json", tmp_path / "a.html"
    path.write_text(TABLE)
    asked = ["audit", "--market", str(path), "--lot", "0.5", "--price-range", "-50", "50"]
    asked += ["--mechanism", "uniform-price-0.5,pay-as-bid,vcg"]
    result = CliRunner().invoke(app, [*asked, "--json", str(out), "--report", str(page)])
    assert result.exit_code == 0, result.output
    assert "trades count lots of 0.5 of the good" in result.output
    assert json.loads(out.read_text())["instance"]["meta"]["lot"] == 0.5
    assert "Supply and demand" in page.read_text() and "demand reduction" not in result.output
    again = CliRunner().invoke(app, ["audit", "--replay", str(out)])
    assert again.exit_code == 0 and "no:" not in again.output


def test_the_command_sells_nothing_below_a_reserve(tmp_path):
    """Rules without a reserve are left out, or refused by name."""
    path = tmp_path / "m.csv"
    path.write_text(TABLE)
    asked = ["audit", "--market", str(path), "--lot", "0.5", "--price-range", "-50", "50"]
    result = CliRunner().invoke(app, [*asked, "--reserve", "21", "--sample", "0"])
    assert result.exit_code == 0 and "has no reserve price" in result.output
    refused = CliRunner().invoke(app, [*asked, "--reserve", "21", "--mechanism", "muda"])
    assert refused.exit_code == 2 and "muda is no rule with a reserve price" in refused.output


def test_the_command_makes_markets_of_units(tmp_path):
    """Rounds of a generator, in rows that replay from the seed; without seeds it is refused."""
    out = tmp_path / "batch.json"
    asked = ["audit", "--generate", "units-lattice:n=2", "--mechanism", "pay-as-bid,vcg"]
    result = CliRunner().invoke(app, [*asked, "--seeds", "0:3", "--json", str(out)])
    assert result.exit_code == 0 and "3 markets" in result.output
    assert CliRunner().invoke(app, ["audit", "--replay", str(out)]).exit_code == 0
    refused = CliRunner().invoke(app, asked)
    assert refused.exit_code == 2 and "needs --seeds" in refused.output


def test_rounds_of_quantities_replay_from_their_file(tmp_path):
    """The lot size is kept with the market's origin."""
    rows = "side,id,quantity,price,round\n"
    rows += "".join(f"buy,a,1.5,9,{r}\nbuy,b,0.5,6,{r}\nsell,s,1.5,{r},{r}\n" for r in (1, 2))
    path, out = tmp_path / "m.csv", tmp_path / "b.json"
    path.write_text(rows)
    asked = ["audit", "--market", str(path), "--lot", "0.5", "--price-range", "0", "10"]
    result = CliRunner().invoke(app, [*asked, "--mechanism", "pay-as-bid", "--json", str(out)])
    assert result.exit_code == 0, result.output
    assert CliRunner().invoke(app, ["audit", "--replay", str(out)]).exit_code == 0


def test_without_a_price_range_it_is_derived_at_every_deviation():
    """Values 9 and 7, costs 2 and 5: VCG pays the seller the buyer's 9 + 7 - 0, and takes 7. The
    range 0 to 10 comes from the bids, so that nothing is exact; nobody can gain under VCG."""
    report = audit(Market.of([[9, 7]], [[2, 5]]), "vcg")
    row = report.rows[0]
    assert row.buyer_regret_max == row.seller_regret_max == 0
    assert row.false_name_gain_max is not None


def test_a_reserve_price_stays_where_bids_and_their_range_go():
    """A reserve of 11 between a bid of 12 and a cost of 1: the range 0 to 20 becomes 0 to 10 when
    the buyer reports 10, and it then trades with nobody. Under pay-as-bid it saves 12 - 11 = 1."""
    market = Market.of([12], [1])
    rows = audit(market, {n: rules.mechanism(n, reserve=11) for n in ("vcg", "pay-as-bid")}).rows
    assert rows[0].buyer_regret_max == 0
    assert rows[1].buyer_regret_max == pytest.approx(1.0)


def test_a_rule_of_ones_own_is_asked_at_the_same_splits_as_the_rule_it_copies():
    """Pay as bid under another name: what others bid stays among the prices of the second name,
    however many prices are spread over a wide range."""
    known = rules.mechanism("pay-as-bid")
    market = Market.of(
        [[30] * 5 + [22.5] * 3, [28] * 6], [[-5] * 4, [20] * 6], price_range=(-500, 4000)
    )
    rows = audit(market, {"pay-as-bid": known, "own": lambda m: known(m)}).rows
    assert rows[1].false_name_gain_max >= rows[0].false_name_gain_max - 1e-5
    assert rows[1].false_name_gain_share == rows[0].false_name_gain_share
