"""Trained agents as an ordinary offloading policy, and the files of their checkpoints."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from learning.collaboration import strategists
from learning.collaboration.context import EpisodeContext, Prior, RulePrior, shares
from learning.collaboration.networks import Scores, Shape, Told
from learning.collaboration.prior import LanguagePrior
from learning.collaboration.process.walk import Decision, Ends, Release, Walk
from learning.runs import folder as training_run
from mecopt import checkpoints
from mecopt.collaboration.network import Network
from mecopt.offloading.observation import Observation


def make_prior(name: str, *, evaluator: bool = True) -> Prior | None:
    """A source of strategies by its name: ``"none"``, ``"rule"`` or ``"language"``.

    Parameters
    ----------
    name : str
    evaluator : bool
        Whether the prompts of a language model hold what became of earlier tasks.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name == "none":
        return None
    if name == "rule":
        return RulePrior()
    if name == "language":
        return LanguagePrior(strategists.model(), evaluator)
    raise ValueError(f"prior: unknown {name!r}, one of none, rule, language")


@dataclass
class LearnedPolicy(Walk):
    """Every agent takes the candidate of the greatest score; ties go to the first.

    Parameters
    ----------
    net : Scores
        Shared by all agents; its shape says what they are told.
    kind : str
        How it was trained.
    prior : str
        Which prior it is told.
    about : dict
        What the checkpoint says of its training.
    """

    net: Scores = field(kw_only=True)
    kind: str = field(kw_only=True)
    prior: str = "none"
    about: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.view, self.name = self.net.shape.view, self.kind
        self.net.eval()

    def begin(self, network: Network) -> None:
        """Start memory and prior of an episode."""
        shape = self.net.shape
        assert self._episode is not None
        nodes = len(network.nodes)
        needs = shape.memory or shape.prior
        self._ends = Ends(self._episode, nodes, self.candidates) if needs else None
        source = make_prior(self.prior, evaluator=shape.memory)
        self._context = (
            EpisodeContext(network, source, self.candidates) if source is not None else None
        )

    def released(self, release: Release, observation: Observation) -> None:
        """See how earlier tasks ended."""
        self._release = release
        if self._ends is not None:
            self._ends.look(observation)

    @torch.inference_mode()
    def choose(self, decision: Decision) -> int:
        """The candidate of the greatest score."""
        told = Told(
            rows=torch.from_numpy(decision.rows[None]), mask=torch.from_numpy(decision.mask[None])
        )
        if self._ends is not None:
            if self.net.shape.memory:
                memory = shares(self._ends.counts[decision.node])[None]
                told["memory"] = torch.from_numpy(memory)
            if self._context is not None:
                self._context.look(self._release, self._ends.counts)
                prior, risk = self._context.told(decision.node)
                told["prior"] = torch.from_numpy(prior[None])
                told["risk"] = torch.from_numpy(np.array([risk]))
        return int(self.net(told)[0].argmax())

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
