"""The audit: it must find what is wrong, and say nothing is wrong when nothing is."""

import dataclasses
import math
import re

import numpy as np
import pytest

from mechanisms import rules
from mechanisms.audit import MechanismAudit, audit, candidates, false_names, sampling
from mechanisms.audit import checks as audit_checks
from mechanisms.audit import incentives as audit_incentives
from mechanisms.audit import statistics as audit_statistics
from mechanisms.audit.report import FORMAT
from mechanisms.outcome import Outcome, rule
from mecopt.market import scenarios as markets
from mecopt.market.instance import Market
from mecopt.market.units import HALF_UNITS, MINOR

THREE = Market.of([9, 7, 4], [2, 5, 8], price_range=(0, 10))


def outcome(**changes):
    """Buyers 9 and 7 trade with sellers 2 and 5 at 6, changed as a test wants."""
    good = Outcome(
        mechanism="by hand",
        parameters={},
        buyer_units=np.array([1, 1, 0]),
        seller_units=np.array([1, 1, 0]),
        pays=6 * HALF_UNITS,
        gets=6 * HALF_UNITS,
    )
    return dataclasses.replace(good, **changes)


def test_welfare_rationality_and_budget_by_hand():
    """W = 9 + 7 - 2 - 5 = 9 = W*; utilities 3, 1 and 4, 1; the auctioneer keeps nothing."""
    row = audit(THREE, {"by hand": lambda market: outcome()}, incentives=False).rows[0]
    assert (row.welfare, row.optimal_welfare, row.welfare_ratio) == (9, 9, 1)
    assert (row.buyers_welfare, row.sellers_welfare) == (4, 5)
    assert (row.surplus, row.budget) == (0, "strong")
    assert row.feasible and row.ir_violations == 0


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"buyer_units": np.array([2, 0, 0])}, "more units than it wants"),
        ({"seller_units": np.array([2, 0, 0])}, "more units than it has"),
        ({"seller_units": np.array([1, 0, 0])}, "2 units bought but 1 sold"),
        ({"pays": np.array([6, 6, 1])}, "somebody who does not trade"),
    ],
)
def test_infeasible_outcomes_are_caught(changes, problem):
    """Units, balance and payments are checked against the market."""
    found = audit_checks.infeasibilities(THREE, outcome(**changes))
    assert any(problem in text for text in found)


def test_one_half_minor_unit_of_deficit_is_a_deficit():
    """Whole numbers decide: the sellers get one half minor unit more than the buyers pay."""
    gets = np.array([6 * HALF_UNITS, 6 * HALF_UNITS + 1, 0])
    assert audit_checks.budget_verdict(outcome(gets=gets)) == (-1, "deficit")


def test_a_log_that_does_not_fit_the_outcome_is_caught():
    """Moving one stop by one level contradicts the report; dropping it changes the winners."""
    true = rules.run("dda-unit-clamped", THREE, ticks=10, log=True)
    assert not audit_checks.log_infidelities(THREE, true)
    level = true.log.level.copy()
    level[0] -= 1
    moved = dataclasses.replace(true, log=true.log._replace(level=level))
    assert "buyer 0 stops at" in audit_checks.log_infidelities(THREE, moved)[0]
    keep = slice(0, 2)
    short = true.log._replace(
        side=true.log.side[keep], level=true.log.level[keep], agent=true.log.agent[keep]
    )
    found = audit_checks.log_infidelities(THREE, dataclasses.replace(true, log=short))
    assert any("are not the winners" in text for text in found)


@pytest.mark.parametrize("name", [n for n in rules.NAMES if n.startswith("dda")][:16])
def test_every_clock_log_replays_to_the_outcome(name):
    """On random markets with ties, with index and random tie orders."""
    for seed in range(20):
        market = markets.generate("lattice", seed, n=6)
        for ties in ("index", "random"):
            run = rules.run(name, market, ticks=9, log=True, ties=ties, seed=seed)
            assert audit_checks.infeasibilities(market, run) == []


def test_the_threshold_bid_is_found():
    """A first-price buyer worth 9 facing a seller of 2 gains 7 by bidding exactly 2.

    Every percentage shade from 10 % to 70 % gains less, 80 % loses the trade.
    """
    market = Market.of([9], [2], price_range=(0, 10))
    first_price = rules.mechanism("k-double-1")
    found = audit_incentives.best_response(first_price, market, first_price(market), "buyer", 0)
    assert (found.report, found.gain) == (2 * HALF_UNITS, 7 * HALF_UNITS)


def test_a_gain_of_one_minor_unit_is_found():
    """A rule that sells below a secret price shows a regret of a millionth, not zero."""

    def nearly_posted(market):
        """Trade at 5; a buyer that reports exactly 5 pays one minor unit less."""
        price = 5 * HALF_UNITS
        trades = bool(market.values[0] >= price)
        discount = MINOR if market.values[0] == price else 0
        units = np.array([int(trades)])
        return Outcome(
            mechanism="nearly",
            parameters={"threshold": price},
            buyer_units=units,
            seller_units=units,
            pays=np.array([trades * (price - discount)]),
            gets=np.array([trades * (price - discount)]),
        )

    market = Market.of([9], [2], price_range=(0, 10))
    row = audit(market, {"nearly": nearly_posted}).rows[0]
    assert row.buyer_regret_max == 1e-6 and row.regret_exact is False
    assert row.buyer_gain_share == 1 and row.best_deviation.endswith("(gain 1e-06)")


def test_windowed_search_equals_the_full_search(monkeypatch):
    """In a large market, reports near the margin suffice: same regret as with every report."""
    names = ("trade-reduction", "mcafee", "sbba", "k-double-0.5", "vcg", "tpd", "posted")
    for seed in range(4):
        market = markets.generate(("balanced", "lattice")[seed % 2], seed, n=25)
        for name in names:
            rule = rules.mechanism(name)
            truthful = rule(market)
            traders = sampling.choose_traders(market, 1_000_000, 4, seed).traders
            few = [audit_incentives.best_response(rule, market, truthful, *t) for t in traders]
            with monkeypatch.context() as patch:
                patch.setattr(candidates, "SMALL", 10**6)
                full = [audit_incentives.best_response(rule, market, truthful, *t) for t in traders]
            assert [d.gain for d in few] == [d.gain for d in full]


def test_false_names_pay_in_mcafee_and_not_in_vcg():
    """Values 9, 7 against costs 2, 5: no pair k + 1, McAfee trades once.

    A false seller reporting 9 makes the mean (0 + 9) / 2 too low; a false buyer of 6 and a false
    seller change prices: some trader gains. Under VCG nobody does.
    """
    market = Market.of([9, 7], [2, 5], price_range=(0, 10))
    report = audit(market, {n: rules.mechanism(n) for n in ("mcafee", "vcg")})
    mcafee, vcg = report.rows
    assert mcafee.false_name_gain_share > 0 and vcg.false_name_gain_share == 0


def test_vcg_is_not_false_name_proof():
    """Value 5, costs 1 and 2: the seller with cost 1 gets 2, and 5 with a false buyer at 10.

    The false buyer takes the second unit for 2, so the gain is 5 - 2 - 2 = 1.
    """
    market = Market.of([5], [1, 2], price_range=(0, 10))
    rule = rules.mechanism("vcg")
    found = false_names.false_name_gain(rule, market, rule(market), "seller", 0)
    assert found >= 1 * HALF_UNITS


def test_adaptive_schedules_are_flagged():
    """With one report changed, others see another schedule."""
    rows = audit(THREE, {n: rules.mechanism(n) for n in ("dda-adaptive", "dda-unit-mid")}).rows
    assert [r.schedule_depends_on_reports for r in rows] == [True, False]


def test_several_units_and_empty_servers_can_be_sampled():
    """Rising costs, a seller without units: a lower bound on regret, none with MUDA's halves."""
    values = [[9, 7], [6, 5], [4], [8, 1]] * 3
    market = Market.of(values, [[1, 2, 6], [2, 3], [4, 4], []] * 2, price_range=(0, 10))
    row = audit(market, {"muda": rules.mechanism("muda")}, sample=2).rows[0]
    assert (row.examined, row.buyer_regret_max, row.seller_regret_max) == (12, 0, 0)
    assert row.regret_exact is False and row.feasible


def test_the_nearest_are_always_examined_and_the_others_drawn():
    """Of 200 traders: the five nearest the margin price on each side, and ten of the other 190."""
    market = markets.generate("balanced", 0, n=100)
    best = audit_checks.optimum(market)
    chosen = sampling.choose_traders(market, best.margin, 10, 0)
    distance = np.abs(market.values - best.margin)
    nearest = {("buyer", int(i)) for i in np.argsort(distance)[:5]}
    assert len(chosen.nearest) == 10 and nearest <= set(chosen.nearest)
    assert len(chosen.drawn) == 10 and not set(chosen.drawn) & set(chosen.nearest)


def test_the_report_is_a_table_and_a_json_file(tmp_path):
    """One row per mechanism; the file holds every field of a row, as docs/files.md lists them."""
    report = audit(THREE, {n: rules.mechanism(n) for n in rules.NAMES}, sample=2, false_names=1)
    table = report.table()
    assert table["mechanism"].tolist() == list(rules.NAMES)
    report.save(tmp_path / "audit.json")
    body = FORMAT.read(tmp_path / "audit.json")
    fields = [f.name for f in dataclasses.fields(MechanismAudit)]
    head = ["schema", "version", "market", "market_hash", "unit_of_account", "notes", "left_out"]
    assert list(body) == [*head, "instance", "mechanisms"]
    assert all(list(row) == fields for row in body["mechanisms"])
    assert body["market_hash"] == THREE.content_hash


def test_without_names_every_rule_that_fits_is_audited():
    """One unit each: all rules but those for several units, a graph only those for graphs."""
    for_one = [name for name in rules.NAMES if name not in rules.ONLY_UNITS]
    assert audit(THREE, incentives=False).table()["mechanism"].tolist() == for_one
    graph = markets.generate("graph", 1, n=4, servers=2)
    assert audit(graph, incentives=False).table()["mechanism"].tolist() == list(rules.GRAPH_NAMES)
    assert audit(THREE, "mcafee", incentives=False).rows[0].mechanism == "mcafee"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: audit("x"), r"market = 'x' must be a mecopt\.market\.Market"),
        (lambda: audit(Market), r"market = <class .*Market'> must be"),
        (lambda: rules.run("vcg", None), r"market = None must be"),
        (lambda: audit(THREE, "english"), r"mechanism: unknown 'english', one of dda-"),
        (lambda: audit(THREE, []), r"mechanisms: is empty"),
        (lambda: audit(THREE, 3), r"mechanisms = 3 must be names"),
        (lambda: audit(THREE, {"mine": 3}), r"mechanisms\['mine'\] = 3 must be a function"),
        (lambda: audit(THREE, seed=-1), r"seed = -1 must be a whole number >= 0"),
        (lambda: audit(THREE, sample=-2), r"sample = -2 must be a whole number >= 0"),
        (lambda: audit_statistics.compare([], [THREE]), r"names: is empty"),
        (lambda: audit_statistics.compare(["vcg"], []), r"markets: is empty"),
    ],
)
def test_an_error_names_argument_and_value(call, message):
    """What cannot be audited is refused before any work, in words that say what to change."""
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("name", ["sbba", "muda", "posted", "dda-unit-mid"])
def test_rules_with_lotteries_refuse_a_seed_below_zero(name):
    """The seed is checked whether or not the lot decides anything."""
    with pytest.raises(ValueError, match=r"seed = -1 must be a whole number >= 0"):
        rules.run(name, THREE, seed=-1)


def test_graph_regrets_are_lower_bounds():
    """Thresholds are sums and differences of bids there: the row says so."""
    market = markets.generate("graph", 1, n=4, servers=2)
    row = audit(market, {"vcg": rules.mechanism("vcg")}).rows[0]
    assert row.regret_exact is False and row.buyer_regret_max == 0


def test_welfare_and_step_ablation():
    """unit: the loss falls as the square of the step (slope about 2), every bound holds."""
    instances = [markets.generate("balanced", seed, n=60) for seed in range(30)]
    result = audit_statistics.step_ablation("dda-unit-clamped", instances)
    assert result.bound_violations == 0
    assert 1.4 < result.slope < 2.6


def test_rule_of_three():
    """No event in 300 trials: at most 3 / 300 with 95 % confidence."""
    assert audit_statistics.event_upper_bound(0, 300) == pytest.approx(0.01)
    assert audit_statistics.event_upper_bound(2, 300) > 2 / 300


def test_paired_comparison_uses_common_instances():
    """McAfee against trade reduction on the same markets: never worse."""
    instances = [markets.generate("balanced", seed, n=12) for seed in range(40)]
    table = audit_statistics.compare(["mcafee", "trade-reduction"], instances)
    assert table.loc["mcafee", "minimum"] >= table.loc["trade-reduction", "minimum"]
    assert table.loc["mcafee", "low"] <= table.loc["mcafee", "mean"] <= table.loc["mcafee", "high"]
    assert table.loc["trade-reduction", "difference"] < 0


def test_one_market_has_no_interval():
    """There is nothing to resample: the interval is NaN, not a point that looks certain."""
    table = audit_statistics.compare(["mcafee"], [THREE])
    assert table.loc["mcafee", "mean"] <= 1 and math.isnan(table.loc["mcafee", "low"])


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (None, "mechanism 'mine' returned None, not an Outcome"),
        ((1, 2), r"mechanism 'mine' returned \(1, 2\), not an Outcome"),
    ],
)
def test_a_rule_that_returns_no_outcome_is_named(returned, words):
    """A function without a return statement: its row says so; a rule of ours is refused."""
    row = audit(THREE, {"mine": lambda market: returned}).rows[0]
    assert re.search(words, row.error) and row.welfare is None
    assert row.findings[0].kind == "error"

    @rule
    def mine(market):
        return returned

    with pytest.raises(ValueError, match=words):
        mine(THREE)


def test_a_rule_that_fails_at_other_reports_is_still_judged():
    """Reports at which it fails are findings with the trader; the others are tried all the same."""
    row = audit(
        THREE, {"mine": lambda m: outcome() if m.values[0] == 9 * HALF_UNITS else None}
    ).rows[0]
    assert row.welfare_ratio == 1 and row.error == ""
    failed = [f for f in row.findings if f.kind == "error" and f.trader == "buyer 0"]
    assert failed and failed[0].true_prices == (9.0,) and failed[0].reported_prices != (9.0,)
