"""Trained agents as an ONNX file, for machines without torch.

The folder that `export` writes holds ``policy.onnx``, whose inputs are ``rows`` (B, C, F), ``mask``
(B, C) and what the agents' shape asks for (``prior``, ``risk``, ``memory``), whose output is
``scores`` (B, C); and ``mecopt.json``, with which `learning.collaboration.runner` decides.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from learning.collaboration.agent import PRIORS
from learning.collaboration.networks import Scores, Told
from learning.collaboration.policy import LearnedPolicy, load
from learning.collaboration.runner import FILE, KIND
from learning.runs.folder import describe_checkpoint
from mecopt import checks

#: Candidates and columns of the example that is traced; files take any number of candidates.
_BATCH, _CANDIDATES = 2, 4


class _Positional(nn.Module):
    """The network with one argument for each input."""

    def __init__(self, net: Scores, names: tuple[str, ...]) -> None:
        super().__init__()
        self.net, self.names = net, names

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.net(Told(zip(self.names, inputs, strict=True)))  # type: ignore[no-any-return]


def export(
    checkpoint: str | os.PathLike[str], out: str | os.PathLike[str], *, prior: str | None = None
) -> Path:
    """Write the exported agents of a checkpoint; returns their folder.

    Parameters
    ----------
    checkpoint : path
        A checkpoint or training folder.
    out : path
        A folder; made where it is missing.
    prior : str, optional
        What the agents are told on the device, in place of the prior that they were trained with:
        a language model needs torch there.

    Raises
    ------
    ValueError
        If there is no such checkpoint, or the prior is unknown or not one that they can be told.
    OSError
        If the folder cannot be written.
    """
    policy = load(checkpoint)
    told = policy.prior if prior is None else prior
    checks.known("prior", told, PRIORS)
    if policy.shape.prior != (told != "none"):
        raise ValueError(f"prior = {told!r}: these agents were trained with {policy.prior!r}")
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    _write(policy, folder / FILE)
    describe_checkpoint(
        folder, KIND, shape=policy.shape.document(), prior=told, trained=policy.kind,
        drop_hopeless=policy.drop_hopeless, about=policy.about,
    )  # fmt: skip
    return folder


def _write(policy: LearnedPolicy, file: Path) -> None:
    shape = policy.shape
    example: dict[str, Any] = {
        "rows": torch.zeros(_BATCH, _CANDIDATES, shape.columns),
        "mask": torch.ones(_BATCH, _CANDIDATES, dtype=torch.bool),
        "prior": torch.zeros(_BATCH, _CANDIDATES),
        "risk": torch.zeros(_BATCH),
        "memory": torch.zeros(_BATCH, _CANDIDATES, 3),
    }
    names = ("rows", "mask", *shape.inputs)
    batch, candidates = torch.export.Dim("batch"), torch.export.Dim("candidates")
    axes = [{0: batch} if name == "risk" else {0: batch, 1: candidates} for name in names]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own parts
        program = torch.onnx.export(
            _Positional(policy.net, names).eval(),
            tuple(example[name] for name in names),
            dynamo=True,
            input_names=list(names),
            output_names=["scores"],
            dynamic_shapes=(tuple(axes),),
            verbose=False,
        )
    assert program is not None
    program.save(file, external_data=False)


def difference(checkpoint: str | os.PathLike[str], exported: str | os.PathLike[str]) -> float:
    """Greatest difference of scores, relative to one and their size, on random decisions.

    Parameters
    ----------
    checkpoint, exported : path
        Of the same agents.
    """
    from learning.collaboration.runner import load as load_exported

    policy, other = load(checkpoint), load_exported(Path(exported))
    rng, worst = np.random.default_rng(0), 0.0
    for candidates in (2, 4, 5):
        told: dict[str, Any] = {
            "rows": rng.normal(size=(1, candidates, policy.shape.columns)).astype(np.float32),
            "mask": np.arange(candidates)[None] < candidates - 1,
            "prior": rng.random((1, candidates), dtype=np.float32),
            "risk": rng.random(1, dtype=np.float32),
            "memory": rng.random((1, candidates, 3), dtype=np.float32),
        }
        told = {name: told[name] for name in ("rows", "mask", *policy.shape.inputs)}
        ours, theirs = policy.scores(told), other.scores(told)
        worst = max(worst, float(np.max(np.abs(ours - theirs) / (1 + np.abs(ours)))))
    return worst
