"""The folder that a training leaves behind; every trainer of this package writes the same one.

Layout::

    parameters.json    kind, seed, settings, and the digest of the weights that the training
                       starts from, where it starts from some (written first)
    progress.parquet   one row per logged step: step, loss, ... (every number of the trainer)
    checkpoint/        the trained policy, loadable; `mecopt.json` in it says of which kind
    state.safetensors, trainer/, labelled.npz
                       optimiser and trainer state, and labels that took long, to take an
                       interrupted training up again
    run.json           versions, CPU seconds, figures; written last: without it training has not
                       ended
"""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, is_dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from learning import seeds
from learning.runs import arithmetic, divergence
from learning.runs.divergence import TrainingDiverged
from mecopt import checkpoints, files
from mecopt.bench import provenance
from mecopt.checks import check_seed

PARAMETERS = files.Format("mecopt.training-parameters", version=1)
RUN = files.Format("mecopt.training-run", version=1)
CHECKPOINT = files.Format("mecopt.checkpoint", version=1)

#: File that a trainer of our own keeps its state in.
STATE = "state.safetensors"
#: Packages whose versions can change a trained model.
PACKAGES = ("mecopt", "numpy", "torch", "transformers", "trl", "stable-baselines3", "sb3-contrib")

#: Called with (step, steps in all, figures of that step).
OnProgress = Callable[[int, int, Mapping[str, float]], None]


@dataclass(eq=False)
class TrainingRun:
    """Reads and writes the folder of one training. Make it with `TrainingRun.open`.

    Attributes
    ----------
    path : Path
    kind : str
        What is trained: ``"sft"``, ``"grpo"``, ``"dqn"``, ...
    rows : list of dict
        Progress so far.
    """

    path: Path
    kind: str
    rows: list[dict[str, float]] = field(default_factory=list)
    _cpu_before: float = 0.0
    _last_kept: int | None = None
    _cpu_begin: float = field(default_factory=time.process_time)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        kind: str,
        settings: Any,
        *,
        seed: int,
        resume: bool,
        start: str | os.PathLike[str] | None = None,
    ) -> TrainingRun:
        """Begin a training, or take one up.

        Parameters
        ----------
        path : path
        kind : str
        settings : dataclass or mapping
            Everything that decides the result, besides the seed.
        seed : int
        resume : bool
            Take up what the folder holds; a folder that holds nothing yet is begun.
        start : path, optional
            Checkpoint that the training starts from; its weights are part of the parameters.

        Raises
        ------
        ValueError
            If the seed is negative, or the folder holds something else, a training with other
            parameters or from other weights, or (without `resume`) any training.
        OSError
            If it cannot be written.
        """
        check_seed(seed)
        folder = Path(path)
        wanted = {"kind": kind, "seed": seed, "settings": _plain(settings)}
        if start is not None:
            wanted["start_sha256"] = digest(start)
        document = folder / "parameters.json"
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"out: {path} is a file, not a folder")
        if document.exists():
            found = PARAMETERS.read(document)
            _refuse_other(folder, start, found, wanted)
            if not resume:
                raise ValueError(
                    f"out: {path} already holds this training; resume it, or choose another folder"
                )
        elif folder.exists() and any(folder.iterdir()):
            raise ValueError(f"out: {path} is not empty and holds no training")
        else:
            PARAMETERS.write(document, wanted)
        return cls(folder, kind)

    # ----------------------------------------------------------------------- while it trains
    @property
    def checkpoint(self) -> Path:
        """Folder of the trained policy."""
        return self.path / "checkpoint"

    def record(self, step: int, **figures: float) -> None:
        """Add one row of progress.

        Raises
        ------
        TrainingDiverged
            If the figure ``loss`` or ``reward`` is not finite.
        """
        for name in ("loss", "reward"):
            value = figures.get(name, 0.0)
            if not np.isfinite(value):
                raise TrainingDiverged(f"{name} = {value} at step {step}{self._kept()}")
        self.rows.append({"step": step, **figures})

    def check_weights(self, step: int, weights: Iterable[tuple[str, Any]]) -> None:
        """Refuse weights (name, tensor) that no training can go on from.

        The loss says so only at the next logged row.

        Raises
        ------
        TrainingDiverged
            If one is not finite.
        """
        divergence.check(step, weights, self._kept())

    def watch(
        self, networks: Iterable[Any], step: Callable[[], int]
    ) -> AbstractContextManager[None]:
        """Stop at the first output of the networks that is not finite (`divergence.watch`)."""
        return divergence.watch(networks, step, self._kept)

    def _kept(self) -> str:
        """The end of a message about a training that stops: what there is to go on from."""
        if self._last_kept is None:
            return f"; nothing was kept in {self.path} before"
        return f"; {self.path} keeps the state of step {self._last_kept}"

    def save_state(self, step: int, state: Mapping[str, Any]) -> None:
        """Keep optimiser, model, generators, ... of a trainer of our own; whole or not at all.

        Raises
        ------
        TrainingDiverged
            If a tensor of floating-point numbers in it is not finite.
        """
        from learning.runs import state as trainer_state

        self.check_weights(step, _float_tensors("state", state))
        body = {"step": step, "rows": self.rows, "cpu_seconds": self.cpu_seconds, **state}
        trainer_state.write(self.path / STATE, body)
        self._last_kept = step

    def load_state(self) -> dict[str, Any] | None:
        """What `save_state` kept last, with ``step``; None when nothing was kept.

        Takes up the rows of progress and the CPU time of that moment.

        Raises
        ------
        ValueError
            If what was kept is damaged, or was kept by a version of mecopt whose files could run
            code when they are read.
        """
        from learning.runs import state as trainer_state

        old = self.path / "state.pt"
        if old.exists():
            raise ValueError(
                f"{old}: written by an earlier mecopt, and not read any more because reading it "
                "could run code; delete it to train from the beginning"
            )
        if not (self.path / STATE).exists():
            return None
        state = trainer_state.read(self.path / STATE)
        self.rows, self._cpu_before = state.pop("rows"), state.pop("cpu_seconds")
        self._last_kept = state["step"]
        return state

    @property
    def trainer_folder(self) -> Path:
        """Where a Hugging Face trainer keeps its own state."""
        return self.path / "trainer"

    def trainer_state(self) -> Path | None:
        """The newest whole state of a Hugging Face trainer, or None.

        Takes up the rows of progress that were kept beside it (`keep_rows`).
        """
        whole = [p.parent for p in self.trainer_folder.glob("checkpoint-*/progress.json")]
        if not whole:
            return None
        self._last_kept, newest = max((int(p.name.rpartition("-")[2]), p) for p in whole)
        kept = json.loads((newest / "progress.json").read_text(encoding="utf-8"))
        self.rows, self._cpu_before = kept["rows"], kept["cpu_seconds"]
        return newest

    def keep_rows(self, step: int) -> None:
        """Call when a Hugging Face trainer has saved a state: only then does it count as whole."""
        body = {"rows": self.rows, "cpu_seconds": self.cpu_seconds}
        target = self.trainer_folder / f"checkpoint-{step}" / "progress.json"
        files.write_bytes(target, json.dumps(body).encode())
        self._last_kept = step

    @property
    def cpu_seconds(self) -> float:
        """CPU time of this training so far, interrupted parts up to their last state included."""
        return self._cpu_before + time.process_time() - self._cpu_begin

    # ----------------------------------------------------------------------- the finished run
    def finish(self, figures: Mapping[str, Any]) -> Path:
        """Write progress, then the manifest that makes the run whole; returns the folder."""
        buffer = io.BytesIO()
        pd.DataFrame(self.rows).to_parquet(buffer, index=False)
        files.write_bytes(self.path / "progress.parquet", buffer.getvalue())
        body = {
            "status": "complete",
            "kind": self.kind,
            "cpu_seconds": self.cpu_seconds,
            "versions": provenance.versions(PACKAGES),
            "arithmetic": arithmetic.described(),
            **figures,
        }
        RUN.write(self.path / "run.json", body)
        return self.path

    @property
    def is_whole(self) -> bool:
        """True when training has ended."""
        return (self.path / "run.json").exists()


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any], pd.DataFrame]:
    """Parameters, manifest and progress of a whole training.

    Raises
    ------
    ValueError
        If the folder holds no training, or one that has not ended.
    """
    folder = Path(path)
    if not (folder / "parameters.json").exists():
        raise ValueError(f"{path}: no training here (parameters.json is missing)")
    parameters = PARAMETERS.read(folder / "parameters.json")
    if not (folder / "run.json").exists():
        raise ValueError(f"{path}: this training has not ended; resume it")
    manifest = RUN.read(folder / "run.json")
    return parameters, manifest, pd.read_parquet(folder / "progress.parquet")


def describe_checkpoint(folder: Path, kind: str, **fields: Any) -> None:
    """Write ``mecopt.json`` of a checkpoint folder: its kind, and what its loader needs.

    ``seeds``, those it was tuned and trained on, are the ranges of `learning.seeds` unless given.
    """
    body = {"kind": kind, "seeds": seeds.SEEN, **fields}
    CHECKPOINT.write(folder / checkpoints.MARKER, body)


def checkpoint_description(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """What ``mecopt.json`` of a checkpoint folder says; a run folder stands for its checkpoint.

    Raises
    ------
    ValueError
        If there is no checkpoint.
    """
    document = checkpoints.find(folder) / checkpoints.MARKER
    return CHECKPOINT.read(document)


def _float_tensors(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Tensors of floating-point numbers within nested mappings and lists, by their place."""
    import torch

    if isinstance(value, torch.Tensor) and value.is_floating_point():
        yield name, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _float_tensors(f"{name}.{key}", inner)
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from _float_tensors(f"{name}.{i}", inner)


def is_first_process() -> bool:
    """Whether this process writes: of several, `accelerate launch` and torchrun call it RANK 0."""
    return os.environ.get("RANK", "0") == "0"


def digest(folder: str | os.PathLike[str]) -> str:
    """SHA-256 of the weights of a checkpoint or training folder: which model was measured.

    Over names and contents of its safetensors files; the card beside them may change.

    Raises
    ------
    ValueError
        If there is no checkpoint, or no weights in it.
    """
    found = checkpoints.find(folder)
    weights = sorted(found.glob("*.safetensors"))
    if not weights:
        raise ValueError(f"checkpoint: {folder} has no safetensors file")
    total = sha256()
    for path in weights:
        total.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        total.update(path.read_bytes())
    return total.hexdigest()


def _plain(settings: Any) -> Any:
    """Settings as JSON gives them back."""
    body = (
        asdict(settings) if is_dataclass(settings) and not isinstance(settings, type) else settings
    )
    return json.loads(json.dumps(body))


def _refuse_other(
    folder: Path,
    start: str | os.PathLike[str] | None,
    found: Mapping[str, Any],
    wanted: Mapping[str, Any],
) -> None:
    old = {"kind": found.get("kind"), "seed": found.get("seed"), **(found.get("settings") or {})}
    new = {"kind": wanted["kind"], "seed": wanted["seed"], **wanted["settings"]}
    for name in dict.fromkeys([*new, *old]):
        if old.get(name) != new.get(name):
            raise ValueError(
                f"out: {folder} holds a training with other parameters ({name} is "
                f"{old.get(name)}, asked for {new.get(name)}); choose another folder"
            )

    # Trainings of earlier versions did not keep what they started from; they are let through.
    if found.get("start_sha256", wanted.get("start_sha256")) != wanted.get("start_sha256"):
        raise ValueError(
            f"out: {folder} holds a training that started from other weights than {start} holds "
            "now (the checkpoint was trained anew); choose another folder"
        )
