"""The report page and its pictures. Episodes are cut to 8 slots to stay quick."""

import functools
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from mecopt.bench import html, pages
from mecopt.bench import run as benchmark
from mecopt.bench import run_folder as runfolder
from mecopt.bench.families import FAMILIES
from mecopt.bench.offloading import plot as plot_timeline
from mecopt.bench.run_folder import IncompleteRun, RunFolder
from mecopt.bench.suite import Suite
from mecopt.offloading import published
from mecopt.offloading.policies.simple import OneStepOracle
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A whole run on two presets, three seeds each, two policies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comllm, "generate", functools.partial(comllm.generate, slots=8))
        suite = Suite(
            "comllm",
            ("paper", "busy"),
            (100, 103),
            ("one-step-oracle", "random"),
            time_limit_s=1.0,
            gap=0.01,
        )
        folder = benchmark.run(suite, tmp_path_factory.mktemp("report") / "run", jobs=1)
    pages.build(folder)
    return folder


@pytest.fixture(scope="module")
def page(run):
    return (run.path / "report.html").read_text(encoding="utf-8")


class Balanced(HTMLParser):
    """Checks that every tag that is opened is closed, in order."""

    VOID = ("meta", "img", "br")

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_is_well_formed(page):
    """Nothing left open, no placeholder left over, no figure that is not a number."""
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    text = re.sub(r'src="data:[^"]*"', "", page)
    assert "$" not in text
    assert not re.search(r"\bnan\b", text)


def test_page_needs_no_network(page):
    """Every picture is inside; no link, script or style sheet from elsewhere."""
    sources = re.findall(r'src="([^"]{0,30})', page)
    assert len(sources) == 5  # gap, two timelines, convergence, size
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)


def test_page_answers_first(page):
    """The headline is the first paragraph: how far each policy is, on each preset."""
    headline = re.search(r'<p class="headline">(.*?)</p>', page, re.S).group(1)
    assert "on paper / busy" in headline
    assert headline.index("one-step-oracle") < headline.index("random")


def test_page_holds_scorecard_provenance_and_tags(run, page):
    """Hashes, versions, parameters with tags and the definition of the gap are all there."""
    manifest, tables = run.read()
    for digest in tables["instances"]["instance_hash"]:
        assert digest[:16] in page
    assert manifest["versions"]["numpy"] in page
    assert "density_gcycles_per_mbit" in page and "P, D" in page
    assert "Gap to bound = (cost - lower bound)" in page
    mean = tables["results"].query("preset == 'busy' and policy == 'random'")["mean_cost_slots"]
    assert f"{mean.mean():.4f}" in page


def test_published_table_stands_beside_ours(page):
    """The rows that we have show a difference, the others say what they need."""
    section = page[page.index("Published figures") : page.index("<h2>Parameters")]
    assert section.count("needs a trained model") == 5
    assert "2.978" in section and "3.0745" in section
    assert len(re.findall(r"[+-]\d+\.\d{3} \(", section)) == 2


def test_published_rows_agree_with_their_ratio():
    """PR x latency is the same oracle mean, 2.978 slots, on every printed row."""
    for row in published.COMLLM_TABLE_II:
        assert row.cost_slots * row.pr_percent / 100 == pytest.approx(2.978, abs=1.5e-3)


def test_rebuilding_recomputes_nothing(run, monkeypatch):
    """The page comes from the tables alone, and comes out the same."""
    monkeypatch.setattr(benchmark, "run_unit", lambda suite, unit: 1 / 0)
    before = (run.path / "report.html").read_text(encoding="utf-8")
    (run.path / "report.html").unlink()
    pages.build(RunFolder(run.path))
    assert (run.path / "report.html").read_text(encoding="utf-8") == before


def test_an_unfinished_run_has_no_report(run, tmp_path):
    """No page that looks whole over figures that are not."""
    folder = RunFolder.open(tmp_path / "run", run.suite)
    with pytest.raises(IncompleteRun, match="0 of 6 instances"):
        pages.build(folder)
    assert not (tmp_path / "run" / "report.html").exists()


def test_names_are_escaped(run):
    """A policy or file name cannot inject markup."""
    assert "&lt;b&gt;" in html.table(["a"], [["<b>"]])


def test_trace_page_shows_milliseconds_only(run):
    """Traces have no slots, and no published table."""
    manifest, tables = run.read()
    suite = manifest["suite"] | {"scenario": "traces", "presets": ["azure-conv"]}
    text = pages.page(manifest | {"suite": suite}, tables, FAMILIES["offloading"], {})
    assert "cost, slots" not in text and "cost, ms" in text
    assert "Published figures" not in text
    assert "gpu_sites" in text


# ---------------------------------------------------------------- pictures
def test_bars_of_one_resource_never_overlap():
    """Two stages at once on a station of capacity two get two lanes."""
    part = pd.DataFrame(
        {
            "resource": ["gpu", "gpu", "gpu"],
            "start_s": [0.0, 1.0, 2.0],
            "finish_s": [2.0, 3.0, 4.0],
        }
    )
    assert plot_timeline.lane_of(part) == [0, 1, 0]


def test_in_service_counts_half_open_intervals():
    """[0, 2) and [1, 3): one, two, one, none at 0, 1, 2, 3 s."""
    part = pd.DataFrame({"start_s": [0.0, 1.0], "finish_s": [2.0, 3.0]})
    at = np.array([0.0, 1.0, 2.0, 3.0])
    assert plot_timeline._in_service(part, at).tolist() == [1, 2, 1, 0]


@pytest.mark.parametrize("users", [3, 12])
def test_timeline_picture_fits_few_and_many_users(users):
    """Few users: a bar per stage. More than there are colours: how many are in service."""
    schedule = rollout(comllm.generate("paper", 0, users=users, slots=20), OneStepOracle())
    figure = plot_timeline.timeline_picture(schedule.timeline().assign(schedule="oracle"))
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert ("uplink 0" in labels) == (users == 3)
    assert any("up to" in label for label in labels) == (users == 12)
    assert figure.axes[0].get_title(loc="left") == "oracle"


def test_every_table_of_the_run_is_documented():
    """The layout in the module docstring names every table."""
    for name in runfolder.TABLES:
        assert f"{name}.parquet" in runfolder.__doc__
