"""From answers to a margins file, and the command that writes it."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

from learning.margins.measure import Measured, measure
from learning.margins.prompts import EXAMPLE_SEED, Answer
from learning.margins.questions import PLACES, Question
from mecopt.accuracy_delay.margins import Margins
from mecopt.accuracy_delay.scenarios import goa
from mecopt.bench import plot
from mecopt.bench.accuracy_delay.plot import reliability_picture
from mecopt.cli import app

WHERE = Question(1, ("Ida went to the barn.",), "Where is Ida?", "barn", PLACES)


def measured(*answers: tuple[str, tuple[float, ...]]) -> Measured:
    found = tuple(Answer(text, margins) for text, margins in answers)
    meta = {"seed": 0, "seconds_per_question": 0.1}
    return Measured("by hand", (WHERE,) * len(found), found, meta)


@pytest.mark.parametrize(
    ("aggregation", "uncertainty"), [("mean", 0.3), ("minimum", 0.5), ("first", 0.1)]
)
def test_aggregations(aggregation, uncertainty):
    """Margins 0.9, 0.5 and 0.7: mean 0.7, smallest 0.5, first 0.9."""
    found = measured(("Barn", (0.9, 0.5, 0.7)))
    assert found.uncertainty(aggregation) == pytest.approx([uncertainty])


def test_an_unknown_aggregation():
    with pytest.raises(ValueError, match="aggregation = 'median' must be one of mean, minimum"):
        measured(("Barn", (0.9,))).margins("median")


def test_margins_of_answers():
    """Two sure answers are right, two unsure ones wrong; with two folds each is known by others."""
    found = measured(
        ("Barn", (0.9,)), ("attic", (0.2,)), ("in the barn", (0.9,)), ("dunno", (0.2,)),
        ("Barn.", (0.9,)), ("barn or attic", (0.2,)),
    )  # fmt: skip
    margins = found.margins(folds=2)
    assert found.read == ("barn", "attic", "barn", None, "barn", None)
    assert margins.correct.tolist() == [True, False] * 3
    assert margins.calibrated.tolist() == [1.0, 0.0] * 3
    assert margins.correlation == pytest.approx(-1.0)
    assert margins.calibration_error() == 0.0


@pytest.mark.parametrize(("text", "share"), [("barn", 1.0), ("attic", 0.0)])
def test_all_right_or_all_wrong(text, share):
    """No correlation to speak of, one probability for all; the picture can still be drawn."""
    margins = measured(*((text, (k / 9,)) for k in range(9))).margins()
    assert margins.correlation == 0.0
    assert margins.calibrated.tolist() == [share] * 9
    assert plot.png(reliability_picture(margins)).startswith(b"\x89PNG")


def test_snapshots_draw_from_measured_margins():
    """Every pair of uncertainty and probability is that of some question."""
    margins = measured(*(("barn" if k < 5 else "attic", (1 - k / 9,)) for k in range(9))).margins()
    x = goa.generate(20, 0, margins=margins)
    pairs = set(zip(margins.uncertainty, margins.calibrated, strict=True))
    assert set(zip(x.uncertainty, x.accuracy_local, strict=True)) <= pairs
    assert x.meta["margins"] == "by hand"


def mecopt(*arguments: object):
    return CliRunner().invoke(app, ["margins", *map(str, arguments)])


def test_the_command_writes_what_a_benchmark_reads(byte_model, tmp_path):
    """A random model is never right: the command says what that means for its figures."""
    out = tmp_path / "margins.json"
    done = mecopt("--model", byte_model, "--questions", 8, "--examples", 1, "--json", out)
    assert done.exit_code == 0, done.output
    assert "every answer is wrong: there is no correlation (0 is given)" in done.stdout
    found = Margins.load(out)
    assert found.task.tolist() == [1, 2, 6, 15] * 2
    assert found.aggregation == "mean" and not found.correct.any()
    assert np.ptp(found.uncertainty) > 0 and found.calibrated.tolist() == [0.0] * 8
    assert found.meta["seed"] == 0 and found.meta["examples"] == 1
    assert goa.generate(5, 0, margins=found).accuracy_local.tolist() == [0.0] * 5


def test_equal_seeds_give_equal_margins(byte_model):
    first, second = (measure(str(byte_model), 6, 1, examples=0) for _ in range(2))
    assert first.margins().content_hash == second.margins().content_hash


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--questions", 4), "questions = 4 must be a whole number >= 5"),
        (("--aggregation", "median"), "aggregation = 'median' must be one of mean, minimum, first"),
        (("--seed", EXAMPLE_SEED), f"seed = {EXAMPLE_SEED} is that of the solved examples"),
        (("--examples", -1), "examples = -1 must be a whole number >= 0"),
        (("--batch", 0), "batch = 0 must be a whole number >= 1"),
        (("--model", "/nowhere/at/all"), "model: /nowhere/at/all is no folder"),
    ],
)
def test_bad_input_is_one_line(arguments, line):
    done = mecopt(*arguments)
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [f"mecopt: {line}"]
