"""What the two numbers in [-1, 1] per pair mean that a trained network gives as its action.

score   how much the pair is wanted resident: unsquashed to sign(z) (e^|z| - 1), z = 6 action,
        in units of a request's cloud cost; pairs at or below zero are not wanted
share   1/2 + 2 action, cut to [0, 1], of this slot's requests are to be served at the edge
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Scores are unsquashed from [-SCORE_RANGE, SCORE_RANGE].
SCORE_RANGE = 6.0
#: Steepness of the share: it runs from none to all while the action runs over the middle half.
SHARE_SLOPE = 2.0


def unsquashed(z: NDArray) -> NDArray[np.float64]:
    """Inverse of the features' logarithmic scale."""
    wide = np.asarray(z, dtype=np.float64)
    return np.sign(wide) * np.expm1(np.abs(wide))


def scores_and_shares(action: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores and shares (..., P) that actions (..., P, 2) mean to the feasibility layer."""
    clipped = np.clip(action, -1.0, 1.0).astype(np.float64)
    return unsquashed(SCORE_RANGE * clipped[..., 0]), 0.5 + SHARE_SLOPE * clipped[..., 1]
