"""Trained agents that torch decides for, and the files of their checkpoints."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from learning.collaboration.agent import Agent, make_prior
from learning.collaboration.networks import Scores, Told
from learning.collaboration.player import Arrays
from learning.collaboration.shape import Shape
from learning.runs import folder as training_run
from mecopt import checkpoints


@dataclass
class LearnedPolicy(Agent):
    """Agents that share a network.

    Parameters
    ----------
    net : Scores
        Its shape says what they are told.
    kind : str
        How it was trained.
    about : dict
        What the checkpoint says of its training.
    """

    net: Scores = field(kw_only=True)
    kind: str = field(kw_only=True)
    about: dict[str, Any] = field(default_factory=dict)
    shape: Shape = field(init=False)

    def __post_init__(self) -> None:
        self.shape = self.net.shape
        self.view, self.name = self.shape.view, self.kind
        self.net.eval()

    @torch.inference_mode()
    def scores(self, told: Arrays) -> NDArray[np.float32]:
        """See `Agent`."""
        return np.asarray(self.net(Told({n: torch.from_numpy(a) for n, a in told.items()})))

    # ------------------------------------------------------------------ files
    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the checkpoint: ``model.safetensors`` and ``mecopt.json``."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        weights = {name: w.detach().contiguous() for name, w in self.net.state_dict().items()}
        save_file(weights, path / "model.safetensors")
        training_run.describe_checkpoint(
            path, self.kind, shape=self.net.shape.document(), prior=self.prior,
            drop_hopeless=self.drop_hopeless, about=self.about,
        )  # fmt: skip


def load(folder: str | os.PathLike[str]) -> LearnedPolicy:
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
        net = Scores(Shape(**said["shape"]))
        net.load_state_dict(load_file(file))
        kind, prior = str(said["kind"]), str(said["prior"])
        drop = bool(said["drop_hopeless"])
    except (KeyError, TypeError, AttributeError, RuntimeError, OSError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{file}: not a checkpoint of these agents ({reason})") from None
    make_prior(prior)
    return LearnedPolicy(
        net=net, kind=kind, prior=prior, drop_hopeless=drop, about=dict(said.get("about", {}))
    )
