"""Files: versioned JSON documents (gzip by suffix), written whole or not at all.

Every document is ``{"schema": NAME, "version": N, ...}``. `docs/files.md` lists the fields.
"""

from __future__ import annotations

import gzip
import json
import math
import os
import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from mecopt import strict_json
from mecopt.strict_json import shown


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    Raises
    ------
    OSError
        If it cannot be written (the old file is untouched); names the path as given.
    """
    with named(path):
        _write_bytes(path, data)


@contextmanager
def named(path: str | os.PathLike[str]) -> Iterator[str | os.PathLike[str]]:
    """Let errors of the system name the file that somebody asked for.

    A full disk names none, and a file that is written beside and moved has a name nobody knows.
    """
    try:
        yield path
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from None


def is_half_written(path: Path) -> bool:
    """Whether a file is the beginning of one, left by a process that was killed."""
    return re.fullmatch(rf"\..+\.\w{{8}}{re.escape(_HALF)}", path.name) is not None


#: End of the name of a file that is being written.
_HALF = ".part"


def _write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    # A link stays a link: what it leads to is replaced. /dev/stdout leads to an open file of this
    # process, which is written; so is a device or a pipe.
    target = Path(os.path.realpath(path))
    if _is_open_file(Path(path)) or (target.exists() and not target.is_file()):
        with open(path, "ab") as f:
            f.write(data)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=_HALF)
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


def _is_open_file(path: Path) -> bool:
    """Whether a path leads, link by link, to a descriptor of a process (``/dev/stdout``)."""
    for _ in range(40):
        if re.match(r"/proc/[^/]+/fd(/|$)", os.path.realpath(path.parent)):
            return True
        if not path.is_symlink():
            return False
        path = path.parent / os.readlink(path)
    return False


def _from_numpy(value: Any) -> Any:
    """Arrays as lists and NumPy's numbers as Python's, for `json.dumps`."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"cannot write {type(value).__name__} to JSON")


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
    #: Whether the literals NaN and Infinity, which JSON does not have, are refused.
    finite: bool = False

    @property
    def head(self) -> dict[str, Any]:
        """The first two fields of every document of this format."""
        return {"schema": self.schema, "version": self.version}

    def text(self, body: Mapping[str, Any]) -> str:
        """A document as it is written; equal bodies give equal texts."""
        whole = {**self.head, **body}
        text = json.dumps(
            whole, default=_from_numpy, separators=(",", ":"), allow_nan=not self.finite
        )
        return text + "\n"

    def write(self, path: str | os.PathLike[str], body: Mapping[str, Any]) -> None:
        """Write a document; equal bodies give equal bytes, ``.gz`` at the end compresses them."""
        try:
            data = self.text(body).encode()
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
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
            body = strict_json.content(path, finite=self.finite)
        except FileNotFoundError:
            raise FileNotFoundError(f"{path}: no such file") from None
        except IsADirectoryError:
            raise ValueError(f"{path}: is a folder, not a file") from None
        except (ValueError, MemoryError) as error:
            raise ValueError(f"{path}: not a readable JSON document ({error})") from None
        found = body.get("schema") if isinstance(body, dict) else type(body).__name__
        if not isinstance(body, dict) or found != self.schema:
            raise ValueError(f"{path}: schema is {shown(found)}, expected {self.schema!r}")
        version = body.get("version")
        if type(version) is not int or version != self.version:
            raise ValueError(
                f"{path}: version is {shown(version)}, this mecopt reads version {self.version}"
            )
        return body

    def claimed_by(self, path: str | os.PathLike[str]) -> bool:
        """Whether a file says that it is of this format, in whatever version."""
        try:
            body = strict_json.content(path)
        except (OSError, ValueError, MemoryError):
            return False
        return isinstance(body, dict) and body.get("schema") == self.schema


class Saved(ABC):
    """What instances of every family share: one file each, that proves its own content.

    A document holds the content hash, then the fields of the (frozen data) class.
    """

    format: ClassVar[Format]
    #: Fields that hold texts; all others but those of `readers` hold numbers or null.
    texts: ClassVar[tuple[str, ...]] = ()
    #: What makes a field of what a document says; fields that are not here are taken as they are.
    readers: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}

    @property
    @abstractmethod
    def content_hash(self) -> str:
        """SHA-256 (hex) of everything that can change an outcome."""

    @classmethod
    def saved_fields(cls) -> tuple[str, ...]:
        """Names of the fields in the order of the document."""
        return tuple(f.name for f in fields(cls))  # type: ignore[arg-type]

    def to_document(self) -> dict[str, Any]:
        """JSON-able fields of the file format (docs/files.md), with the content hash."""
        body: dict[str, Any] = {"content_hash": self.content_hash}
        for name in self.saved_fields():
            value = getattr(self, name)
            if isinstance(value, np.ndarray):
                value = value.tolist()
            elif isinstance(value, Mapping):
                value = dict(value)
            elif hasattr(value, "to_document"):
                value = value.to_document()
            body[name] = value
        return body

    @classmethod
    def from_document(cls, body: Mapping[str, Any], where: str = "instance") -> Self:
        """Inverse of `to_document`.

        Raises
        ------
        ValueError
            Missing or malformed fields, or a content hash that does not match the content; names
            `where` the document is from.
        """
        if not isinstance(body, Mapping):
            raise ValueError(f"{where}: must be an object, is {shown(body)}")
        for name in (*cls.saved_fields(), "content_hash"):
            if name not in body:
                raise ValueError(f"{where}: field {name!r} is missing")
        given = {name: body[name] for name in cls.saved_fields()}
        try:
            for name, value in given.items():
                is_numbers = name not in (*cls.texts, *cls.readers, "meta")
                if is_numbers and value is not None:
                    strict_json.check_numbers(name, value)
            given |= {name: read(given[name]) for name, read in cls.readers.items()}
            instance = cls(**given)
        except (TypeError, OverflowError, IndexError, MemoryError, RecursionError) as error:
            raise ValueError(f"{where}: malformed field ({error})") from None
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        if body["content_hash"] != instance.content_hash:
            raise ValueError(f"{where}: content_hash does not match the content")
        return instance

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the instance to one JSON file (``.gz`` compresses it)."""
        self.format.write(path, self.to_document())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read an instance file; raises ValueError or FileNotFoundError naming the file."""
        return cls.from_document(cls.format.read(path), str(path))


def check_decision(
    path: str | os.PathLike[str], body: Mapping[str, Any], kinds: Mapping[str, Any], of: Saved
) -> None:
    """Refuse the document of a decision that lacks a field or belongs to another instance.

    `kinds` are the types of the fields besides ``instance_hash`` and ``objective``; the ValueError
    names the file, the field and its value.
    """
    for name, kind in {"instance_hash": str, **kinds}.items():
        if not isinstance(body.get(name), kind):
            raise ValueError(
                f"{path}: field {name!r} is missing or malformed: {shown(body.get(name))}"
            )
        if kind is list:
            _in_file(path, strict_json.check_numbers, name, body[name], whole=True)
    _in_file(path, strict_json.number, "objective", body.get("objective"))
    if body["instance_hash"] != of.content_hash:
        raise ValueError(
            f"{path}: instance_hash is {shown(body['instance_hash'][:12])}..., the instance given "
            f"has {of.content_hash[:12]}..."
        )


def _in_file(path: str | os.PathLike[str], check: Callable[..., Any], *a: Any, **k: Any) -> None:
    """A check whose error names the file as well."""
    try:
        check(*a, **k)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def check_objective(path: str | os.PathLike[str], body: Mapping[str, Any], found: float) -> None:
    """Refuse a document whose decision costs something else than it claims (to 1e-9 relative)."""
    claimed = float(body["objective"])
    if not (claimed == found or abs(claimed - found) <= 1e-9 * abs(found)):
        raise ValueError(f"{path}: objective is {claimed!r}, the replay costs {found!r}")


def plain(value: Any) -> Any:
    """The value with numbers that JSON does not know (infinite, NaN) as None."""
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def json_text(value: Any) -> str:
    """Strict JSON, its numbers as `plain` leaves them."""
    return json.dumps(plain(value), indent=1, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON, whole or not at all."""
    write_bytes(path, json_text(value).encode())
