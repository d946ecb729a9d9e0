"""The test-time layer: its step is the printed one, and it learns within an episode."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from learning.caching import fast_weights
from learning.caching.fast_weights import FastWeights, TestTimeLayer


@pytest.fixture
def layer():
    """Six numbers a pair, eight wide, two heads."""
    torch.manual_seed(0)
    return TestTimeLayer(6, hidden=8, heads=2, eta=0.5)


def rows_of(seed, servers=3, pairs=4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(servers, pairs, 6)).astype(np.float32)


def test_written_gradient_is_autograds(layer):
    """The gradient written out in numpy is that of ||pi(O~; W) - O||^2 by torch, to 1e-5."""
    rows, masked = rows_of(0), rows_of(0) * (rows_of(1) > -1)
    moved = np.random.default_rng(2).normal(size=(3, layer.n_fast)).astype(np.float32)
    loss, slope = fast_weights.gradient(layer, rows, masked, moved)
    point = torch.from_numpy(moved).requires_grad_()
    wanted = layer.loss(torch.from_numpy(rows), torch.from_numpy(masked), point)
    wanted.sum().backward()
    assert np.allclose(loss, wanted.detach().numpy(), rtol=1e-5)
    assert np.allclose(slope, point.grad.numpy(), rtol=1e-4, atol=1e-6)


def test_a_step_is_eta_against_the_gradient(layer):
    """W_1 - W_0 = -eta grad, on the masked first observation, when the gradient is below norm 1."""
    layer.eta, rows = 0.01, 0.1 * rows_of(0)
    fast = FastWeights(layer, 3, seed=5)
    moved = fast.learn(rows)
    keep = np.random.default_rng([5, 15]).random(rows.shape, dtype=np.float32) >= 0.15
    _, slope = fast_weights.gradient(layer, rows, rows * keep, np.zeros_like(moved))
    assert (np.linalg.norm(slope, axis=1) < 1).all()
    assert np.allclose(moved, -0.01 * slope, atol=1e-8)


def test_mini_batch_is_the_last_four_observations(layer):
    """The fifth observation pushes the first one out."""
    fast = FastWeights(layer, 3)
    seen = [rows_of(seed) for seed in range(5)]
    for rows in seen:
        fast.learn(rows)
    assert len(fast.recent) == 4
    assert all(np.array_equal(kept, rows) for kept, rows in zip(fast.recent, seen[1:], strict=True))


def test_masks_hide_fifteen_per_cent():
    """15 % of 60,000 entries, within five standard deviations (0.73 %)."""
    hidden = 1 - fast_weights.mask(np.random.default_rng(0), (100, 10, 60)).mean()
    assert abs(float(hidden) - 0.15) < 0.0073


def test_servers_learn_apart(layer):
    """What one server sees does not move another's fast weights."""
    both, changed = rows_of(0), rows_of(0)
    changed[1] += 1.0
    moved = [FastWeights(layer, 3, seed=1).learn(rows) for rows in (both, changed)]
    assert np.array_equal(moved[0][[0, 2]], moved[1][[0, 2]])
    assert not np.array_equal(moved[0][1], moved[1][1])


def test_it_learns_to_restore_what_an_episode_repeats(layer):
    """Observations that stay alike are restored better and better; a new episode starts over."""
    rows = rows_of(3)
    fast = FastWeights(layer, 3)
    losses = [fast.learn(rows) is not None and fast.loss.mean() for _ in range(60)]
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])
    again = FastWeights(layer, 3)
    again.learn(rows)
    assert again.loss.mean() == pytest.approx(losses[0])


def test_output_moves_with_the_fast_weights(layer):
    """y depends on the displacement, and gradients reach embedding and first weights through it."""
    rows = torch.from_numpy(rows_of(0))
    still = torch.zeros(3, layer.n_fast)
    y = layer(rows, still)
    assert y.shape == (3, 4, 8)
    assert not torch.allclose(y, layer(rows, still + 0.1))
    y.square().sum().backward()
    assert layer.first.grad.abs().sum() > 0 and layer.embed.weight.grad.abs().sum() > 0
    assert layer.restore.weight.grad is None


def test_fitting_lowers_the_restoring_error(layer):
    """The slow weights learn to restore masked observations."""
    optimiser = torch.optim.Adam(layer.parameters(), lr=1e-2)
    rng, rows = np.random.default_rng(0), torch.from_numpy(rows_of(0, servers=64))
    losses = [layer.fit(rows, optimiser, rng) for _ in range(150)]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])


def test_bad_sizes_are_refused():
    """Heads must divide the width, and a step cannot be negative."""
    with pytest.raises(ValueError, match="heads = 3"):
        TestTimeLayer(6, hidden=8, heads=3)
    with pytest.raises(ValueError, match="eta = -1"):
        TestTimeLayer(6, eta=-1)
