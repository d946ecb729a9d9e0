"""P(correct | u) by isotonic regression, for every question from the others.

The least-squares fit that never rises with the uncertainty (pool adjacent violators), joined by
straight lines between the uncertainties seen. It is cross-fitted: the questions are split into
folds, and the probabilities of a fold come from a fit to the other folds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mecopt import checks

FloatArray = NDArray[np.float64]


def falling_fit(
    uncertainty: FloatArray, correct: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """Distinct uncertainties, rising, and the fitted share of right answers at each.

    Examples
    --------
    Of 0.2 and 0.4 the second was right more often, so the two are pooled:

    >>> u, share = falling_fit(np.array([0.1, 0.2, 0.4]), np.array([True, False, True]))
    >>> share
    array([1. , 0.5, 0.5])
    """
    at, where = np.unique(uncertainty, return_inverse=True)
    weight = np.bincount(where).astype(np.float64)
    share = np.bincount(where, weights=correct) / weight
    blocks: list[tuple[float, float, int]] = []  # mean, weight, length
    for mean, w in zip(share, weight, strict=True):
        block = (float(mean), float(w), 1)
        while blocks and blocks[-1][0] < block[0]:
            m, v, n = blocks.pop()
            total = v + block[1]
            block = ((m * v + block[0] * block[1]) / total, total, n + block[2])
        blocks.append(block)
    fitted = np.repeat([b[0] for b in blocks], [b[2] for b in blocks])
    return at, np.clip(fitted, 0.0, 1.0)


def cross_fitted(
    uncertainty: FloatArray, correct: NDArray[np.bool_], *, folds: int = 5, seed: int = 0
) -> FloatArray:
    """(K,) P(correct | u) of every question from a fit that never saw its answer.

    Parameters
    ----------
    uncertainty : (K,) float
    correct : (K,) bool
    folds : int
        Parts, of sizes that differ by at most one; at least 2, at most K.
    seed : int
        Of the split.

    Raises
    ------
    ValueError
        Names the argument and the value that cannot be used.
    """
    checks.whole("folds", folds, 2)
    checks.check_seed(seed)
    count = len(uncertainty)
    if count < folds:
        raise ValueError(f"folds = {folds}: there are only {count} questions to split")
    fold = np.empty(count, dtype=np.int64)
    fold[np.random.default_rng([13, seed]).permutation(count)] = np.arange(count) % folds
    out = np.empty(count)
    for k in range(folds):
        held = fold == k
        at, share = falling_fit(uncertainty[~held], correct[~held])
        out[held] = np.interp(uncertainty[held], at, share)
    return out
