"""Actor and critic of T2DRL: one small network for every pair, whatever their number or order.

    c     = mean over pairs of ReLU(G [o_p, y_p])       y_p from the test-time layer, absent in PPO
    out_p = B ReLU(A [o_p, y_p] + C c)                  hidden size 128

The actor's two outputs per pair are corrections of a first guess read off the observation, so that
an untrained network is a sensible rule and what PPO adds can be measured against it: the score
starts at the pair's projected gain if it is kept, the share at all or nothing, whichever projects
better. The critic averages its one output over the pairs. Print has multilayer perceptrons of
hidden size 128 on the whole observation; this form keeps the size but is equivariant, so one
checkpoint serves any number of agents (**D**).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from learning.caching import features, hindsight
from learning.caching.actions import SCORE_RANGE
from learning.caching.fast_weights import FastWeights, TestTimeLayer

#: Size of a correction per unit of network output: a step of the optimiser must stay small beside
#: the exploration noise.
CORRECTION = 0.15
#: Size of a value per unit of network output; values are of this order.
VALUE = 4.0


class PairNetwork(nn.Module):
    """(B, P, inputs) -> (B, P, outputs), equivariant in the pairs."""

    def __init__(self, inputs: int, outputs: int, hidden: int, context: int = 32) -> None:
        super().__init__()
        self.own = nn.Linear(inputs, hidden)
        self.told = nn.Linear(inputs, context)
        self.heard = nn.Linear(context, hidden)
        self.last = nn.Linear(hidden, outputs)

    def forward(self, rows: Tensor) -> Tensor:
        """Outputs of every pair, seen beside the others."""
        context = torch.relu(self.told(rows)).mean(dim=-2, keepdim=True)
        return self.last(torch.relu(self.own(rows) + self.heard(context)))


def first_guess(rows: Tensor) -> Tensor:
    """(B, P, 2) action an untrained network takes."""
    serving, idle = rows[..., features.SERVING], rows[..., features.IDLE]
    score = torch.maximum(serving, idle) / SCORE_RANGE
    share = (4 * (serving - idle)).clamp(-0.5, 0.5)
    return torch.stack([score, share], dim=-1)


class Agent(nn.Module):
    """Actor, critic and, for T2DRL, the test-time layer.

    Parameters
    ----------
    hidden : int
    test_time : dict or None
        Arguments of `TestTimeLayer` (hidden, heads, eta); None for plain PPO.

    Attributes
    ----------
    noise : (2,) tensor
        Standard deviations of score and share while exploring; training sets them.
    """

    def __init__(
        self,
        *,
        hidden: int = 128,
        test_time: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.layer = None if test_time is None else TestTimeLayer(features.SIZE, **test_time)
        inputs = features.SIZE + (0 if self.layer is None else self.layer.hidden)
        self.actor = PairNetwork(inputs, 2, hidden)
        self.critic = PairNetwork(inputs + hindsight.SIZE, 1, hidden)
        self.register_buffer("noise", torch.tensor([0.02, 0.08]), persistent=False)
        for network, size in ((self.actor, 0.01), (self.critic, 0.1)):
            with torch.no_grad():
                network.last.weight.mul_(size)
                network.last.bias.zero_()

    @property
    def n_fast(self) -> int:
        """Fast weights per server; 0 for plain PPO."""
        return 0 if self.layer is None else self.layer.n_fast

    def inputs(self, rows: Tensor, moved: Tensor | None) -> Tensor:
        """The observation, with y beside it when there is a test-time layer."""
        if self.layer is None:
            return rows
        return torch.cat([rows, self.layer(rows, moved)], dim=-1)

    def mean_action(self, inputs: Tensor) -> Tensor:
        """(B, P, 2) mean of the action."""
        return first_guess(inputs) + CORRECTION * self.actor(inputs)

    def act(self, rows: NDArray[np.float32], fast: FastWeights | None) -> NDArray[np.float32]:
        """Mean action for observations (B, P, SIZE); fast weights first learn from them."""
        moved = None if fast is None else torch.from_numpy(fast.learn(rows))
        with torch.inference_mode():
            found: NDArray[np.float32] = self.mean_action(
                self.inputs(torch.from_numpy(rows), moved)
            ).numpy()
        return found

    def value(self, inputs: Tensor, to_come: Tensor) -> Tensor:
        """(B, 1) value of the server's state, given what is to come (`hindsight`)."""
        return VALUE * self.critic(torch.cat([inputs, to_come], dim=-1)).mean(dim=-2)
