"""The learned auctioneer: a small network that says by how many ticks a clock jumps.

The network is two hidden layers, so numpy is all that it takes to ask it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechanisms.double_dutch.walk import State
from mecopt import checkpoints, files

FloatArray = NDArray[np.float32]
#: Kind of the checkpoint, and its file.
KIND, FILE = "auctioneer", "model.safetensors"
_HEAD = files.Format("mecopt.checkpoint", version=1)
FEATURES = 10
#: Names of the weights in the order of the layers.
LAYERS = tuple(f"{i}.{part}" for i in (0, 2, 4) for part in ("weight", "bias"))


def features(state: State) -> FloatArray:
    """(..., 10) numbers of order one of a state, or of arrays of states.

    Clocks and their gap, who has stopped on either side, whose turn it is, and the last jumps.
    """
    ticks = state.ticks
    gap = np.maximum(state.buyer_clock - np.asarray(state.seller_clock), 0)
    columns = (
        state.turn,
        4 * state.buyer_clock / ticks - 2,
        4 * state.seller_clock / ticks - 2,
        4 * gap / ticks,
        np.log2(1 + gap) / 3,
        2 * state.buyers_stopped / state.n_buyers,
        2 * state.sellers_stopped / state.n_sellers,
        4
        * (state.buyers_stopped - np.asarray(state.sellers_stopped))
        / max(state.n_buyers, state.n_sellers),
        np.log2(state.last_jump) / 3,
        np.log2(state.other_jump) / 3,
    )
    return np.stack(np.broadcast_arrays(*columns), axis=-1).astype(np.float32)


@dataclass(eq=False)
class LearnedSteps:
    """Jumps of a trained auctioneer (a `mechanisms.double_dutch.walk.Policy`).

    Parameters
    ----------
    weights : tuple of arrays
        In the order of `LAYERS`.
    jumps : (A,) int
        Ticks of each action.
    ticks : int
        Of the grid that it was trained on. On another grid clocks and jumps are scaled.
    """

    weights: tuple[FloatArray, ...]
    jumps: tuple[int, ...]
    ticks: int = 100

    def scores(self, told: FloatArray) -> FloatArray:
        """Score of every jump: (..., features) -> (..., A)."""
        first, bias, second, bias_2, third, bias_3 = self.weights
        hidden = np.maximum(told @ first.T + bias, 0)
        hidden = np.maximum(hidden @ second.T + bias_2, 0)
        out: FloatArray = hidden @ third.T + bias_3
        return out

    def __call__(self, state: State) -> int:
        """The jump of best score; once the clocks have met, each repeats its last jump."""
        if state.buyer_clock <= state.seller_clock:
            return state.last_jump
        if state.ticks == self.ticks:
            return self.jumps[int(self.scores(features(state)).argmax())]
        scale = self.ticks / state.ticks
        changes: dict[str, Any] = {
            name: getattr(state, name) * scale
            for name in ("buyer_clock", "seller_clock", "last_jump", "other_jump")
        }
        scaled = state._replace(ticks=self.ticks, **changes)
        jump = self.jumps[int(self.scores(features(scaled)).argmax())]
        return max(1, round(jump / scale))


def load(folder: Path) -> LearnedSteps:
    """An auctioneer from a checkpoint or training folder.

    Raises
    ------
    ValueError
        If it is none, or damaged.
    """
    found = checkpoints.find(folder)
    said = _HEAD.read(found / checkpoints.MARKER)
    try:
        if said["kind"] != KIND:
            raise ValueError(f"kind is {said['kind']!r}, expected {KIND!r}")
        jumps = tuple(int(jump) for jump in said["jumps"])
        weights = _tensors(found / FILE)
        policy = LearnedSteps(tuple(weights[name] for name in LAYERS), jumps, int(said["ticks"]))
        if (
            policy.scores(np.zeros(FEATURES, np.float32)).shape != (len(jumps),)
            or min(*jumps, policy.ticks) < 1
        ):
            raise ValueError("weights and jumps do not fit each other")
        if not all(np.isfinite(w).all() for w in policy.weights):
            raise ValueError("a weight is not finite")
        return policy
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise ValueError(f"checkpoint: {found} holds no auctioneer ({error})") from None


def _tensors(path: Path) -> dict[str, FloatArray]:
    """Tensors of a safetensors file: a length, a JSON header, and little-endian numbers."""
    raw = path.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:start])
    out = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] != "F32":
            raise ValueError(f"{name} is {entry['dtype']}, expected F32")
        first, last = entry["data_offsets"]
        flat = np.frombuffer(raw[start + first : start + last], dtype="<f4")
        out[name] = flat.reshape(entry["shape"]).astype(np.float32)
    return out
