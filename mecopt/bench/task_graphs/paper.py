"""The rows that the paper prints for its planners and rules (arXiv 2604.21399), all P."""

from __future__ import annotations

from dataclasses import dataclass

#: w_d of the paper, per second; its reward is accuracy - w_d x latency.
LATENCY_WEIGHT_PER_S = 0.01


@dataclass(frozen=True)
class Row:
    """A method of the paper, with the rule and the planner that stand for it here.

    Parameters
    ----------
    method : str
    reward, latency_s : float
        As printed.
    policy : str
        Ours.
    planner : str
        Ours; empty for rules that need no planner.
    """

    method: str
    reward: float
    latency_s: float
    policy: str
    planner: str = ""

    @property
    def accuracy(self) -> float:
        """Not printed; follows from reward and latency."""
        return self.reward + LATENCY_WEIGHT_PER_S * self.latency_s


PAPER = (
    Row("local", -0.181, 19.367, "local"),
    Row("nearest edge", 0.122, 14.542, "nearest-edge"),
    Row("raw 7B planner", 0.087, 16.300, "greedy", "raw"),
    Row("teacher planner", 0.318, 13.773, "greedy", "teacher"),
    Row("distilled 7B planner", 0.222, 12.049, "greedy", "distilled"),
)
