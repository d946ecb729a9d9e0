"""A table of a paper: its figures, ours, the difference, and where each comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Quantity:
    """How a quantity is shown.

    Parameters
    ----------
    heading : str
    digits : int
        After the point.
    interval : bool
        Show the interval beside the figure where the table has one setting.
    pictured : bool
        Give it a panel of the picture; of each protocol the first two of a table's have one.
    log : bool
        On a logarithmic scale there.
    """

    heading: str
    digits: int
    interval: bool = False
    pictured: bool = False
    log: bool = False


@dataclass(frozen=True)
class Table:
    """A table of the paper beside ours.

    Parameters
    ----------
    name, title : str
    figures : tuple of Figure
    notes : tuple of str
        What a reader must know before comparing, and what is missing.
    quantities : mapping
        Name -> how it is shown, those of the picture in order of preference.
    protocols : mapping
        Protocol -> heading, in the order in which they are shown.
    paper : str
        The paper, for example ``"arXiv 2604.07148"``.
    made_from : mapping
        What our figures were measured on, JSON-able.
    """

    name: str
    title: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...]
    quantities: Mapping[str, Quantity]
    protocols: Mapping[str, str]
    paper: str = ""
    made_from: Mapping[str, Any] = field(default_factory=dict)

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
        How it was measured, a key of the table's protocols.
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
