"""Modules that need an optional package: imported, or the extra to install is named."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def module(what: str, path: str, extra: str) -> ModuleType:
    """The module at `path`, for which torch and the packages of an extra must be installed.

    Parameters
    ----------
    what : str
        Whose module it is, as the error begins: ``"policy: 'sft'"``.

    Raises
    ------
    ValueError
        If a package is missing; it says what to install.
    """
    try:
        import torch  # noqa: F401

        return import_module(path)
    except ImportError as error:
        raise ValueError(
            f"{what} needs the {extra} extra: pip install 'mecopt[{extra}]' ({error})"
        ) from None
