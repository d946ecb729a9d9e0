"""Files: versioned JSON documents (gzip by suffix), written whole or not at all.

Every document is ``{"schema": NAME, "version": N, ...}``. `docs/files.md` lists the fields.
"""

from __future__ import annotations

import gzip
import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    Raises
    ------
    OSError
        If the folder cannot be written (the old file is untouched).
    """
    target = Path(path)
    if target.exists() and not target.is_file():  # a device or a pipe is written, not replaced
        target.write_bytes(data)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _from_numpy(value: Any) -> Any:
    """Arrays as lists and NumPy's numbers as Python's, for `json.dumps`."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"cannot write {type(value).__name__} to JSON")


def _content(path: str | os.PathLike[str]) -> Any:
    """What a JSON file holds, compressed or not."""
    data = Path(path).read_bytes()
    return json.loads(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)


@dataclass(frozen=True)
class Format:
    """A kind of document: what its files call themselves, and the version written and read.

    Each format is declared where it lives and counts its own versions. A version goes up when
    files of the old one can no longer be read as they are.

    Examples
    --------
    >>> Format("mecopt.market", version=1).head
    {'schema': 'mecopt.market', 'version': 1}
    """

    schema: str
    version: int

    @property
    def head(self) -> dict[str, Any]:
        """The first two fields of every document of this format."""
        return {"schema": self.schema, "version": self.version}

    def write(self, path: str | os.PathLike[str], body: Mapping[str, Any]) -> None:
        """Write a document; equal bodies give equal bytes, ``.gz`` at the end compresses them."""
        text = json.dumps({**self.head, **body}, default=_from_numpy, separators=(",", ":"))
        data = (text + "\n").encode()
        write_bytes(path, gzip.compress(data, mtime=0) if str(path).endswith(".gz") else data)

    def read(self, path: str | os.PathLike[str]) -> dict[str, Any]:
        """Read a document and check what it says it is.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is not JSON, another schema or another version; names file and value.
        """
        try:
            body = _content(path)
        except FileNotFoundError:
            raise FileNotFoundError(f"{path}: no such file") from None
        except IsADirectoryError:
            raise ValueError(f"{path}: is a folder, not a file") from None
        except (EOFError, gzip.BadGzipFile, ValueError) as error:
            raise ValueError(f"{path}: not a readable JSON document ({error})") from None
        found = body.get("schema") if isinstance(body, dict) else type(body).__name__
        if not isinstance(body, dict) or found != self.schema:
            raise ValueError(f"{path}: schema is {found!r}, expected {self.schema!r}")
        version = body.get("version")
        if version != self.version:
            raise ValueError(
                f"{path}: version is {version!r}, this mecopt reads version {self.version}"
            )
        return body

    def claimed_by(self, path: str | os.PathLike[str]) -> bool:
        """Whether a file says that it is of this format, in whatever version."""
        try:
            body = _content(path)
        except (OSError, EOFError, ValueError):
            return False
        return isinstance(body, dict) and body.get("schema") == self.schema


def plain(value: Any) -> Any:
    """The value with numbers that JSON does not know (infinite, NaN) as None."""
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON, whole or not at all."""
    text = json.dumps(plain(value), indent=1, allow_nan=False)
    write_bytes(path, (text + "\n").encode())
