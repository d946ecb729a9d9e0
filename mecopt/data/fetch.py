"""Download the originals at the cited commits, convert them to our columns, check the content."""

from __future__ import annotations

import csv
import gzip
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mecopt.data.convert import CONVERSIONS
from mecopt.data.folder import find, resolve_data_dir
from mecopt.data.registry import FILES
from mecopt.data.spec import DataFile
from mecopt.data.tables import content
from mecopt.files import write_bytes

#: Where the originals are: BASE_URL/OWNER/REPOSITORY/COMMIT/PATH.
BASE_URL = "https://raw.githubusercontent.com"


def download(url: str, timeout_s: float = 60.0) -> bytes:
    """What a server answers at a URL.

    Raises
    ------
    ConnectionError
        Names the URL and what happened: a status other than 200, no connection, a body that is
        shorter than announced.
    """
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        raise ConnectionError(f"{url}: the server answered {error.code} {error.reason}") from None
    except http.client.IncompleteRead as error:
        raise ConnectionError(f"{url}: interrupted after {len(error.partial)} bytes") from None
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise ConnectionError(f"{url}: no download ({error})") from None


def fetch(
    names: Sequence[str] = (),
    target_dir: str | os.PathLike[str] | None = None,
    *,
    base_url: str = BASE_URL,
    progress: Callable[[str], None] = lambda line: None,
    files: Iterable[DataFile] = FILES,
) -> list[Path]:
    """Download, convert and check data files; each is written whole or not at all.

    Parameters
    ----------
    names : sequence of str
        Short names (`describe`); none means every file that has an original.
    target_dir : path, optional
        The data folder (`resolve_data_dir`).
    base_url : str
        Where the originals are.
    progress : callable
        Told one line per file.
    files : iterable of DataFile
        The registry.

    Returns
    -------
    list of Path
        The files that are now in place, in order; those already right are not loaded again.

    Raises
    ------
    ValueError
        Unknown name; a compiled table, which has no single original; an original that cannot be
        converted; converted content with another SHA-256 than the registry's.
    ConnectionError
        If a download fails.
    """
    files = tuple(files)
    wanted = [find(name, files) for name in names] or list(files)
    folder = resolve_data_dir(target_dir)
    done = []
    for spec in wanted:
        if spec.original is None:
            line = (
                f"{spec.name}: compiled from several sources, there is no single file to "
                f"download; {spec.path} {spec.described}"
            )
            if names:
                raise ValueError(line)
            progress(line)
            continue
        target = folder / spec.path
        if _is_right(target, spec):
            progress(f"{spec.name}: {target} is already there")
        else:
            write_bytes(target, _converted(spec, base_url, target))
            progress(f"{spec.name}: {target} ({spec.licence}, {spec.source})")
        done.append(target)
    return done


def _is_right(target: Path, spec: DataFile) -> bool:
    try:
        return hashlib.sha256(content(target)).hexdigest() == spec.sha256
    except (FileNotFoundError, ValueError):
        return False


def _converted(spec: DataFile, base_url: str, target: Path) -> bytes:
    """Bytes to write for a file that has an original."""
    original = spec.original
    assert original is not None
    url = f"{base_url}/{original.repository}/{original.commit}/{original.path}"
    body = download(url)
    try:
        converted = CONVERSIONS[original.conversion](body.decode("utf-8-sig"))
    except (KeyError, TypeError, ValueError, AttributeError, csv.Error) as error:
        raise ValueError(f"{url}: not the file we know, cannot be converted ({error!r})") from None
    found = hashlib.sha256(converted).hexdigest()
    if found != spec.sha256:
        raise ValueError(
            f"{url}: converted content has SHA-256 {found}, expected {spec.sha256}; "
            f"{target} was not written"
        )
    return gzip.compress(converted, mtime=0) if spec.path.endswith(".gz") else converted
