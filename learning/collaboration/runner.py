"""Exported agents (`learning.collaboration.export`) decide with onnxruntime, without torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.collaboration.agent import PRIORS, Agent
from learning.collaboration.player import Arrays
from learning.collaboration.shape import Shape
from learning.runs.folder import checkpoint_description
from mecopt import checkpoints, checks, extras

#: Kind of such a checkpoint, and its file.
KIND, FILE = "onnx", "policy.onnx"


@dataclass
class ExportedPolicy(Agent):
    """Agents whose network is an ONNX session.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        On one thread.
    trained : str
        How it was trained.
    """

    session: Any = field(kw_only=True, repr=False)
    trained: str = field(kw_only=True)

    def __post_init__(self) -> None:
        self.view, self.name = self.shape.view, self.trained

    def scores(self, told: Arrays) -> NDArray[np.float32]:
        """See `Agent`."""
        (scores,) = self.session.run(None, told)
        return np.asarray(scores)


def load(folder: Path) -> ExportedPolicy:
    """Exported agents.

    Raises
    ------
    ValueError
        If the folder holds none, they are damaged, or the ``serve`` extra is not installed.
    """
    found = checkpoints.find(folder)
    said, file = checkpoint_description(found), found / FILE
    with extras.needed(f"policy: {str(folder)!r}", "serve"):
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as errors
    unreadable = (
        *(errors.Fail, errors.InvalidArgument, errors.InvalidGraph, errors.InvalidProtobuf),
        *(errors.NoSuchFile, errors.NotImplemented, errors.RuntimeException),
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        shape, prior = Shape(**said["shape"]), str(said["prior"])
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        names = [given.name for given in session.get_inputs()]
        columns = session.get_inputs()[0].shape[-1]
        trained, drop = str(said["trained"]), said["drop_hopeless"]
    except (KeyError, TypeError, *unreadable) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{file}: not exported agents ({reason})") from None
    checks.known("prior", prior, PRIORS)
    wanted = ["rows", "mask", *shape.inputs]
    if names != wanted:
        raise ValueError(f"{file}: takes {', '.join(names)} and not {', '.join(wanted)}")
    if columns != shape.columns:
        raise ValueError(f"{file}: takes rows of {columns} numbers and not {shape.columns}")
    if type(drop) is not bool:
        raise ValueError(f"{found}: drop_hopeless = {drop!r} must be true or false")
    if shape.prior != (prior != "none"):
        raise ValueError(f"{found}: prior = {prior!r} is not what its shape says")
    return ExportedPolicy(
        shape=shape, prior=prior, drop_hopeless=drop, session=session, trained=trained
    )
