"""Measured margins: how sure a device model is of its answers, and how often it is right.

Made by `learning.margins` from any causal language model; scenarios draw the uncertainties of their
queries from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mecopt import checks, files

FORMAT = files.Format("mecopt.margins", version=1)


@dataclass(frozen=True, eq=False)
class Margins(files.Saved):
    """Answers of one model to K questions.

    Parameters
    ----------
    model : str
        Name of the model.
    aggregation : str
        How margins of tokens became one uncertainty: mean, minimum or first.
    uncertainty : (K,) float
        1 - (top-1 - top-2 probability), aggregated over the tokens of the answer; 0..1.
    correct : (K,) bool
        Whether the answer was right.
    calibrated : (K,) float
        P(correct | u) by isotonic regression on other questions than the one it is for.
    task : (K,) int
        Kind of question.
    meta : mapping
        Seeds, seconds, versions.

    Raises
    ------
    ValueError
        Names the field, the position and the value of whatever is malformed.
    """

    model: str
    aggregation: str
    uncertainty: NDArray[np.float64]
    correct: NDArray[np.bool_]
    calibrated: NDArray[np.float64]
    task: NDArray[np.int64]
    meta: Mapping[str, Any] = field(default_factory=dict)

    format: ClassVar = FORMAT
    texts: ClassVar = ("model", "aggregation")

    def __post_init__(self) -> None:
        size = np.shape(self.uncertainty)
        if len(size) != 1 or size[0] == 0:
            raise ValueError(f"uncertainty must be a list of numbers, has shape {size}")
        kinds = {"uncertainty": "f", "correct": "b", "calibrated": "f", "task": "iu"}
        for name, kind in kinds.items():
            given = np.asarray(getattr(self, name))
            if given.shape != size:
                raise ValueError(f"{name} must have shape {size}, has {given.shape}")
            if given.dtype.kind not in (kind + "iu" if kind == "f" else kind):
                raise ValueError(f"{name}: has dtype {given.dtype}")
            if kind == "f":
                bad = ~((given >= 0) & (given <= 1))
                checks.refuse(bad, name, given, "must be between 0 and 1")
            dtype: Any = {"f": np.float64, "b": np.bool_, "iu": np.int64}[kind]
            object.__setattr__(self, name, checks.frozen(given, dtype))

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of the answers; meta left out."""
        digest = hashlib.sha256(f"mecopt.margins/1 {self.model} {self.aggregation}".encode())
        for name in ("uncertainty", "correct", "calibrated", "task"):
            digest.update(getattr(self, name).tobytes())
        return digest.hexdigest()

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return float(self.correct.mean())

    @property
    def correlation(self) -> float:
        """Pearson correlation of uncertainty and being right; 0 when either is constant."""
        if self.correct.all() or not self.correct.any() or np.ptp(self.uncertainty) == 0:
            return 0.0
        return float(np.corrcoef(self.uncertainty, self.correct)[0, 1])

    def reliability(self, bins: int = 10) -> NDArray[np.float64]:
        """(B, 3) mean forecast, share of right answers and number of questions per bin with any."""
        checks.whole("bins", bins, 1)
        at = np.minimum((self.calibrated * bins).astype(np.int64), bins - 1)
        count = np.bincount(at, minlength=bins)
        forecast = np.bincount(at, weights=self.calibrated, minlength=bins)
        right = np.bincount(at, weights=self.correct, minlength=bins)
        used = count > 0
        return np.stack(
            [forecast[used] / count[used], right[used] / count[used], count[used]], axis=1
        )

    def calibration_error(self, bins: int = 10) -> float:
        """Expected calibration error: mean distance of forecast and share, weighted by count."""
        table = self.reliability(bins)
        return float(np.abs(table[:, 0] - table[:, 1]) @ table[:, 2] / table[:, 2].sum())
