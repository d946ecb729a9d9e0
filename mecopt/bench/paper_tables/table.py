"""A table of a paper: its figures, ours, the difference, and where each comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

#: Quantity -> heading, digits shown; a family with others gives its tables its own.
QUANTITIES = {
    "cost_slots": ("cost, slots", 4),
    "drop_percent": ("lost, %", 2),
    "pr_percent": ("PR, %", 2),
    "agreement_percent": ("as oracle, %", 1),
    "parsed_percent": ("parsed, %", 1),
    "gap_percent": ("gap to bound, %", 2),
    "backlog_fairness": ("backlog fairness", 3),
    "assignment_fairness": ("tasks fairness", 3),
    "lbi_percent": ("LBI, %", 2),
    "change_slots": ("change of cost, slots", 4),
    "gap_change_percent": ("change of gap, points", 2),
}
PROTOCOLS = {"states": "Independent states", "episodes": "Whole episodes, against proven bounds"}


@dataclass(frozen=True)
class Table:
    """A table of the paper beside ours.

    Parameters
    ----------
    name, title : str
    figures : tuple of Figure
    notes : tuple of str
        What a reader must know before comparing, and what is missing.
    paper : str
        The paper, for example ``"arXiv 2604.07148"``.
    made_from : mapping
        What our figures were measured on, JSON-able.
    quantities : mapping
        Quantity -> heading and digits shown.
    protocols : mapping
        Protocol -> heading, in the order in which they are shown.
    """

    name: str
    title: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...]
    paper: str = ""
    made_from: Mapping[str, Any] = field(default_factory=dict)
    quantities: Mapping[str, tuple[str, int]] = field(default_factory=lambda: QUANTITIES)
    protocols: Mapping[str, str] = field(default_factory=lambda: PROTOCOLS)

    def frame(self) -> pd.DataFrame:
        """One row per figure, with the difference."""
        rows = [{**vars(f), "difference": f.difference} for f in self.figures]
        return pd.DataFrame(rows)


@dataclass(frozen=True)
class Figure:
    """One figure of a table.

    Parameters
    ----------
    protocol : str
        ``"states"`` or ``"episodes"``.
    policy, method : str
        Ours, and the paper's name of what it stands for (empty for rules the paper has not).
    setting : str
        What varies within the table: servers, or a perturbation.
    quantity : str
        Name with unit.
    ours, low, high : float
        Figure and its 95 % bootstrap interval (NaN where there is none).
    paper : float or None
        As printed.
    relation : str
        ``"="``, or ``">"`` and ``"<"`` where the paper gives a limit only.
    tag : str
    """

    protocol: str
    policy: str
    setting: str
    quantity: str
    ours: float
    low: float = float("nan")
    high: float = float("nan")
    method: str = ""
    paper: float | None = None
    relation: str = "="
    tag: str = ""

    @property
    def difference(self) -> float | None:
        """Ours minus the paper's."""
        return None if self.paper is None else self.ours - self.paper
