"""Where numba keeps compiled kernels when neither the packages nor the home folder can be written.

Numba refuses ``cache=True`` when it finds no folder to write to, while a kernel is declared. In a
container that is read-only but for its temporary folder nothing of mecopt could be imported then.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
from pathlib import Path

#: Numba's name for the folder, which worker processes inherit.
CACHE_DIR = "NUMBA_CACHE_DIR"


def ensure_cache() -> None:
    """Give numba a temporary folder, and say so in one line, where it would find no other.

    The folder belongs to this process, which removes it at its end: nobody else can put compiled
    code there. Worker processes share it.
    """
    asked = os.environ.get(CACHE_DIR)
    if (asked and _is_writable(Path(asked))) or _is_writable(_of_user()):
        return
    package = Path(__file__).parent
    if all(_is_writable(found.parent / "__pycache__") for found in package.rglob("*.py")):
        return
    import tempfile

    why = f"{asked} cannot be written" if asked else "it is not set"
    said = f"no folder for compiled kernels, they are compiled anew: set {CACHE_DIR} ({why})"
    logging.getLogger("mecopt").warning("mecopt: %s", said)
    try:
        folder = tempfile.mkdtemp(prefix="mecopt-numba-")
    except OSError:
        return  # what needs no kernel still works
    atexit.register(_remove, folder, os.getpid())
    os.environ[CACHE_DIR] = folder
    if "numba" in sys.modules:  # it has read the environment already
        sys.modules["numba"].config.CACHE_DIR = folder


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # not at the end of a forked worker
        shutil.rmtree(folder, ignore_errors=True)


def _of_user() -> Path:
    """The folder that numba uses beside sources that cannot be written."""
    if sys.platform == "darwin":
        parent = "~/Library/Caches"
    elif sys.platform == "win32":
        parent = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    else:
        parent = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.path.expanduser(parent)) / "numba"  # a user without a home has no pathlib one


def _is_writable(folder: Path) -> bool:
    """Whether files can be made in a folder, or the folder can be."""
    there = next(found for found in (folder, *folder.parents) if os.path.lexists(found))
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
