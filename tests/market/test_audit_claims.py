"""What an audit claims is true: of planted faults, of rules of ours, of lotteries and samples."""

import dataclasses
import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from mechanisms import rules
from mechanisms.audit import audit, everybody, incentives, replay, sampling, theorems
from mechanisms.audit import section as audit_section
from mechanisms.audit.asking import ask, found
from mechanisms.audit.candidates import is_exact
from mechanisms.outcome import Outcome
from mecopt.cli import audit as command
from mecopt.cli.shell import OneLineErrors
from mecopt.market import scenarios as markets
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS
from tests.market import planted

app = typer.Typer(cls=OneLineErrors)
app.command("audit")(command.audit)


@app.callback()
def root():
    """A group, as in the real command line."""


FOUR = Market.of(
    [9, 8, 7, 6],
    [1, 2, 3, 4],
    price_range=(0, 10),
    buyer_names=["ann", "bob", "cat", "dan"],
    seller_names=["eve", "fay", "gus", "hal"],
)
#: More sellers than buyers at 5, and equals on both sides.
EQUALS = Market.of([9, 9, 7], [1, 2, 2, 3], price_range=(0, 10))


def judged(rule, market=FOUR, **options):
    return audit(market, {"mine": rule}, **options).rows[0]


def kinds(row):
    return {finding.kind for finding in row.findings}


# ---------------------------------------------------------------- planted faults
def test_a_truthful_rule_is_not_accused():
    """Trade reduction written in money: no gain found, and nothing is called exact or proved."""
    row = judged(planted.truthful)
    assert (row.buyer_regret_max, row.seller_regret_max) == (0, 0)
    assert row.regret_exact is False and row.claims is None
    assert row.regret_text.startswith("largest found among 8, at ")
    assert kinds(row) <= {"surplus", "false-name"}


@pytest.mark.parametrize(
    ("rule", "market", "kind", "who", "gain"),
    [
        # ann (9) needs to bid 4 to stay ahead of dan's place: she then pays 4, not 9.
        (planted.pay_as_bid, FOUR, "misreport", "ann", 5.0),
        # Buyers pay 5.99 at the margin of dan (6), who would win at 6.000001 and pay cat's 7 - .01.
        (planted.leaks_a_cent, FOUR, "deficit", None, 0.04),
        (planted.skims_a_cent, FOUR, "surplus", None, 0.04),
        # Four sellers: the price is 6, with a false fifth it is 5; ann trades in both.
        (planted.by_head_count, FOUR, "false-name", "ann", 1.0),
        (planted.at_a_loss, Market.of([3], [7], price_range=(0, 10)), "irrational", "buyer 0", 2.0),
        # Of the two bids of 9 the first pays 4.99, the second 5.
        (planted.favours_ties, EQUALS, "unequal", "buyer 0", 0.01),
    ],
)
def test_a_planted_fault_is_found_with_its_witness(rule, market, kind, who, gain):
    """The trader and the amount are those worked out by hand."""
    found_it = [f for f in judged(rule, market).findings if f.kind == kind]
    assert (found_it[0].trader, found_it[0].gain) == (who, pytest.approx(gain, abs=1e-12))


def test_a_critical_price_one_step_low_is_found():
    """Values 7, 6.005, 6; costs 1, 2, 3: three efficient trades, 7 and 6.005 win at 5.99.

    The buyer of 6, left out, reports 7.01: it wins and pays 6.005 - 0.01 = 5.995, a gain of 0.005.
    """
    market = Market.of([7, 6.005, 6], [1, 2, 3], price_range=(0, 10))
    row = judged(planted.one_step_low, market)
    worst = max((f for f in row.findings if f.kind == "misreport"), key=lambda f: f.gain)
    assert (worst.trader, worst.gain) == ("buyer 2", pytest.approx(0.005))


def test_priority_of_the_first_listed_is_found():
    """Four buyers at 5 or more, two sellers: listed otherwise, others trade."""
    market = Market.of([9, 8, 7, 6], [1, 2], price_range=(0, 10))
    row = judged(planted.first_listed, market)
    assert row.anonymous == "no" and (row.buyer_regret_max, row.seller_regret_max) == (0, 0)
    finding = next(f for f in row.findings if f.kind == "order")
    # Listed backwards, buyers 3 and 2 trade: buyer 0 had 9 - 5 = 4 and has nothing.
    assert (finding.order, finding.trader, finding.gain) == ("reversed", "buyer 0", 4)


def test_a_lottery_that_nobody_seeded_is_not_accused():
    """Truthful whatever the lot is: judged in expectation, no gain, on 4 markets."""
    for seed in range(4):
        values = np.random.default_rng(seed).uniform(3, 9, 4).round(2)
        market = Market.of(values, [1, 2], price_range=(0, 10))
        row = judged(planted.lottery, market, sample=2)
        assert (row.buyer_regret_max, row.seller_regret_max) == (0, 0)
        if (values >= 5).sum() > 2:
            assert row.judged == "in expectation" and "lottery" in kinds(row)


def test_a_short_array_is_a_finding():
    """Three units for four buyers: the row names both numbers, nothing else is claimed."""
    row = judged(planted.short_arrays)
    assert row.error == "mechanism 'mine': buyer_units has shape (3,), there are 4 buyers"
    assert row.welfare_ratio is None and row.regret_exact is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"buyer_units": np.array([1.0, 0, 0, 0])}, "buyer_units must be whole numbers"),
        ({"buyer_units": [1, 0, 0, 0]}, "buyer_units = [1, 0, 0, 0] must be a NumPy array"),
        ({"pays": np.array([5.5, 0, 0, 0])}, "takes money), has dtype float64"),
        ({"gets": np.array([1])}, "gets has shape (1,), there are 4 sellers"),
        ({"scale": 0}, "scale = 0 must be a number >= 1"),
        ({"parameters": None}, "parameters = None must be by name"),
        ({"server": np.array([9, -1, -1, -1])}, "server[0] = 9 is nobody"),
        ({"pays": True}, "pays = True must be a number of half units"),
        ({"gets": lambda: None}, "receipt = None must be a NumPy array"),
        ({"pays": lambda: np.full(4, np.nan)}, "has dtype float64"),
        ({"rounds": "many"}, "rounds = 'many' must be a whole number"),
        ({"log": "junk"}, "log must be a ClockLog, is 'junk'"),
        ({"scale": 10**15}, "scale = 1000000000000000 is too large to compare"),
        ({"pays": np.full(4, 2**62)}, "too large to compare"),
    ],
)
def test_arrays_that_are_no_outcome_are_refused_in_words(changes, words):
    """Type, length and money: the message names the field and what it holds."""
    good = planted.truthful(FOUR)
    row = judged(lambda market: dataclasses.replace(good, **changes))
    assert words in row.error


def test_a_rule_that_raises_is_reported_and_the_audit_goes_on():
    """It fails when somebody bids above 9.5; truth and all other reports are judged."""
    report = audit(FOUR, {"mine": planted.raises, "posted": rules.mechanism("posted")})
    mine, posted = report.rows
    errors = [f for f in mine.findings if f.kind == "error"]
    assert mine.error == "" and mine.buyer_regret_max == 0 and posted.error == ""
    assert errors[0].detail == "RuntimeError: too dear for me"
    assert errors[0].side == "buyer" and errors[0].reported_prices[0] > 9.5


def test_a_rule_that_leaves_python_is_a_row():
    """`sys.exit` within a rule ends neither the audit nor the other rules."""

    def leaves(market):
        raise SystemExit(3)

    mine, posted = audit(FOUR, {"mine": leaves, "posted": rules.mechanism("posted")}).rows
    assert mine.error == "SystemExit: 3" and posted.error == ""


def test_an_error_in_another_order_comes_out_again(tmp_path, monkeypatch):
    """The rule fails unless bids are listed from the highest; each failure is found again."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sorted_only.py").write_text(
        "from tests.market import planted\n"
        "def rule(market):\n"
        "    if market.bids[0] < market.bids[-1]:\n"
        "        raise RuntimeError('unsorted')\n"
        "    return planted.truthful(market)\n"
    )
    report = audit(FOUR, "sorted_only:rule")
    report.save(tmp_path / "o.json")
    assert {f.kind for f in report.rows[0].findings} >= {"error"}
    result = CliRunner().invoke(app, ["audit", "--replay", str(tmp_path / "o.json")])
    assert result.exit_code == 0, result.output


# ---------------------------------------------------------------- exactness
def test_exact_is_said_of_all_traders_and_declared_rules_only():
    """A sample is no proof, a function of somebody's own has unknown breakpoints."""
    name = "dda-unit-own-clock"
    market = markets.generate("balanced", 3, n=40)
    rule = {name: rules.mechanism(name)}
    sampled = audit(market, rule, sample=5, false_names=0).rows[0]
    whole = audit(market, rule, false_names=0).rows[0]
    assert (sampled.regret_exact, whole.regret_exact) == (False, True)
    assert sampled.buyer_regret_max <= whole.buyer_regret_max
    assert sampled.regret_text == "largest found among 15, at 101 reports each"
    wrapped = audit(market, {name: lambda m: rules.run(name, m)}, sample=1).rows[0]
    assert wrapped.regret_exact is False and wrapped.claims is None


def test_a_window_in_the_bids_is_not_called_exact():
    """A discount of 1 for bids in [6.20, 6.25]: found or not, the row does not say exact."""
    market = Market.of([9, 8], [1, 2], price_range=(0, 10))
    row = judged(planted.discount, market)
    assert row.regret_exact is False
    assert row.buyer_regret_max in (0, 1)


def test_a_rule_of_ours_is_declared_and_a_sum_is_not_exact():
    """Prices of seats are sums of reports: exact in none of them, whoever was examined."""
    graph = markets.generate("graph", 1, n=4, servers=2)
    for name in rules.GRAPH_NAMES:
        assert not is_exact(ask(name, rules.mechanism(name)), graph)
    assert not is_exact(ask("s", rules.mechanism("server-clocks")), FOUR)
    assert is_exact(ask("m", rules.mechanism("mcafee")), FOUR)


def brute_force(rule, market, side, trader):
    """The largest gain over every report on the grid of the market."""
    truth = market.reports(side)[trader]
    sign = 1 if side == "buyer" else -1

    def utility(outcome):
        units = (outcome.buyer_units, outcome.seller_units)[side == "seller"][trader]
        amount = (outcome.payment, outcome.receipt)[side == "seller"][trader]
        return sign * (int(truth) * int(units) * outcome.scale - int(amount)) / outcome.scale

    base = utility(rule(market))
    reports = range(market.price_range[0], market.price_range[1] + 1, 2)
    return max(utility(rule(market.with_report(side, trader, r))) for r in reports) - base


@pytest.mark.parametrize("name", rules.NAMES)
def test_the_search_finds_what_brute_force_finds(name):
    """Twelve minor units from end to end, up to three traders a side: every report is tried."""
    for seed in range(6):
        rng = np.random.default_rng([seed, 11])
        values, costs = (2 * rng.integers(0, 13, rng.integers(1, 4)) for _ in range(2))
        market = Market(values, costs, price_range=(0, 24))
        options = {"ticks": 5} if name.startswith(("dda", "server")) else {}
        rule = rules.mechanism(name, **options)
        if rules.misfit(name, market):
            continue
        row = audit(market, {name: rule}, false_names=0).rows[0]
        for side, count in (("buyer", len(values)), ("seller", len(costs))):
            best = max(brute_force(rule, market, side, i) for i in range(count))
            if row.regret_exact:
                assert getattr(row, f"{side}_regret_max") * HALF_UNITS == pytest.approx(best)
            else:
                assert getattr(row, f"{side}_regret_max") * HALF_UNITS <= best + 1e-9


@pytest.mark.parametrize("kind", ["balanced", "lattice"])
def test_groups_of_traders_find_what_traders_one_by_one_find(kind):
    """Twenty-five a side: every declared rule, every trader, with ties and without."""
    market = markets.generate(kind, 2, n=25)
    for name in rules.NAMES:
        options = {"ticks": 12} if name.startswith("dda") else {}
        asked = ask(name, rules.mechanism(name, **options))
        if not everybody.applies(asked, market):
            continue
        truthful = asked(market)
        for found_it in everybody.best_responses(asked, market, truthful)[::3]:
            side, i = found_it.side, found_it.trader
            one = incentives.best_response(asked, market, truthful, side, i)
            assert one.gain == pytest.approx(found_it.gain, abs=1e-6), (name, side, i)


# ---------------------------------------------------------------- shares
def test_a_share_counts_each_part_for_what_it_is():
    """Of 100 buyers 5 are nearest, 3 of them gain; 2 of 10 drawn do: (3 + 95 x 0.2) / 100."""
    chosen = sampling.Chosen(
        tuple(("buyer", i) for i in range(5)),
        tuple(("buyer", i) for i in range(5, 15)),
        {"buyer": 100, "seller": 0},
    )
    gaining = {("buyer", i) for i in (0, 1, 2, 5, 6)}
    share = sampling.share_of(chosen, gaining, "buyer")
    assert share.estimate == pytest.approx(0.22)
    # 2 of 10: 0.0252 to 0.5561 (Clopper and Pearson's table).
    assert share.low == pytest.approx((3 + 95 * 0.0252) / 100, abs=1e-4)
    assert share.high == pytest.approx((3 + 95 * 0.5561) / 100, abs=1e-4)


def test_shares_lie_within_their_intervals():
    """First-price buyers, 200 samples of one market: the true share is inside 95 % of the time."""
    market = markets.generate("balanced", 5, n=200)
    best = np.sort(market.values)[::-1] >= np.sort(market.costs)
    gaining = {("buyer", int(i)) for i in np.argsort(-market.values)[: int(best.sum())]}
    truth = len(gaining) / 200
    shares = []
    for seed in range(200):
        chosen = sampling.choose_traders(market, 1_000_000, 20, seed)
        shares.append(sampling.share_of(chosen, gaining, "buyer"))
    inside = sum(s.low <= truth <= s.high for s in shares)
    assert inside >= 190 - 5
    assert np.mean([s.estimate for s in shares]) == pytest.approx(truth, abs=0.03)


def test_everybody_examined_has_no_interval():
    """All traders: the share is what it is."""
    row = audit(FOUR, {"k": rules.mechanism("k-double-0.5")}).rows[0]
    assert row.buyer_gain_low == row.buyer_gain_share == row.buyer_gain_high


# ---------------------------------------------------------------- the price range
def test_a_range_that_follows_the_reports_is_a_part_of_the_rule():
    """Values [12], costs [1]: the range is 0 to 20 and `posted` asks 10; the buyer gains 2.

    It reports 9: the range is 0 to 10 and the price 5, a gain of 12 - 5 - 2 = 5. It reports
    1.000001: the range is 0 to 2 and the price 1, a gain of 12 - 1 - 2 = 9, the most there is.
    """
    derived = Market.of([12], [1])
    report = audit(derived, ["posted", "tpd", "mcafee"])
    posted, tpd, mcafee = report.rows
    assert posted.buyer_regret_max == 9 and posted.claims is None
    assert tpd.buyer_regret_max == 9 and tpd.regret_exact is False
    nine = rules.run("posted", derived.with_report("buyer", 0, 9 * HALF_UNITS))
    assert nine.prices == (5, 5)
    assert mcafee.regret_exact is True and mcafee.claims is not None
    assert "derived from the reports" in report.notes[0]
    assert derived.with_report("buyer", 0, 9 * HALF_UNITS).price_range == (0, 10 * HALF_UNITS)


def test_a_range_that_is_given_stays():
    """The same market with a public range: nothing can be gained, and the audit says given."""
    report = audit(Market.of([12], [1], price_range=(0, 20)), ["posted", "tpd"])
    assert [row.buyer_regret_max for row in report.rows] == [0, 0]
    assert report.notes == ("price range 0 to 20, given",)
    assert Market.of([12], [1]).replace(price_range=(0, 40_000_000)).range_is_derived is False


# ---------------------------------------------------------------- figures
def test_a_loss_where_nothing_can_be_gained_is_no_full_score():
    """W* = 0 and the rule makes a buyer of 3 trade with a seller of 7: W = -4, no ratio."""
    row = judged(planted.at_a_loss, Market.of([3], [7], price_range=(0, 10)))
    assert (row.welfare, row.welfare_ratio, row.welfare_lost) == (-4, None, 4)
    none = judged(planted.truthful, Market.of([3], [7], price_range=(0, 10)))
    assert (none.welfare, none.welfare_ratio) == (0, 1)


def test_a_graph_market_reads_its_own_theorems():
    """VCG: sellers have regret on graphs, and the row says so; the clocks' row makes no claim."""
    graph = markets.generate("graph", 1, n=6, servers=2)
    vcg, clocks, _ = audit(graph, sample=4).rows
    assert vcg.claims["sellers"] == "no" and vcg.contradictions == ()
    assert clocks.claims["buyers"] == "measured"
    page = audit_section.section(audit(graph, sample=4))
    assert "yes / no" in page and "measured / no" in page and "yes / yes" in page
    units = Market.of([[9, 7]], [[1, 2]], price_range=(0, 10))
    assert audit(units, "muda").rows[0].claims["note"].startswith("-> W*")


def test_a_contradicted_cell_is_said():
    """A wrong row is contradicted by the figures of one market."""
    wrong = theorems.Row("k-double-0.5", "yes", "yes", "yes", "strong", "yes", "W*")
    assert not theorems.within(1.0, wrong.buyers)
    assert theorems.within(0.5, "< 1") and not theorems.within(1.0, "< 1")


# ---------------------------------------------------------------- findings and replay
def test_every_finding_comes_out_again(tmp_path):
    """All rules of ours on four by four, and all planted faults but the lottery."""
    own = ("pay_as_bid", "leaks_a_cent", "by_head_count", "favours_ties", "raises", "short_arrays")
    names = [*rules.NAMES, *(f"tests.market.planted:{name}" for name in own)]
    report = audit(FOUR, names, sample=4, false_names=1)
    report.save(tmp_path / "audit.json")
    again = replay.replay_file(tmp_path / "audit.json")
    assert len(again) > 40
    assert [one.finding.describe() for one in again if one.same != "yes"] == []


def test_a_finding_that_was_edited_does_not_come_out(tmp_path):
    """Exit status 1, and the line says which."""
    report = audit(FOUR, ["k-double-0.5"])
    path = tmp_path / "audit.json"
    report.save(path)
    body = json.loads(path.read_text())
    finding = next(f for f in body["mechanisms"][0]["findings"] if f["kind"] == "misreport")
    finding["gain"] += 0.25
    path.write_text(json.dumps(body))
    result = CliRunner().invoke(app, ["audit", "--replay", str(path)])
    assert result.exit_code == 1
    assert f"no: k-double-0.5: misreport: {finding['side']} '{finding['trader']}'" in result.output


def test_a_finding_names_the_trader_and_all_digits():
    """`dan` at 6.000001, not buyer 3 at 6."""
    row = judged(planted.pay_as_bid)
    text = next(f for f in row.findings if f.trader == "ann").describe()
    assert text.startswith("misreport: buyer 'ann' reports 4.0, not 9.0")


# ---------------------------------------------------------------- own rules
@pytest.mark.parametrize(
    ("pairs", "pays", "gets", "words"),
    [
        ([("ann", "zoe")], 5, 5, r"pairs\[0\]: no seller is called 'zoe'"),
        ([(0, 9)], 5, 5, r"pairs\[0\]: seller = 9 is outside 0 to 3"),
        ([(0, 0), (0, 1)], 5, 5, r"'ann' trades 2 units, wants 1"),
        ([(0, 0, 0)], 5, 5, r"pairs\[0\]: units = 0 must be a whole number >= 1"),
        ([(0,)], 5, 5, r"pairs\[0\] = \(0,\) must be \(buyer, seller\)"),
        ([(0, 0)], 1 / 3, 5, r"buyer_pays = 0\.333.* is not on the grid of 5e-07"),
        ([(0, 0)], [5, 6], 5, r"buyer_pays must have one price per pair, 1, has 2"),
        ([(0, 0)], {"bob": 5}, 5, r"buyer_pays\['bob'\] = 5: this buyer does not trade"),
        ([(0, 0)], {}, 5, r"buyer_pays: says nothing of 'ann'"),
        ([(0, 0)], 5, float("nan"), r"seller_gets = nan is not a finite number"),
        ([(0, 0)], 5, ["x"], r"seller_gets\[0\] \('eve'\) = 'x' must be a number"),
        ([(0, 0)], "5", 5, r"buyer_pays = '5' must be a price"),
    ],
)
def test_trades_that_cannot_be_are_refused_by_trader_and_value(pairs, pays, gets, words):
    """Whatever a reader's own rule gets wrong is one line that says where."""
    with pytest.raises(ValueError, match=words):
        Outcome.from_trades(FOUR, pairs, pays, gets)


def test_trades_in_money_by_name():
    """ann buys from eve, bob from fay; amounts by trader and prices by pair are the same."""
    pairs = [("ann", "eve"), ("bob", "fay")]
    one = Outcome.from_trades(FOUR, pairs, {"ann": 5, "bob": 4.5}, [4, 3.5])
    assert (one.payment / HALF_UNITS).tolist() == [5, 4.5, 0, 0]
    assert (one.receipt / HALF_UNITS).tolist() == [4, 3.5, 0, 0]
    assert one.trades == 2 and one.server is None


def test_trades_on_a_graph_say_who_serves_whom():
    """A seller that cannot serve a buyer is refused; several seats of one seller are fine."""
    graph = Market.of([9, 7], [2], seats=[2], compatible=[[1], [1]], price_range=(0, 10))
    assert Outcome.from_trades(graph, [(0, 0), (1, 0)], 5, 5).server.tolist() == [0, 0]
    far = Market.of([9, 7], [2], seats=[2], compatible=[[1], [0]], price_range=(0, 10))
    with pytest.raises(ValueError, match=r"pairs\[1\]: 'seller 0' cannot serve 'buyer 1'"):
        Outcome.from_trades(far, [(0, 0), (1, 0)], 5, 5)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nowhere_at_all:rule", "there is no module 'nowhere_at_all'"),
        ("tests.market.planted:nothing", "has no function 'nothing'"),
        ("tests.market.planted:CENT", "is 0.01, not a function of a market"),
        (":rule", "is not package.module:function"),
    ],
)
def test_an_address_without_a_rule_is_refused(address, words):
    """One line that says what was looked for."""
    with pytest.raises(ValueError, match=words):
        found(address)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise RuntimeError('boom')", r"cannot be imported \(RuntimeError: boom\)"),
        ("def f(:", r"cannot be imported \(SyntaxError: "),
        ("from mechanisms import nosuch", r"cannot be imported \(ImportError: "),
        ("import sys; sys.exit('bye')", r"cannot be imported \(SystemExit: bye\)"),
        ("raise ValueError('odd')", r"cannot be imported \(ValueError: odd\)"),
    ],
)
def test_a_module_that_fails_is_one_line(code, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "failing_rule_module.py").write_text(code)
    with pytest.raises(ValueError, match=words):
        found("failing_rule_module:f")


def test_a_rule_of_ones_own_on_the_command_line(tmp_path):
    """Audited, its findings written and replayed; a rule that fails is named, status 2."""
    path = tmp_path / "m.csv"
    path.write_text("side,value,id\nbuyer,9,ann\nbuyer,7,bob\nseller,2,eve\nseller,5,fay\n")
    own = "tests.market.planted:pay_as_bid"
    options = ["--market", str(path), "--price-range", "0", "10"]
    asked = ["audit", *options, "--mechanism", own, "--json", str(tmp_path / "o.json")]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    assert "misreport: buyer 'ann' reports 5.0, not 9.0 has 1 at 9.0" in result.output
    again = CliRunner().invoke(app, ["audit", "--replay", str(tmp_path / "o.json")])
    assert again.exit_code == 0 and "findings came out again" in again.output
    broken = ["audit", *options, "--mechanism", "tests.market.planted:short_arrays,vcg"]
    result = CliRunner().invoke(app, broken)
    assert result.exit_code == 2 and "there are 2 buyers" in result.output
    assert "vcg" in result.output
