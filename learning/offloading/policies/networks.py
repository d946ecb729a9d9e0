"""The two networks that read option rows, and the policy that decides by one.

Both give every option a total cost in tenths of a deadline (slots, in COMLLM): the believed cost
that the row states, plus a learned rest, which is what the option costs later tasks. The rest is
all there is to learn; without it both are the one-step oracle that may drop.

`EquivariantNet` scores rows with shared weights and pools over the options of the state, so that
shuffled options give shuffled scores, and any number of options will do. `FixedNet` reads the rows
of a fixed number of servers in their places: fewer servers are shown as absent, of more it sees
those of least believed cost, and shuffling changes its answers.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from learning.offloading.states import option_features
from learning.offloading.states.decision_states import States
from learning.offloading.states.option_features import BEHIND, COLUMNS, COST, PRESENT, Load, Reader
from learning.runs import folder as training_run
from mecopt import checkpoints
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.units import DROPPED

#: Costs are in tenths of a deadline.
SCALE = 10.0
#: Rows are stretched so that times of order 0.1 become inputs of order one.
_STRETCH = 4.0
_N_LOAD = len(Load._fields)


def perceptron(*widths: int) -> nn.Sequential:
    """Linear layers between these widths, a ReLU after each but the last."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def encoder(hidden: int, columns: int = len(COLUMNS)) -> nn.Sequential:
    """From an option's row and the load to a code >= 0 of the option."""
    return nn.Sequential(*perceptron(columns + _N_LOAD, hidden, hidden), nn.ReLU())


class EquivariantNet(nn.Module):
    """Rest of every option from its row, the load, and what all options of the state are like.

    Parameters
    ----------
    hidden : int
        Width of all layers.
    columns : int
        Of a row: `COLUMNS`, or those and `BEHIND`.
    """

    def __init__(self, hidden: int = 32, columns: int = len(COLUMNS)) -> None:
        super().__init__()
        self.columns = columns
        self.encode = encoder(hidden, columns)
        self.rest = perceptron(columns + _N_LOAD + 2 * hidden, hidden, hidden, 1)

    def forward(self, options: Tensor, load: Tensor) -> Tensor:
        """Rows (B, A, columns) and load (B, 3) to total costs (B, A)."""
        n_options = options.shape[1]
        rows = torch.cat([_STRETCH * options, load[:, None].expand(-1, n_options, -1)], dim=-1)
        everywhere = pooled(self.encode(rows), options)[:, None].expand(-1, n_options, -1)
        rest = self.rest(torch.cat([rows, everywhere], dim=-1))[..., 0]
        return SCALE * options[..., COST] + rest


def pooled(code: Tensor, options: Tensor) -> Tensor:
    """(B, 2 hidden) mean and maximum over the options there are of codes (B, A, hidden) >= 0."""
    present = options[..., PRESENT]
    code = code * present[..., None]
    count = present.sum(dim=1).clamp(min=1.0)[:, None]
    return torch.cat([code.sum(dim=1) / count, code.amax(dim=1)], dim=-1)


class FixedNet(nn.Module):
    """Rest of every option from all rows, each in its place.

    Parameters
    ----------
    servers : int
        Rows besides local and drop.
    hidden : int
    columns : int
        As of `EquivariantNet`.
    """

    def __init__(self, servers: int = 6, hidden: int = 96, columns: int = len(COLUMNS)) -> None:
        super().__init__()
        n = servers + 2
        self.servers, self.columns = servers, columns
        self.rest = perceptron(n * columns + _N_LOAD, hidden, hidden, n)

    def forward(self, options: Tensor, load: Tensor) -> Tensor:
        """Rows (B, servers + 2, columns) and load (B, 3) to total costs (B, servers + 2)."""
        rest = self.rest(torch.cat([_STRETCH * options.flatten(1), load], dim=-1))
        return SCALE * options[..., COST] + rest


Network = EquivariantNet | FixedNet


def seats(options: NDArray[np.float32], servers: int) -> tuple[NDArray[np.float32], NDArray]:
    """Rows (B, A, columns) as a `FixedNet` reads them, and which row sits where.

    Servers beyond `servers` are left out, dearest first; the order of those that stay is kept.

    Returns
    -------
    rows : (B, servers + 2, columns)
    which : (B, servers + 2) int
        Row of `options` behind each seat, -1 for an empty one.
    """
    b, a, _ = options.shape
    n = a - 2
    which = np.full((b, servers + 2), -1)
    which[:, 0], which[:, -1] = 0, a - 1
    if n <= servers:
        which[:, 1 : 1 + n] = np.arange(1, 1 + n)
    else:
        cost = np.where(options[..., PRESENT] > 0, options[..., COST], np.inf)[:, 1:-1]
        cheapest = np.argsort(cost, axis=1, kind="stable")[:, :servers]
        which[:, 1:-1] = 1 + np.sort(cheapest, axis=1)
    rows = np.take_along_axis(options, np.maximum(which, 0)[..., None], axis=1)
    return np.where(which[..., None] >= 0, rows, np.float32(0)), which


@dataclass
class NetworkPolicy:
    """Least total cost by a network; ties go to the first option.

    Parameters
    ----------
    net : EquivariantNet or FixedNet
    kind : str
        How it was trained: ``"equivariant"``, ``"mlp"``, ``"dqn"``, ``"ppo"``.
    about : dict
        What the checkpoint says of its training.
    """

    net: Network
    kind: str
    about: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    parse_rate: float = field(default=1.0, init=False)
    _reader: Reader | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.name = self.name or self.kind
        self.net.eval()

    @property
    def _behind(self) -> bool:
        return self.net.columns > BEHIND

    def reset(self, instance: OffloadingInstance) -> None:
        """Read what is known of the instance's load."""
        self._reader = Reader(instance, behind=self._behind)

    def act(self, observation: Observation) -> int:
        """Option of the released task, -1 to drop it."""
        if self._reader is None:
            raise RuntimeError("reset() must be called before act()")
        rows = self._reader.options(observation)
        best = int(self._best(rows[None], self._reader.load[None])[0])
        return DROPPED if best == len(rows) - 1 else best

    def decide(self, states: States) -> NDArray[np.int64]:
        """(B,) option index of each state: 0 local, 1..J servers, J + 1 drop."""
        return self._best(*option_features.of_states(states, behind=self._behind))

    def total_costs(
        self, options: NDArray[np.float32], load: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """(B, A) learned total cost of every option row, tenths of a deadline; inf if absent."""
        fixed = isinstance(self.net, FixedNet)
        rows, which = seats(options, self.net.servers) if fixed else (options, None)
        with torch.inference_mode():
            cost = self.net(torch.from_numpy(rows), torch.from_numpy(load)).numpy()
        if which is not None:
            seated = which >= 0
            out = np.full(options.shape[:2], np.inf)
            out[np.nonzero(seated)[0], which[seated]] = cost[seated]
            cost = out
        return np.where(options[..., PRESENT] > 0, cost, np.inf)

    def _best(self, options: NDArray[np.float32], load: NDArray[np.float32]) -> NDArray[np.int64]:
        return self.total_costs(options, load).argmin(axis=1)

    # ------------------------------------------------------------------ files
    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the checkpoint: ``model.safetensors`` and ``mecopt.json``."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        weights = {name: w.detach().contiguous() for name, w in self.net.state_dict().items()}
        save_file(weights, path / "model.safetensors")
        if isinstance(self.net, FixedNet):
            shape = {"servers": self.net.servers, "hidden": self.net.rest[0].out_features}
        else:
            shape = {"hidden": self.net.encode[0].out_features}
        if self._behind:
            shape["columns"] = self.net.columns
        training_run.describe_checkpoint(path, self.kind, shape=shape, about=self.about)


def load(folder: str | os.PathLike[str]) -> NetworkPolicy:
    """A policy from a checkpoint or training folder.

    Raises
    ------
    ValueError
        If there is no checkpoint, or it is damaged or of another shape.
    """
    path = checkpoints.find(folder)
    said = training_run.checkpoint_description(path)
    file = path / "model.safetensors"
    try:
        shape = {name: int(value) for name, value in said["shape"].items()}
        net: Network = FixedNet(**shape) if "servers" in shape else EquivariantNet(**shape)
        net.load_state_dict(load_file(file))
    except (KeyError, TypeError, AttributeError, RuntimeError, OSError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{file}: not a checkpoint of these networks ({reason})") from None
    return NetworkPolicy(net, str(said["kind"]), dict(said.get("about", {})))
