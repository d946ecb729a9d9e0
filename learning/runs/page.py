"""Learning curves: the page of a training folder, and a section for the page of a benchmark."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from learning.runs import folder as training_run
from mecopt import files
from mecopt.bench import html as html_page
from mecopt.bench import plot

#: What the logged numbers are. Trainers log a number under one of these names or explain it in
#: their own documentation.
MEANING = {
    "loss": "what the optimiser minimises, mean since the last row",
    "eval_loss": "the same on tuning states",
    "reward": "mean reward of the answers, slots (minus the cost that the reward sees)",
    "reward_std": "standard deviation of rewards within a group",
    "group_spread_slots": "mean range of rewards within a group, slots: without it nothing is "
    "learned",
    "groups_without_spread": "share of groups whose answers all earned the same",
    "parse_rate": "share of answers that name a valid option",
    "kl": "mean divergence from the start checkpoint",
    "entropy": "mean entropy of answers",
    "agreement": "share of tuning states with the label's choice",
    "regret_slots": "label cost of the choice above the label's best, mean over tuning states",
    "gap_percent": "gap to the certified bound on tuning episodes, %",
    "learning_rate": "of the optimiser",
    "grad_norm": "norm of the gradient",
    "td_error": "mean temporal-difference error",
    "explore": "share of random actions",
}
#: Columns without a panel.
_HIDDEN = ("step", "epoch")
_MOST_PANELS = 9


def curves(progress: Mapping[str, pd.DataFrame]) -> Figure:
    """One panel per logged number, one line per training.

    Parameters
    ----------
    progress : mapping of name to DataFrame
        ``progress.parquet`` of each training: ``step`` and the logged numbers.
    """
    names = list(
        dict.fromkeys(
            name
            for frame in progress.values()
            for name in frame.columns
            if name not in _HIDDEN and frame[name].notna().any()
        )
    )
    known = list(MEANING)
    names.sort(key=lambda name: known.index(name) if name in known else len(known))
    names = names[:_MOST_PANELS]
    columns = min(3, max(1, len(names)))
    rows = -(-max(1, len(names)) // columns)
    picture = plot.new_figure(3.7 * columns, 2.3 * rows + 0.3)
    for i, name in enumerate(names):
        axes = picture.add_subplot(rows, columns, i + 1)
        for k, (label, frame) in enumerate(progress.items()):
            if name in frame:
                seen = frame[["step", name]].dropna()
                axes.plot(seen["step"], seen[name], color=plot.PALETTE[k % len(plot.PALETTE)],
                          linewidth=1.4, label=label)  # fmt: skip
        plot.title(axes, name, 10)
        plot.clean(axes, "y")
        axes.set_xlabel("step", fontsize=8)
        if i == 0 and len(progress) > 1:
            axes.legend(fontsize=7, frameon=False)
    return picture


def summary(folder: str | os.PathLike[str]) -> str:
    """One line on a finished training: time and last figures."""
    parameters, manifest, progress = training_run.read(folder)
    last = {} if progress.empty else dict(progress.drop(columns="step").iloc[-1].dropna())
    figures = ", ".join(f"{name} {float(value):.4g}" for name, value in list(last.items())[:5])
    return (
        f"trained {parameters['kind']}, seed {parameters['seed']}, in "
        f"{manifest['cpu_seconds']:.0f} CPU seconds: {figures}"
    )


def section(folders: Sequence[str | os.PathLike[str]]) -> str:
    """HTML fragment (no scripts, picture inlined) about finished trainings.

    Raises
    ------
    ValueError
        If a folder holds no finished training.
    """
    runs = [(Path(folder), *training_run.read(folder)) for folder in folders]
    names = [path.name or str(parameters["kind"]) for path, parameters, *_ in runs]
    progress = {name: frame for name, (*_, frame) in zip(names, runs, strict=True)}
    seen, settings = [], []
    for name, (_, parameters, manifest, frame) in zip(names, runs, strict=True):
        steps = int(frame["step"].max()) if len(frame) else 0
        cpu = f"{manifest['cpu_seconds']:.0f}"
        seen.append((name, str(parameters["seed"]), str(steps), cpu))
        settings += [(name, field, str(value)) for field, value in parameters["settings"].items()]
    logged = {column for frame in progress.values() for column in frame.columns}
    meaning = "; ".join(f"<b>{n}</b>: {text}" for n, text in MEANING.items() if n in logged)
    pictures = {"curves": plot.png(curves(progress))}
    return "".join(
        (
            "<section><h2>Learning curves</h2>",
            html_page.image(pictures, "curves", "Learning curves"),
            f'<p class="note">{meaning}.</p>',
            html_page.table(("training", "seed", "steps", "CPU s"), seen),
            html_page.table(("training", "setting", "value"), settings, text_columns=3),
            "</section>",
        )
    )


def build(folder: str | os.PathLike[str]) -> str:
    """Write ``report.html`` of a finished training; returns its path.

    Raises
    ------
    ValueError
        If the folder holds no finished training.
    """
    path = Path(folder)
    parameters, manifest, _ = training_run.read(path)
    versions = ", ".join(f"{n} {v}" for n, v in manifest["versions"].items() if v)
    kind, where = html.escape(parameters["kind"]), html.escape(str(path))
    body = (
        f"<h1>mecopt training</h1><p class='headline'>{html.escape(summary(path))}.</p>"
        f"<p>How good the policy is says a benchmark: <code>mecopt bench comllm --policies {kind} "
        f"--checkpoint {kind}={where}</code>. <code>mecopt report RUN --training {where}</code> "
        f"puts these curves on its page.</p>{section([path])}"
        f"<h2>Provenance</h2><p class='note'>{html.escape(versions)}</p>"
    )
    page = html_page.frame(f"training {parameters['kind']}", body)
    target = path / "report.html"
    files.write_bytes(target, page.encode())
    return str(target)


def is_training(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder was made by a training (finished or not)."""
    document = Path(folder) / "parameters.json"
    try:
        training_run.PARAMETERS.read(document)
    except (OSError, ValueError):
        return False
    return True
