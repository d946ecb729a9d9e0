"""Checkpoints: trained policies in folders, and what a benchmark remembers of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from mecopt import checks

#: The file that makes a folder a checkpoint; it says which kind of policy is inside.
MARKER = "mecopt.json"


@dataclass(frozen=True)
class Checkpoint:
    """A trained policy under a name.

    Parameters
    ----------
    name : str
        Policy name.
    folder : str
        Where it is.
    digest : str
        SHA-256 of the names and contents of its files: figures of a checkpoint that was trained
        anew in the same folder do not mix with the old ones.
    """

    name: str
    folder: str
    digest: str


def find(path: str | os.PathLike[str]) -> Path:
    """The checkpoint in a folder: the folder itself, or ``checkpoint/`` in a training folder.

    Raises
    ------
    ValueError
        If there is none.
    """
    checks.path("checkpoint", path)
    for folder in (Path(path), Path(path) / "checkpoint"):
        if (folder / MARKER).is_file():
            return folder
    raise ValueError(
        f"checkpoint: {path} holds no trained policy ({MARKER} is missing); `mecopt train` makes "
        "one"
    )


def parse(texts: Iterable[str]) -> tuple[Checkpoint, ...]:
    """Read ``NAME=FOLDER`` texts.

    Raises
    ------
    ValueError
        If one is malformed, names a folder without a checkpoint, or a name is given twice.
    """
    out: dict[str, Checkpoint] = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise ValueError(f"checkpoint: {text!r} is not NAME=FOLDER, for example sft=runs/sft")
        if name in out:
            raise ValueError(f"checkpoint: {name!r} is given twice")
        out[name] = Checkpoint(name, folder, digest(find(folder)))
    return tuple(out.values())


def digest(folder: Path) -> str:
    """SHA-256 over the relative names and contents of all files."""
    total = sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        total.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        with open(path, "rb") as f:
            while block := f.read(1 << 20):
                total.update(block)
    return total.hexdigest()
