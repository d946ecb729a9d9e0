"""``mecopt margins``: how sure a language model is of its answers, and how often it is right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from learning.margins.prompts import EXAMPLES
from mecopt import checks
from mecopt.cli import shell

if TYPE_CHECKING:
    from mecopt.accuracy_delay.margins import Margins


def margins(
    model: Annotated[
        str,
        typer.Option(
            help="smollm2-135m (extra smollm, no download), a folder, or a Hugging Face name.",
            metavar="NAME",
        ),
    ] = "smollm2-135m",
    questions: Annotated[int, typer.Option(help="Generated questions.", metavar="N")] = 500,
    seed: Annotated[int, typer.Option(help="Of the questions.")] = 0,
    aggregation: Annotated[
        str, typer.Option(help="Of token margins: mean, minimum or first.", metavar="NAME")
    ] = "mean",
    examples: Annotated[
        int, typer.Option(help="Solved examples before each question.", metavar="N")
    ] = EXAMPLES,
    batch: Annotated[int, typer.Option(help="Questions at a time.", metavar="N")] = 16,
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16.", metavar="NAME")] = "float32",
    json: Annotated[
        Path | None, typer.Option(help="Write the margins here.", metavar="FILE")
    ] = None,
) -> None:
    """Measure a language model's margins on generated questions with known answers.

    Example:

        mecopt margins --model smollm2-135m --questions 500 --json margins.json

        mecopt bench goa --margins margins.json

    The uncertainty of an answer is 1 less the margin of its tokens (top-1 less top-2 probability);
    the probability that an answer is right given its uncertainty is calibrated on other questions.
    """
    from learning.margins.measure import AGGREGATIONS, FOLDS, measure

    # Whatever the measurement would end with is refused before it.
    checks.one_of("aggregation", aggregation, AGGREGATIONS)
    checks.whole("questions", questions, FOLDS)
    with shell.progress("questions") as show:
        measured = measure(
            model,
            questions,
            seed,
            examples=examples,
            dtype=dtype,
            batch=batch,
            on_progress=lambda done, total: show("asking", done, total),
        )
    found = measured.margins(aggregation)
    if json is not None:
        found.save(json)
    typer.echo(summary(found))


def summary(found: Margins) -> str:
    """The figures of measured margins, one a line."""
    rows = [
        ("questions", f"{len(found.correct)}"),
        ("accuracy", f"{100 * found.accuracy:.1f} %"),
        ("correlation of u and being right", f"{found.correlation:+.3f}"),
        ("calibration error (ECE)", f"{found.calibration_error():.3f}"),
        ("seconds per question", f"{found.meta['seconds_per_question']:.3g}"),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{found.model}: 1 - margin, {found.aggregation} over the tokens of an answer"]
    lines += [f"  {name.ljust(width)}  {value}" for name, value in rows]
    if found.correct.all() or not found.correct.any():
        every = "right" if found.correct.all() else "wrong"
        lines.append(
            f"every answer is {every}: there is no correlation (0 is given), and the calibrated "
            f"probability is {found.accuracy:.0f} everywhere"
        )
    return "\n".join(lines)
