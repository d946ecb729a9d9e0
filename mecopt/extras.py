"""Optional packages: what is missing is one sentence that says which extra to install."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, requires


@contextmanager
def needed(what: str, extra: str) -> Iterator[None]:
    """Import and use optional packages within the block.

    Parameters
    ----------
    what : str
        Whose packages they are, as the error begins: ``"policy: 'sft'"``.
    extra : str
        Of mecopt, or several with commas. Another one is named if only that has what is missing.

    Raises
    ------
    ValueError
        If a package cannot be imported; it says what to install.
    """
    try:
        yield
    except (ImportError, RuntimeError) as error:
        missing = _import_error(error)
        if missing is None:
            raise
        right = _bringing((missing.name or "").partition(".")[0], extra)
        reason = str(missing).strip().partition("\n")[0]
        raise ValueError(
            f"{what} needs the {right} extra: pip install 'mecopt[{right}]' ({reason})"
        ) from None


def _import_error(error: BaseException | None) -> ImportError | None:
    """The error, or what it was raised from: modules of TRL that load late raise another one."""
    while error is not None and not isinstance(error, ImportError):
        error = error.__cause__
    return error


def _bringing(package: str, extra: str) -> str:
    """The given extra, or the first other one where only others bring the package."""
    try:
        declared = requires("mecopt") or []
    except PackageNotFoundError:  # sources that were not installed
        declared = []
    found = [re.match(r"""([\w.-]+).*extra\s*==\s*["']([\w-]+)["']""", line) for line in declared]
    extras = [m[2] for m in found if m and m[1].replace("-", "_").lower() == package.lower()]
    return extra if not extras or {*extras} & {*extra.split(",")} else extras[0]
