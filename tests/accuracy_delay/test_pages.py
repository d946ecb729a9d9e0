"""The pictures of accuracy-delay runs draw for one and for several numbers of users."""

import pandas as pd
import pytest

from formulations.accuracy_delay.front import front
from mecopt.accuracy_delay.scenarios import goa
from mecopt.bench import run as benchmark
from mecopt.bench.accuracy_delay import page
from mecopt.bench.accuracy_delay.plot import front_picture
from mecopt.bench.plot import png
from mecopt.bench.run_folder import RunFolder
from mecopt.bench.suite import Suite


@pytest.mark.parametrize("users", [("4",), ("3", "4", "5", "6")])
def test_pictures_of_a_run(users, tmp_path):
    """The plane, and the front and who leaves for every number of users; density with several."""
    suite = Suite("goa", users, (0, 1), ("goa", "all-local"), gap=1e-6)
    folder = RunFolder.open(tmp_path / "run", suite)
    for unit in suite.units:
        folder.write_part(unit, benchmark.run_unit(suite, unit))
    _, tables = benchmark.run(suite, folder.path, jobs=1).read()
    drawn = page.pictures(tables)
    several = {"density"} if len(users) > 1 else set()
    each = {f"{name}-{n}" for name in ("who", "front") for n in users}
    assert set(drawn) == {"plane"} | several | each
    assert all(png(figure).startswith(b"\x89PNG") for figure in drawn.values())


def test_the_delay_axis_has_plain_numbers(tmp_path):
    """Delays of 1.1 and 1.4 s span less than a decade: the axis says 1.1, 1.2, ..., not 10^0."""
    rows = [("goa", 1.1, 0.9), ("threshold", 1.4, 0.8)]
    card = pd.DataFrame(rows, columns=["policy", "mean_delay_s", "expected_accuracy"])
    best = {"preset": ["5"], "best_mean_delay_s": [1.1], "best_expected_accuracy": [0.9]}
    figure = page.plot.plane_picture(card.assign(preset="5"), pd.DataFrame(best))
    figure.canvas.draw()
    (panel,) = figure.axes
    low, high = panel.get_xlim()
    shown = [text.get_text() for text in panel.get_xticklabels()]
    assert len([text for text in shown if low <= float(text) <= high]) >= 2


def test_fronts_draw_with_rules_beside_them():
    """One front of three points, one rule."""
    table = front(goa.generate(4, 0), points=3).table
    rule = {"policy": ["goa"], "mean_delay_s": [1.0], "expected_accuracy": [0.8]}
    assert png(front_picture({"exact": table}, pd.DataFrame(rule))).startswith(b"\x89PNG")
