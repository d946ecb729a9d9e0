"""Learning curves: the page of a training folder, and a section for the page of a benchmark."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from learning import recipes
from learning.runs import folder as training_run
from mecopt import files
from mecopt.bench import html as html_page
from mecopt.bench import plot
from mecopt.statistics import bootstrap_interval

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
    "success_rate": "share of tasks on time on tuning episodes, greedy decisions",
}
#: Columns without a panel.
_HIDDEN = ("step", "epoch", "training")
_MOST_PANELS = 9


def curves(progress: Mapping[str, pd.DataFrame]) -> Figure:
    """One panel per logged number, one line per training, or per group of trainings.

    Parameters
    ----------
    progress : mapping of name to DataFrame
        ``progress.parquet`` of each training: ``step`` and the logged numbers. Several trainings
        under one name (a column ``training`` tells them apart) are drawn as their mean with 95 %
        bootstrap intervals.
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
                _line(axes, frame, name, label, plot.PALETTE[k % len(plot.PALETTE)])
        plot.title(axes, name, 10)
        plot.clean(axes, "y")
        axes.set_xlabel("step", fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        if i == 0 and len(progress) > 1:
            axes.legend(fontsize=7, frameon=False)
    return picture


def _line(axes: Axes, frame: pd.DataFrame, name: str, label: str, color: str) -> None:
    """A training's numbers against steps; of several, their mean and its interval."""
    seen = frame.dropna(subset=[name])
    steps = seen.groupby("step")[name]
    mean = steps.mean()
    axes.plot(mean.index, mean, color=color, linewidth=1.4, label=label)
    if "training" in seen and seen["training"].nunique() > 1:
        low, high = zip(*(bootstrap_interval(of, resamples=1000) for _, of in steps), strict=True)
        axes.fill_between(mean.index, low, high, color=color, alpha=0.15, linewidth=0)


def grouped(
    runs: Sequence[tuple[str, Mapping[str, Any], pd.DataFrame]],
) -> dict[str, pd.DataFrame]:
    """Progress by name: trainings that differ in nothing but their seed stand under one.

    Parameters
    ----------
    runs : sequence of (name, parameters, progress)
    """
    alike: dict[str, list[tuple[str, pd.DataFrame]]] = {}
    for name, parameters, frame in runs:
        key = json.dumps([parameters["kind"], parameters["settings"]], sort_keys=True, default=str)
        alike.setdefault(key, []).append((name, frame))
    out = {}
    for group in alike.values():
        name = group[0][0] if len(group) == 1 else f"{group[0][0]} and {len(group) - 1} more"
        while name in out:  # folders of one name in different places
            name += "'"
        frames = [frame.assign(training=i) for i, (_, frame) in enumerate(group)]
        out[name] = pd.concat(frames, ignore_index=True)
    return out


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
    once = dict.fromkeys(Path(folder).resolve() for folder in folders)
    runs = [(path, *training_run.read(path)) for path in once]
    names = [path.name or str(parameters["kind"]) for path, parameters, *_ in runs]
    progress = grouped([(name, run[1], run[3]) for name, run in zip(names, runs, strict=True)])
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
            f'<p class="note">{meaning}. Trainings that differ only in their seed are drawn as '
            "their mean with 95 % intervals.</p>",
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
    trainer = recipes.MODULES.get(parameters["kind"])
    scenario = "comllm" if trainer is None else trainer.scenario
    measured = f"mecopt bench {scenario} --policies {kind} --checkpoint {kind}={where}"
    if not scenario:  # a rule of an auction
        measured = f"python -m benchmarks.mechanisms.{kind}"
    body = (
        f"<h1>mecopt training</h1><p class='headline'>{html.escape(summary(path))}.</p>"
        f"<p>How good the policy is says a benchmark: <code>{measured}</code>. "
        f"<code>mecopt report RUN --training "
        f"{where}</code> puts these curves on its page.</p>{section([path])}"
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
