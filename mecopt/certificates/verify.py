"""Certificates: an instance, a schedule, a claimed interval, and a proof anyone can recompute.

`save` writes what a solve found; `verify` recomputes both ends in plain Python integers, without
compiled code and without a solver. Each family has its own proof, in its ``document`` module; the
table below holds those modules, and `register` adds that of a family from elsewhere. Prices made by
any other tool can be checked the same way: write them in the format of docs/files.md.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from mecopt import files
from mecopt.certificates.caching import document as caching
from mecopt.certificates.offloading import document as offloading
from mecopt.result import BoundKind, Result

FORMAT = files.Format("mecopt.certificate", version=1)

#: What a file without the field ``family`` is: the first version had one family only.
_FIRST = offloading.FAMILY

#: Family -> module that writes and checks its certificates.
_FAMILIES: dict[str, ModuleType] = {module.FAMILY: module for module in (offloading, caching)}


@dataclass(frozen=True)
class Verdict:
    """What `verify` found.

    Parameters
    ----------
    ok : bool
        Whether both ends of the claimed interval hold.
    objective, bound : float
        The claimed interval, in the unit of the instance's costs.
    leaves : int
        Leaves of the proof that were checked.
    seconds : float
    problems : list of str
        Why it was rejected; empty when `ok`.
    cost_unit : str
        Of objective and bound, with its leading space; empty when costs have none.
    """

    ok: bool
    objective: float
    bound: float
    leaves: int
    seconds: float
    problems: list[str]
    cost_unit: str


def register(module: ModuleType) -> None:
    """Make the certificates of a further family known, as `formulations.methods` does its methods.

    Parameters
    ----------
    module : module
        With a string ``FAMILY``, a string ``COST_UNIT``, and functions ``body(result)`` and
        ``check(document, where, progress)`` as in `mecopt.certificates.offloading.document`.
    """
    known = _FAMILIES.get(module.FAMILY)
    if known in (offloading, caching) and known is not module:
        raise ValueError(f"certificate: the proofs of {module.FAMILY!r} are those of mecopt")
    _FAMILIES[module.FAMILY] = module


def save(path: str | os.PathLike[str], result: Result[Any, Any]) -> None:
    """Write the certificate of a result.

    Raises
    ------
    ValueError
        If the bound is a solver's claim, or there is no schedule to certify.
    """
    if not isinstance(result, Result):
        raise ValueError(f"result: {result!r} is not what `solve` returns")
    if result.bound_kind is not BoundKind.CERTIFIED or result.proof is None:
        raise ValueError(f"certificate: the bound of method {result.method!r} is solver-claimed")
    if result.schedule is None:
        raise ValueError("certificate: the result has no schedule")
    family = result.instance.family
    if family not in _FAMILIES:
        raise ValueError(f"certificate: family {family!r} has no certificates")
    body = {"family": family, **_FAMILIES[family].body(result)}
    FORMAT.write(path, body)


def verify(
    path: str | os.PathLike[str], progress: Callable[[int, int], None] | None = None
) -> Verdict:
    """Recompute a certificate.

    Parameters
    ----------
    path : path
    progress : callable, optional
        Called with (leaves checked, leaves in all).

    Raises
    ------
    FileNotFoundError, ValueError
        If the file cannot be read as a certificate (a readable one that does not hold is a
        `Verdict` with ``ok = False``).
    """
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"path: {path!r} is not the name of a file")
    begin = time.perf_counter()
    document = FORMAT.read(path)
    name = document.get("family", _FIRST)
    if name not in _FAMILIES:
        raise ValueError(f"{path}: family is {name!r}, one of {', '.join(_FAMILIES)} is needed")
    family = _FAMILIES[name]
    found = family.check(document, str(path), progress)
    return Verdict(
        not found.problems,
        found.objective,
        found.bound,
        found.leaves,
        time.perf_counter() - begin,
        found.problems,
        family.COST_UNIT,
    )
