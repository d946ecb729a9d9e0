"""What every training with a Hugging Face trainer tells its run folder, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import TrainerCallback

from learning.runs.folder import OnProgress, TrainingRun

#: Logged numbers worth a column.
FIGURES = (
    "loss",
    "reward",
    "kl",
    "entropy",
    "grad_norm",
    "learning_rate",
    "group_spread_slots",
    "groups_without_spread",
    "parse_rate",
)


class Progress(TrainerCallback):
    """Hands logged numbers to the run, and keeps its rows beside each state with finite weights.

    A state counts as whole once its rows are kept, so what was saved after a training diverged
    between two logged rows is never taken up. With several processes the first one writes.

    Parameters
    ----------
    run : TrainingRun
    on_progress : callable, optional
        Called at every row of progress.
    """

    def __init__(self, run: TrainingRun, on_progress: OnProgress | None) -> None:
        self._run, self._tell = run, on_progress

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not logs or "loss" not in logs:
            return
        figures = _figures(logs)
        self._run.record(state.global_step, **figures)
        if self._tell is not None and state.is_world_process_zero:
            self._tell(state.global_step, state.max_steps, figures)

    def on_save(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self._run.check_weights(state.global_step, model.named_parameters())
        if state.is_world_process_zero:
            self._run.keep_rows(state.global_step)

    def on_train_end(
        self, args: Any, state: Any, control: Any, model: Any = None, **_: Any
    ) -> None:
        self._run.check_weights(state.global_step, model.named_parameters())


def _figures(logs: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(logs[name]) for name in FIGURES if logs.get(name) is not None}
