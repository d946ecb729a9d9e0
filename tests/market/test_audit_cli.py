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
    assert [row["mechanism"] for row in body["mechanisms"]] == list(rules.NAMES)
    assert all(
        (tmp_path / "pictures" / f"{n}.png").stat().st_size for n in ("clocks", "mechanisms")
    )


@pytest.mark.parametrize(
    ("market", "expected"),
    [
        (markets.generate("graph", 0, n=4, servers=2), set(rules.GRAPH_NAMES)),
        (Market.of([[9, 7], [4]], [[1, 2]], price_range=(0, 10)), {"muda"}),
    ],
)
def test_all_leaves_out_what_a_rule_cannot_express(tmp_path, market, expected):
    """Graphs go to the per-server rules, several units to MUDA."""
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
    assert CliRunner().invoke(app, [str(o) for o in options]).exit_code == 0
    body = json.loads((tmp_path / "o.json").read_text())
    assert {row["mechanism"] for row in body["mechanisms"]} == expected


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("side,value\nbuyer,-9\nseller,2\n", [], "row 1: value = '-9'"),
        (CSV, ["--mechanism", "english"], "unknown 'english'"),
        (CSV, ["--price-range", "0", "5"], r"values[0] = 9.0 is outside"),
        (CSV, ["--ticks", "0"], "ticks = 0 must be >= 1"),
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
