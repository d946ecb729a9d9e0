"""What an actor is made of and what it is told: the part of a checkpoint that needs no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from learning.collaboration.process.rows import VIEWS
from learning.runs.settings import at_least, one_of


@dataclass(frozen=True)
class Shape:
    """What an actor is made of.

    Parameters
    ----------
    view : str
        Columns that it sees.
    hidden : int
    prior : bool
        Whether it is told a prior and a risk.
    memory : bool
        Whether it is told how its tasks ended.
    alignment : str
        ``"attention"`` or ``"mlp"``: how prior and memory are joined with the observation.
    embedding : int
        Width of a token.
    dropout : float
        Within the alignment, while it trains.

    Raises
    ------
    ValueError
        Names the field and the value that cannot be used.
    """

    view: str = "local"
    hidden: int = 64  # P
    prior: bool = False
    memory: bool = False
    alignment: str = "attention"
    embedding: int = 8  # P
    dropout: float = 0.1  # P

    def __post_init__(self) -> None:
        one_of(self, view=tuple(VIEWS), alignment=("attention", "mlp"))
        at_least(self, hidden=1, embedding=1)
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout = {self.dropout} must be in [0, 1)")

    @property
    def columns(self) -> int:
        """Columns of a row."""
        return VIEWS[self.view]

    def document(self) -> dict[str, Any]:
        """JSON-able fields."""
        return asdict(self)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of what it is told, beside the rows and the mask."""
        return (*(("prior", "risk") if self.prior else ()), *(("memory",) if self.memory else ()))
