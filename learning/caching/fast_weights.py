"""The test-time layer: fast weights that learn to restore the observation, at every slot.

A pair's row o of the observation is embedded, z = E o, in `hidden` numbers, cut into `heads` heads;
the fast weights W are one square matrix per head and server,

    y = W z (head by head),        pi(o; W) = D y,

and D maps back to the observation's size. Before the decision of every slot the server's fast
weights take one step on the observations of its last slots (the mini-batch), some of whose entries
were masked,

    W <- W - eta grad_W ||pi(O~; W) - O||^2,

in training and in testing alike, starting from the same W_0 in every episode. The network then
decides from o and y. This is T2DRL's layer; E, D and W_0 are slow weights.

Left open in print and decided here (**D**): O~ has 15 % of its entries set to zero, drawn afresh
at every step; the mini-batch holds the last 4 slots (fewer at the start); the square is averaged
over entries; the observation of a server is its P rows, restored row by row with one W, so that
the layer does not depend on the number or order of pairs; eta is chosen on tuning seeds; a gradient
is cut to norm 1. The rollout keeps W_t - W_0 beside each observation: PPO evaluates old
observations under new slow weights, but always with the displacement they were acted on with, and
so its gradient reaches E and W_0. E, D and W_0 are also trained to restore masked observations,
once per rollout (`TestTimeLayer.fit`).

References: Sun et al., Test-Time Training with Self-Supervision, ICML 2020; Sun et al., Learning to
(Learn at Test Time), 2024 (the linear layer with heads and mini-batches that T2DRL uses).
"""

from __future__ import annotations

from collections import deque

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

#: Share of entries of an observation that are masked.
MASKED = 0.15
#: Slots whose observations make one gradient.
MINI_BATCH = 4


class TestTimeLayer(nn.Module):
    """Slow weights of the layer: embedding E, first fast weights W_0, restoring head D.

    Parameters
    ----------
    size : int
        Numbers per pair of an observation.
    hidden, heads : int
        Width of the embedding and the number of heads it is cut into.
    eta : float
        Step of the fast weights.

    Raises
    ------
    ValueError
        If the heads do not divide the width, or eta is negative.
    """

    __test__ = False  # not a test, whatever pytest thinks of the name

    def __init__(self, size: int, *, hidden: int = 32, heads: int = 4, eta: float = 0.1) -> None:
        super().__init__()
        if hidden % heads:
            raise ValueError(f"heads = {heads} must divide hidden = {hidden}")
        if eta < 0:
            raise ValueError(f"eta = {eta} must not be negative")
        self.size, self.hidden, self.heads, self.eta = size, hidden, heads, eta
        width = hidden // heads
        self.embed = nn.Linear(size, hidden)
        self.first = nn.Parameter(torch.eye(width).repeat(heads, 1, 1))
        self.restore = nn.Linear(hidden, size)

    @property
    def n_fast(self) -> int:
        """Number of fast weights."""
        return self.first.numel()

    def forward(self, rows: Tensor, moved: Tensor) -> Tensor:
        """y for observations (..., P, size) and displacements W - W_0 (..., n_fast)."""
        weights = self.first + moved.unflatten(-1, self.first.shape)  # (..., heads, w, w)
        z = self.embed(rows).unflatten(-1, (self.heads, -1))  # (..., P, heads, w)
        return torch.einsum("...hij,...phj->...phi", weights, z).flatten(-2)

    def loss(self, rows: Tensor, masked: Tensor, moved: Tensor) -> Tensor:
        """Mean square of pi(O~; W) - O per leading index."""
        return (self.restore(self(masked, moved)) - rows).square().mean(dim=(-1, -2))

    def fit(
        self, rows: Tensor, optimiser: torch.optim.Optimizer, rng: np.random.Generator
    ) -> float:
        """One step of the slow weights on restoring masked observations (n, P, size)."""
        masked = rows * mask(rng, tuple(rows.shape))
        still = rows.new_zeros((len(rows), self.n_fast))
        loss = self.loss(rows, masked, still).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return float(loss.detach())


def mask(rng: np.random.Generator, shape: tuple[int, ...]) -> Tensor:
    """Zero for masked entries, one for the others."""
    return torch.from_numpy((rng.random(shape, dtype=np.float32) >= MASKED).astype(np.float32))


def gradient(
    layer: TestTimeLayer, rows: NDArray[np.float32], masked: NDArray[np.float32], moved: NDArray
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Loss and its gradient with respect to the fast weights, written out (no autograd).

    Parameters
    ----------
    rows, masked : (B, N, size) float32
        N rows (mini-batch x pairs) of each of B servers.
    moved : (B, n_fast) float32

    Returns
    -------
    loss : (B,)
    gradient : (B, n_fast)
    """
    b, n, size = rows.shape
    h, w, _ = layer.first.shape
    embed, restore = layer.embed, layer.restore
    weights = layer.first.detach().numpy() + moved.reshape(b, h, w, w)
    z = masked @ embed.weight.detach().numpy().T + embed.bias.detach().numpy()
    z = z.reshape(b, n, h, w).transpose(0, 2, 1, 3)  # (B, h, N, w)
    y = z @ weights.transpose(0, 1, 3, 2)  # (B, h, N, w)
    flat = y.transpose(0, 2, 1, 3).reshape(b, n, h * w)
    head = restore.weight.detach().numpy()  # (size, hidden)
    error = flat @ head.T + restore.bias.detach().numpy() - rows  # (B, N, size)
    back = (error @ head).reshape(b, n, h, w).transpose(0, 2, 3, 1)  # (B, h, w, N)
    scale = 2.0 / (n * size)
    return (error**2).mean(axis=(1, 2)), scale * (back @ z).reshape(b, -1)


class FastWeights:
    """The fast weights of B servers during one episode.

    Parameters
    ----------
    layer : TestTimeLayer
        Its slow weights are read at every step.
    servers : int
    seed : int
        Of the masks.

    Attributes
    ----------
    eta : float
        Step; the layer's own unless set. Zero keeps the fast weights at W_0.
    moved : (B, n_fast) float32
        W - W_0, zero at the start of the episode.
    loss : (B,) float32
        Mean square error before the last step.
    """

    def __init__(self, layer: TestTimeLayer, servers: int, *, seed: int = 0) -> None:
        self.layer, self.eta = layer, layer.eta
        self.moved = np.zeros((servers, layer.n_fast), dtype=np.float32)
        self.loss = np.zeros(servers, dtype=np.float32)
        self.rng = np.random.default_rng([seed, 15])
        self.recent: deque[NDArray[np.float32]] = deque(maxlen=MINI_BATCH)

    def learn(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """One step with the newest observations (B, P, size); returns W - W_0 (B, n_fast)."""
        self.recent.append(observation)
        rows = np.concatenate(self.recent, axis=1)
        keep = self.rng.random(rows.shape, dtype=np.float32) >= MASKED
        self.loss, slope = gradient(self.layer, rows, rows * keep, self.moved)
        length = np.linalg.norm(slope, axis=1, keepdims=True)
        slope /= np.maximum(length, 1.0)
        self.moved = self.moved - np.float32(self.eta) * slope
        return self.moved
