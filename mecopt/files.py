"""Files: versioned JSON documents (gzip by suffix), written whole or not at all.

Every document is ``{"schema": NAME, "version": N, ...}``. `docs/files.md` lists the fields.
"""

from __future__ import annotations

import gzip
import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

INSTANCE_SCHEMA = "mecopt.offloading-instance"
CACHING_SCHEMA = "mecopt.caching-instance"
SCHEDULE_SCHEMA = "mecopt.schedule"
PLAN_SCHEMA = "mecopt.caching-plan"
CERTIFICATE_SCHEMA = "mecopt.certificate"
VERSION = 1


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


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"cannot write {type(value).__name__} to JSON")


def write_document(path: str | os.PathLike[str], schema: str, body: dict[str, Any]) -> None:
    """Write a document; a name that ends in ``.gz`` is compressed (equal bodies, equal bytes)."""
    text = json.dumps(
        {"schema": schema, "version": VERSION, **body}, default=_plain, separators=(",", ":")
    )
    data = (text + "\n").encode()
    if str(path).endswith(".gz"):
        data = gzip.compress(data, mtime=0)
    write_bytes(path, data)


def schema_of(path: str | os.PathLike[str]) -> object:
    """The schema that a file claims; None when it claims none or is not readable."""
    try:
        data = Path(path).read_bytes()
        body = json.loads(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    except (OSError, EOFError, ValueError):
        return None
    return body.get("schema") if isinstance(body, dict) else None


def read_document(path: str | os.PathLike[str], schema: str) -> dict[str, Any]:
    """Read a document and check what it says it is.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not JSON, another schema or another version; names file and value.
    """
    try:
        data = Path(path).read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        body = json.loads(data)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ValueError(f"{path}: is a folder, not a file") from None
    except (EOFError, gzip.BadGzipFile, UnicodeDecodeError, ValueError) as error:
        raise ValueError(f"{path}: not a readable JSON document ({error})") from None
    if not isinstance(body, dict) or body.get("schema") != schema:
        found = body.get("schema") if isinstance(body, dict) else type(body).__name__
        raise ValueError(f"{path}: schema is {found!r}, expected {schema!r}")
    if body.get("version") != VERSION:
        raise ValueError(
            f"{path}: version is {body.get('version')!r}, this mecopt reads version {VERSION}"
        )
    return body


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
    from mecopt.files import write_bytes

    text = json.dumps(plain(value), indent=1, allow_nan=False)
    write_bytes(path, (text + "\n").encode())
