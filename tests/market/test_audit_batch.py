"""Audits of many markets: rows kept as they finish, intervals over markets, large tables."""

import json
import sys

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from mechanisms.audit import audit, batch, page, replay
from mechanisms.audit import pictures as audit_pictures
from mechanisms.audit.report import Settings
from mecopt.cli import audit as command
from mecopt.cli.shell import OneLineErrors
from mecopt.market import bulk
from mecopt.market import scenarios as markets
from mecopt.market.instance import Market
from mecopt.market.sources import read_market, read_markets

app = typer.Typer(cls=OneLineErrors)
app.command("audit")(command.audit)


@app.callback()
def root():
    """A group, as in the real command line."""


ROUNDS = (
    "side,value,round\nbuyer,9,mon\nseller,2,mon\nbuyer,7,tue\nbuyer,6,tue\nseller,5,tue\n"
    "seller,1,tue\n"
)
SETTINGS = Settings(True, 2, 1, 0)


def run(*options):
    return CliRunner().invoke(app, ["audit", *map(str, options)])


def rules_named(*names):
    return [batch.Named(name, name) for name in names]


# ---------------------------------------------------------------- batches
def test_a_batch_is_the_audits_of_its_markets(tmp_path):
    """Three markets, two rules, two processes: the rows are those of `audit`, in order."""
    sources = batch.generated("balanced:n=8", range(3))
    named = rules_named("mcafee", "k-double-0.5")
    items = batch.run(sources, named, SETTINGS, jobs=2, rows=tmp_path / "rows.jsonl")
    assert [item.market for item in items[::2]] == [f"balanced:n=8 seed {s}" for s in range(3)]
    for item, name in zip(items, 3 * ["mcafee", "k-double-0.5"], strict=True):
        seed = int(item.market.split()[-1])
        market = markets.generate("balanced", seed, n=8)
        alone = audit(market, name, sample=2, false_names=1).rows[0]
        assert (item.market_hash, item.row.mechanism) == (market.content_hash, name)
        assert item.row.findings == alone.findings
        assert item.row.buyer_gain_low == alone.buyer_gain_low
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 6


def test_an_interrupted_batch_goes_on(tmp_path, monkeypatch):
    """Two rows are there, a third was cut short: one is computed; with other settings all are."""
    path = tmp_path / "rows.jsonl"
    sources, named = batch.generated("balanced:n=6", range(3)), rules_named("mcafee")
    first = batch.run(sources, named, SETTINGS, rows=path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:2]) + "\n" + lines[2][:50])
    computed = []
    audit_one = batch.audit_one
    monkeypatch.setattr(batch, "audit_one", lambda *a: computed.append(a) or audit_one(*a))
    again = batch.run(sources, named, SETTINGS, rows=path)
    assert len(computed) == 1 and len(path.read_text().splitlines()) == 3
    assert [i.row.findings for i in again] == [i.row.findings for i in first]
    batch.run(sources, named, Settings(True, 3, 1, 0), rows=path)
    assert len(computed) == 4
    path.write_text("no json\n" + "\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=r"rows\.jsonl, line 1: is no row of an audit"):
        batch.run(sources, named, SETTINGS, rows=path)


def test_rows_of_a_rule_that_was_edited_are_not_used_again(tmp_path, monkeypatch):
    """The file of the rule is a part of what a row is made from."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "edited_rule.py"
    file.write_text("from tests.market.planted import pay_as_bid as rule\n")
    sources, named = (
        batch.generated("balanced:n=4", range(1)),
        [batch.Named("mine", "edited_rule:rule")],
    )
    rows = tmp_path / "rows.jsonl"
    assert batch.run(sources, named, SETTINGS, rows=rows)[0].row.buyer_regret_max > 0
    file.write_text("from tests.market.planted import truthful as rule\n")
    monkeypatch.delitem(sys.modules, "edited_rule")
    assert batch.run(sources, named, SETTINGS, rows=rows)[0].row.buyer_regret_max == 0


def test_the_summary_counts_markets():
    """McAfee on four markets: the mean ratio is that of the rows, its interval around it."""
    sources = batch.generated("balanced:n=5", range(4))
    items = batch.run(sources, rules_named("mcafee", "vcg"), Settings(False))
    table = batch.summary(items).set_index("mechanism")
    ratios = [item.row.welfare_ratio for item in items if item.row.mechanism == "mcafee"]
    row = table.loc["mcafee"]
    assert row["welfare_ratio"] == pytest.approx(np.mean(ratios)) and row["markets"] == 4
    assert row["welfare_ratio_low"] <= row["welfare_ratio"] <= row["welfare_ratio_high"]
    assert table.loc["vcg", "budget"] in ("deficit", "strong")


def test_a_batch_on_the_command_line(tmp_path):
    """A file with two rounds and another file: three markets, JSON with sources, exit status 0."""
    (tmp_path / "a.csv").write_text(ROUNDS)
    (tmp_path / "b.csv").write_text("side,value\nbuyer,9\nseller,2\n")
    result = run(
        *("--market", tmp_path / "a.csv", "--market", tmp_path / "b.csv"),
        *("--mechanism", "mcafee,vcg", "--sample", 2, "--json", tmp_path / "o.json"),
    )
    assert result.exit_code == 0, result.output
    assert "3 markets" in result.output
    body = json.loads((tmp_path / "o.json").read_text())
    assert [m["source"]["round"] for m in body["markets"]] == ["mon", "tue", ""]
    assert len(body["rows"]) == 6 and body["summary"][0]["markets"] == 3
    again = run("--replay", tmp_path / "o.json")
    assert again.exit_code == 0 and "findings came out again" in again.output
    (tmp_path / "b.csv").write_text("side,value\nbuyer,8\nseller,2\n")
    changed = run("--replay", tmp_path / "o.json")
    assert changed.exit_code == 2 and "another market than the one audited" in changed.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--generate", "balanced:n=5"], "generate = 'balanced:n=5': needs --seeds A:B"),
        (["--generate", "square", "--seeds", "0:2"], "kind: unknown 'square'"),
        (["--generate", "balanced:m=5", "--seeds", "0:2"], "'m=5' must be n=NUMBER"),
        (["--generate", "balanced", "--seeds", "3:3"], "seeds: '3:3' is empty"),
        (["--seeds", "0:2"], "market: give --market FILE, or --generate"),
        ([], "market: give --market FILE, or --generate"),
        (["--generate", "thin", "--seeds", "0:2", "--pictures", "p"], "pictures: is about one"),
        (["--generate", "thin", "--seeds", "0:2", "--jobs", "0"], "jobs = 0 must be"),
        (["--generate", "thin", "--seeds", "0:2", "--unit", "2"], "a unit of their own"),
    ],
)
def test_a_batch_that_cannot_be_is_one_line(options, words, tmp_path, monkeypatch):
    """Generators without seeds, kinds that there are not, pictures of many markets."""
    monkeypatch.chdir(tmp_path)
    result = run(*options)
    assert result.exit_code == 2 and words in result.output


# ---------------------------------------------------------------- rounds and large tables
def test_rounds_are_markets(tmp_path):
    """Monday and Tuesday; one market was asked for, there are two; a round without sellers."""
    path = tmp_path / "m.csv"
    path.write_text(ROUNDS)
    found = read_markets(path, price_range=(0, 10))
    assert {name: (m.n_buyers, m.n_sellers) for name, m in found.items()} == {
        "mon": (1, 1),
        "tue": (2, 2),
    }
    with pytest.raises(ValueError, match="holds 2 rounds, a market each; use read_markets"):
        read_market(path)
    path.write_text("side,value,round\nbuyer,9,1\nseller,2,1\nbuyer,7,2\n")
    with pytest.raises(ValueError, match=r"m\.csv, round '2': side: there is no seller"):
        read_markets(path)
    path.write_text("side,value,round\nbuyer,9,1\nseller,2,\n")
    with pytest.raises(ValueError, match="line 3: has no round, other rows have"):
        read_markets(path)


TABLES = [
    "side,value\nbuyer,9\nbuyer,7.25\nseller,2\nseller,5\n",
    "Type;Price;id\n bid ;9,5;ann\nASK;2,25;bob\nbid;7;cat\n",
    "side,value,units,id\nbuy,9,2,a\nbuy,7,,b\nbuy,8,1,a\nsell,2,3,x\nsell,3,1,x\n",
    "side,value,id\nbuyer,9,a\nseller,2,a\nbuyer,8,a\n",
    "side,value,round\nbuyer,9,x\nseller,2,x\nbuyer,8,y\nseller,1,y\nbuyer,7,x\n",
    "\ufeffside\tvalue\nbuyer\t1e1\nseller\t.5\n\n",
    "side,value,id\nbuyer,9,a\nbuyer,9.5,a\nseller,2,b\n",  # rises: an error of the slow reader
    "side,value\nbuyer,nan\nseller,2\n",
    "side,value\nbuyer,-1\nseller,2\n",
    "side,value\nbuyer,9\nseller,2,3\n",
    "side,value\nbuyer,0.0000001\nseller,2\n",
    "side,value,units\nbuyer,9,0\nbuyer,8,1\nseller,2,1\n",
    "side,value,compatible\nbuyer,9,s\nbuyer,8,*\nseller,2,\n",
]


@pytest.mark.parametrize("text", TABLES)
def test_tables_read_by_the_column_are_those_read_by_the_row(tmp_path, monkeypatch, text):
    """The same market, or the same message."""
    path = tmp_path / "m.csv"
    path.write_text(text, encoding="utf-8")

    def read():
        try:
            return {name: market.to_document() for name, market in read_markets(path).items()}
        except ValueError as error:
            return str(error)

    slow = read()
    monkeypatch.setattr(bulk, "LEAST_BYTES", 0)
    assert read() == slow


def test_a_large_table_is_read_whole(tmp_path):
    """60,000 rows with names: prices and names stand in the order of the file."""
    rng = np.random.default_rng(0)
    prices = rng.random(60_000).round(6)
    rows = (f"{'buyer' if i % 2 else 'seller'},{p},t{i}" for i, p in enumerate(prices))
    data = ("side,value,id\n" + "\n".join(rows) + "\n").encode()
    market = bulk.markets(data, "m.csv", (0, 1), 1.0)[""]
    assert (market.n_buyers, market.n_sellers) == (30_000, 30_000)
    assert market.buyer_names[0] == "t1" and market.bids[0] == prices[1]


# ---------------------------------------------------------------- the page
@pytest.mark.parametrize(
    "market",
    [
        Market.of([9, 7, 4], [2, 5, 8], price_range=(0, 10)),
        Market.of([[9, 7], [4]], [[1, 2]], price_range=(0, 10)),
        markets.generate("graph", 1, n=6, servers=3),
    ],
    ids=["one good", "units", "graph"],
)
def test_the_page_is_whole_and_self_contained(market, tmp_path):
    """Every section is there for every kind of market; nothing is fetched, no script runs."""
    path = tmp_path / "m.json"
    market.save(path)
    options = ["--sample", 2, "--false-names", 1, "--report", tmp_path / "p.html"]
    names = "vcg" if market.is_graph else "muda" if not market.unit_demand else "dda-unit-mid,vcg"
    result = run("--market", path, "--mechanism", names, *options)
    assert result.exit_code == 0, result.output
    text = (tmp_path / "p.html").read_text()
    for section in ("Trades and prices", "Who gets the welfare", "Budget ledger", "Incentives"):
        assert f"<h2>{section}</h2>" in text
    for section in ("Individual rationality", "False names", "Theorems beside the evidence"):
        assert f"<h2>{section}</h2>" in text
    assert "<script" not in text and "http" not in text and "data:image/png" in text


def test_the_page_shows_a_rule_that_failed_and_a_witness():
    """A mechanism that raises is named with its error; the loss of a buyer stands in the table."""
    market = Market.of([3], [7], price_range=(0, 10))
    report = audit(market, ["tests.market.planted:at_a_loss", "tests.market.planted:short_arrays"])
    text = page.page(report)
    assert "short_arrays failed:" in text and "a loss at the true report" in text


def test_clocks_are_drawn_of_the_rule_that_was_audited():
    """A sealed rule has no clocks; of several double Dutch auctions the first is drawn."""
    market = Market.of([9, 7, 4], [2, 5, 8], price_range=(0, 10))
    assert "clocks" not in audit_pictures.figures(audit(market, ["mcafee"], sample=0))
    drawn = audit_pictures.figures(audit(market, ["dda-flip-mid", "mcafee"], sample=0))["clocks"]
    assert drawn.axes[0].get_title().startswith("dda-flip-mid")


def test_replay_refuses_what_is_no_audit(tmp_path):
    """Another kind of file, and a finding of a kind that there is not."""
    market = Market.of([9], [2], price_range=(0, 10))
    market.save(tmp_path / "m.json")
    assert run("--replay", tmp_path / "m.json").exit_code == 2
    audit(market, ["k-double-1"]).save(tmp_path / "o.json")
    body = json.loads((tmp_path / "o.json").read_text())
    body["mechanisms"][0]["findings"][0]["kind"] = "odd"
    (tmp_path / "o.json").write_text(json.dumps(body))
    with pytest.raises(ValueError, match="kind = 'odd' must be one of misreport"):
        replay.replay_file(tmp_path / "o.json")
