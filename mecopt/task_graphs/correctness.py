"""Expected correctness: what a model of some size gets right, and what that makes of a task.

A subtask of difficulty d on a model of P parameters is right with probability

    alpha = 1 / (1 + exp(-a (skill(P) - d))),    skill(P) = log(P / P_low) / log(P_high / P_low),

and a task with the product over its critical subtasks (arXiv 2604.21399 gives no formula; D). A
task that is not split runs as one call whose difficulty and length follow from its subtasks, see
`undivided`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt.task_graphs.plan import Subtask, TaskPlan

#: Name of the only subtask of a task that is not split.
WHOLE = "whole"


@dataclass(frozen=True)
class Skill:
    """How correctness depends on model size.

    Parameters
    ----------
    steepness : float
        a of the module docstring, > 0.
    low_params, high_params : float
        Sizes of skill 0 and 1, parameters.

    Raises
    ------
    ValueError
        Out of range.
    """

    steepness: float = 7.0  # D
    low_params: float = 1.5e9  # D, the model of the devices
    high_params: float = 32e9  # D, the largest of the access points

    def __post_init__(self) -> None:
        if not self.steepness > 0:
            raise ValueError(f"steepness = {self.steepness!r} must be > 0")
        if not 0 < self.low_params < self.high_params:
            raise ValueError(
                f"low_params = {self.low_params!r} must be > 0 and below "
                f"high_params = {self.high_params!r}"
            )

    def of(self, params: ArrayLike) -> NDArray[np.float64]:
        """Skill of models, 0 at `low_params` and 1 at `high_params`."""
        ratio = np.asarray(params, dtype=np.float64) / self.low_params
        return np.log(ratio) / np.log(self.high_params / self.low_params)

    def correctness(self, params: ArrayLike, difficulty: ArrayLike) -> NDArray[np.float64]:
        """Probability that a model answers right; arguments broadcast."""
        with np.errstate(over="ignore"):  # an infinite margin is right or wrong for sure
            margin = self.steepness * (self.of(params) - np.asarray(difficulty, dtype=np.float64))
        return 0.5 * (1.0 + np.tanh(0.5 * margin))  # the logistic function without overflow


def undivided(plan: TaskPlan, penalty: float) -> TaskPlan:
    """The task of a plan as one call (D).

    It writes what the subtasks other than aggregators write, reads the longest prompt, and is as
    difficult as its most difficult critical subtask plus `penalty` for each further subtask that
    does work: keeping several things in mind at once is what splitting saves.
    """
    work = [s for s in plan.subtasks if s.role != "aggregate"] or list(plan.subtasks)
    hardest = max((s.difficulty for s in plan.subtasks if s.critical), default=0.0)
    return TaskPlan(
        (
            Subtask(
                WHOLE,
                "reason",
                output_tokens=sum(s.output_tokens for s in work),
                prompt_tokens=max(s.prompt_tokens for s in plan.subtasks),
                difficulty=hardest + penalty * (len(work) - 1),
            ),
        )
    )
