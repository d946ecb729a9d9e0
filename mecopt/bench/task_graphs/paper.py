"""The rows that the paper prints for its planners and rules (arXiv 2604.21399), all P."""

from __future__ import annotations

from dataclasses import dataclass

#: w_d of the paper, per second; its reward is accuracy - w_d x latency.
LATENCY_WEIGHT_PER_S = 0.01


@dataclass(frozen=True)
class Row:
    """A method of the paper, with the rule that stands for it here.

    Parameters
    ----------
    method : str
    reward, latency_s : float
        As printed.
    policy : str
        Ours.
    plans : bool
        Whether it plans.
    """

    method: str
    reward: float
    latency_s: float
    policy: str
    plans: bool = False

    @property
    def accuracy(self) -> float:
        """Not printed; follows from reward and latency."""
        return self.reward + LATENCY_WEIGHT_PER_S * self.latency_s


PAPER = (
    Row("local", -0.181, 19.367, "whole-local"),
    Row("nearest edge", 0.122, 14.542, "nearest-edge"),
    Row("raw 7B planner", 0.087, 16.300, "graph-greedy-raw", True),
    Row("teacher planner", 0.318, 13.773, "graph-greedy-teacher", True),
    Row("distilled 7B planner", 0.222, 12.049, "graph-greedy-distilled", True),
)
