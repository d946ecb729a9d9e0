"""Presets that differ in one number: what a figure of rates or sizes is made of.

>>> sorted(SWEEPS["links"].presets.values())[-1]
0.25
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sweep:
    """Values of one parameter of LeDRL's episodes.

    Parameters
    ----------
    name : str
        Begins the names of its presets.
    parameter : str
        Field of `mecopt.collaboration.scenarios.ledrl.Parameters`.
    words : str
        Label of an axis.
    values : tuple of float
    is_range : bool
        Whether the parameter is a pair of least and greatest, both set to the value.
    """

    name: str
    parameter: str
    words: str
    values: tuple[float, ...]
    is_range: bool = False

    @property
    def presets(self) -> Mapping[str, float]:
        """Value of each preset by name."""
        return {f"{self.name}-{value:g}": value for value in self.values}

    def changes(self, value: float) -> dict[str, Any]:
        """What a preset has in place of the paper's."""
        return {self.parameter: (value, value) if self.is_range else value}


#: Sweeps by name; the paper prints figures for failure rates up to 0.25 and 10 to 50 nodes.
SWEEPS: Mapping[str, Sweep] = {
    sweep.name: sweep
    for sweep in (
        Sweep(
            "links", "link_failure_per_s", "failures of a transfer per second",
            (0.0, 0.05, 0.1, 0.15, 0.2, 0.25), is_range=True,
        ),
        Sweep(
            "failing", "node_failure_per_s", "failures of a node per second",
            (0.0, 0.01, 0.05, 0.1, 0.15, 0.2, 0.25),
        ),
        Sweep("nodes", "nodes", "nodes", (10, 20, 30, 40, 50)),
    )
}  # fmt: skip
