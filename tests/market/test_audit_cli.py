"""``mecopt audit`` from a file to a report."""

import json

import pytest
import typer
from typer.testing import CliRunner

from mechanisms import rules
from mechanisms.audit import audit
from mechanisms.audit import pictures as audit_pictures
from mechanisms.audit import section as report_section
from mecopt.cli import audit as command
from mecopt.cli.shell import OneLineErrors
from mecopt.market import scenarios as markets
from mecopt.market.instance import Market

app = typer.Typer(cls=OneLineErrors)
app.command("audit")(command.audit)


@app.callback()
def root():
    """A group, as in the real command line."""


FOR_ONE_UNIT = [name for name in rules.NAMES if name not in rules.ONLY_UNITS]
CSV = "side,value\nbuyer,9\nbuyer,7\nbuyer,4\nseller,2\nseller,5\nseller,8\n"


def test_all_mechanisms_on_a_csv_market(tmp_path):
    """Every fitting rule once, JSON and pictures written."""
    (tmp_path / "m.csv").write_text(CSV)
    options = [
        "audit",
        "--market",
        tmp_path / "m.csv",
        "--mechanism",
        "all",
        "--json",
        tmp_path / "o.json",
    ]
    options += ["--pictures", tmp_path / "pictures", "--sample", "4", "--false-names", "1"]
    result = CliRunner().invoke(app, [str(o) for o in options])
    assert result.exit_code == 0, result.output
    body = json.loads((tmp_path / "o.json").read_text())
    assert [row["mechanism"] for row in body["mechanisms"]] == FOR_ONE_UNIT
    assert all(
        (tmp_path / "pictures" / f"{n}.png").stat().st_size for n in ("clocks", "mechanisms")
    )


@pytest.mark.parametrize(
    ("market", "expected"),
    [
        (markets.generate("graph", 0, n=4, servers=2), set(rules.GRAPH_NAMES)),
        (Market.of([[9, 7], [4]], [[1, 2]], price_range=(0, 10)), set(rules.UNITS_NAMES)),
    ],
)
def test_all_leaves_out_what_a_rule_cannot_express(tmp_path, market, expected):
    """Graphs go to the per-server rules, several units to those for them."""
    market.save(tmp_path / "m.json")
    options = [
        "audit",
        "--market",
        tmp_path / "m.json",
        "--json",
        tmp_path / "o.json",
        "--sample",
        "3",
    ]
    result = CliRunner().invoke(app, [str(o) for o in options])
    assert result.exit_code == 0
    body = json.loads((tmp_path / "o.json").read_text())
    assert {row["mechanism"] for row in body["mechanisms"]} == expected
    assert set(body["left_out"]) == set(rules.NAMES) - expected
    said = f"left out, {len(rules.NAMES) - len(expected)} of {len(rules.NAMES)} rules ("
    assert said in result.output and "tpd" in result.output.split(said)[1]


def test_a_row_of_no_units_is_no_unit(tmp_path):
    """Buyers 9 and 7, sellers 2 and 3, and a bid for 0 units: all rules, and a line about it."""
    (tmp_path / "m.csv").write_text(
        "side,value,units\nbuyer,9,1\nbuyer,8,0\nbuyer,7,1\nseller,2,1\nseller,3,1\n"
    )
    options = ["audit", "--market", tmp_path / "m.csv", "--json", tmp_path / "o.json"]
    result = CliRunner().invoke(app, [str(o) for o in [*options, "--sample", "0"]])
    assert "1 row of 0 units is left out; without any unit: 'buyer 2' (buyer)" in result.output
    body = json.loads((tmp_path / "o.json").read_text())
    assert [row["mechanism"] for row in body["mechanisms"]] == FOR_ONE_UNIT
    assert set(body["left_out"]) == set(rules.ONLY_UNITS) and len(body["notes"]) == 2


def test_prices_per_token_need_a_unit(tmp_path):
    """Refused with a unit that fits; in units of 1e-9, W* = 600 - 100 + 400 - 200 = 700."""
    path = tmp_path / "m.csv"
    path.write_text("side,value\nbuyer,6e-7\nbuyer,4e-7\nseller,1e-7\nseller,2e-7\n")
    options = ["audit", "--market", str(path), "--mechanism", "vcg", "--sample", "0"]
    refused = CliRunner().invoke(app, options)
    assert refused.exit_code == 2
    assert "line 2: value = 6e-07 is not on the grid of 1e-06; unit=0.001" in refused.output
    options += ["--unit", "1e-9", "--price-range", "0", "1e-6", "--json", str(tmp_path / "o.json")]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0, result.output
    assert "amounts are in units of 1e-09 of money" in result.output
    body = json.loads((tmp_path / "o.json").read_text())
    assert body["unit_of_account"] == 1e-9
    assert body["mechanisms"][0]["optimal_welfare"] == 700.0


def test_all_says_why_nothing_fits(tmp_path):
    """Memory limits have no prices."""
    market = Market.of([9], [2], memory_gb=[1], server_memory_gb=[2])
    market.save(tmp_path / "m.json")
    result = CliRunner().invoke(app, ["audit", "--market", str(tmp_path / "m.json")])
    assert result.exit_code == 2 and "memory limits have no prices" in result.output


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("side,value\nbuyer,-9\nseller,2\n", [], "line 2: value = '-9' is negative"),
        (CSV, ["--mechanism", "english"], "unknown 'english'"),
        (CSV, ["--price-range", "0", "5"], r"values[0] = 9.0 is outside"),
        (CSV, ["--ticks", "0"], "ticks = 0 must be a whole number >= 1"),
        (CSV, ["--unit", "0"], "unit = 0.0 must be a number from 1e-15 to 1e+15"),
        (CSV, ["--price-range", "0", "9.0000001"], "price_range[1] = 9.0000001 is not on the"),
    ],
)
def test_malformed_input_is_exit_code_2_with_a_message(tmp_path, text, options, message):
    """No traceback: what is wrong, in one line."""
    (tmp_path / "m.csv").write_text(text)
    result = CliRunner().invoke(app, ["audit", "--market", str(tmp_path / "m.csv"), *options])
    assert result.exit_code == 2
    assert message in result.output


def test_pictures_need_a_log():
    """Supply and demand are drawn with the clocks' paths."""
    market = Market.of([9], [2], price_range=(0, 10))
    with pytest.raises(ValueError, match="has no clock log"):
        audit_pictures.supply_and_demand(market, rules.run("dda-unit-mid", market))


def test_pictures_show_every_mechanism():
    """One bar a row."""
    market = Market.of([9], [2], price_range=(0, 10))
    report = audit(market, {n: rules.mechanism(n) for n in ("mcafee", "vcg")}, false_names=0)
    labels = audit_pictures.welfare_and_regret(report).axes[0].get_yticklabels()
    assert [label.get_text() for label in labels] == ["mcafee", "vcg"]


def test_the_report_section_is_self_contained_html():
    """Every mechanism is named, pictures are inlined, nothing is fetched."""
    market = Market.of([9, 7], [2, 5], price_range=(0, 10))
    report = audit(market, {n: rules.mechanism(n) for n in ("mcafee", "vcg")}, false_names=0)
    page = report_section.section(report)
    assert "mcafee" in page and "deficit" in page and "yes / yes" in page
    assert "data:image/png;base64," in page and "http" not in page


def test_the_report_section_says_which_rules_are_left_out():
    """One buyer of two units: seven rules remain, the page names the others and why."""
    page = report_section.section(audit(Market.of([[9, 7]], [[2, 5]], price_range=(0, 10))))
    assert "left out, 32 of 39 rules (a rule for one unit a trader, 1 of 1 buyers and 1 of" in page
