"""Isotonic regression, and probabilities that never saw the answer they are for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from learning.margins.calibration import cross_fitted, falling_fit


def best_falling(share: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The least-squares fit among all ways to cut the points into blocks of falling means."""
    n, best, least = len(share), None, np.inf
    for cuts in itertools.product([False, True], repeat=n - 1):
        block = np.concatenate([[0], np.cumsum(cuts)]).astype(int)
        mean = np.bincount(block, share * weight) / np.bincount(block, weight)
        error = float(weight @ (share - mean[block]) ** 2)
        if np.all(np.diff(mean) <= 1e-12) and error < least - 1e-12:
            best, least = mean[block], error
    assert best is not None
    return best


def test_pool_adjacent_violators_is_the_best_falling_fit():
    """200 sets of at most 7 uncertainties, with ties, against all partitions."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        u = rng.integers(0, 7, rng.integers(1, 15)) / 7
        correct = rng.random(len(u)) < 0.5
        at, fitted = falling_fit(u, correct)
        weight = np.array([np.sum(u == x) for x in at])
        share = np.array([correct[u == x].mean() for x in at])
        assert fitted == pytest.approx(best_falling(share, weight))


def test_a_worked_example():
    """Right at 0.1; 0.2 wrong and 0.3 right break the order and share a half; wrong at 0.9."""
    at, fitted = falling_fit(np.array([0.9, 0.3, 0.1, 0.2]), np.array([False, True, True, False]))
    assert at.tolist() == [0.1, 0.2, 0.3, 0.9]
    assert fitted.tolist() == [1.0, 0.5, 0.5, 0.0]


def test_no_probability_saw_its_own_answer():
    """Turning one answer round leaves its own probability alone and moves others."""
    rng = np.random.default_rng(1)
    u = rng.random(40)
    correct = rng.random(40) > u
    before = cross_fitted(u, correct, folds=5, seed=2)
    moved = 0
    for i in range(40):
        turned = correct.copy()
        turned[i] = not turned[i]
        after = cross_fitted(u, turned, folds=5, seed=2)
        assert after[i] == before[i]
        moved += not np.array_equal(after, before)
    assert moved > 30


def test_sure_answers_come_out_likelier():
    """P(correct | u) = 1 - u, 4000 answers: the fit is within 0.1 of it, its forecasts honest."""
    rng = np.random.default_rng(3)
    u = rng.random(4000)
    correct = rng.random(4000) > u
    fitted = cross_fitted(u, correct)
    assert np.abs(fitted - (1 - u)).mean() < 0.05
    assert np.abs(fitted - (1 - u)).max() < 0.2


@pytest.mark.parametrize("right", [True, False])
def test_all_right_or_all_wrong_is_a_constant(right):
    fitted = cross_fitted(np.linspace(0, 1, 7), np.full(7, right), folds=3)
    assert fitted.tolist() == [float(right)] * 7


def test_fewer_questions_than_folds():
    with pytest.raises(ValueError, match="folds = 5: there are only 4 questions to split"):
        cross_fitted(np.linspace(0, 1, 4), np.ones(4, dtype=bool), folds=5)
