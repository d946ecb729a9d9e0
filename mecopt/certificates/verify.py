"""Certificates: an instance, a schedule, a claimed interval, and a proof anyone can recompute.

`save` writes what a solve found; `verify` recomputes both ends in plain Python integers, without
compiled code and without a solver. Each family has its own proof, in its ``document`` module; the
table below holds those modules, and `register` adds that of a family from elsewhere. Prices made by
any other tool can be checked the same way: write them in the format of docs/files.md.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from mecopt import files, strict_json
from mecopt.certificates.accuracy_delay import document as accuracy_delay
from mecopt.certificates.budget import Budget, Exhausted
from mecopt.certificates.caching import document as caching
from mecopt.certificates.checked import Checked
from mecopt.certificates.offloading import document as offloading
from mecopt.result import BoundKind, Result

FORMAT = files.Format("mecopt.certificate", version=1, finite=True)

#: Seconds a check may take unless it is told: this for every megabyte of the file, begun or whole.
SECONDS_PER_MB = 8.0

#: What a file without the field ``family`` is: the first version had one family only.
_FIRST = offloading.FAMILY

_OWN = (offloading, caching, accuracy_delay)
#: Family -> module that writes and checks its certificates.
_FAMILIES: dict[str, ModuleType] = {module.FAMILY: module for module in _OWN}


@dataclass(frozen=True)
class Verdict:
    """What `verify` found.

    Parameters
    ----------
    ok : bool
        Whether both ends of the claimed interval hold.
    decided : bool
        Whether the check came to its end; it did not when the time limit was over before
        (`ok` is False then, and nothing is known).
    family : str
    instance_hash : str
        Content hash of the instance, recomputed; compare it with that of the instance you meant.
    objective, bound : float
        The interval that was recomputed, in the unit of the instance's costs: the cost of the
        schedule (rounded up, infinite when it is none) and the bound that the proof gives
        (rounded down, minus infinity when it is none). The claims play no part in either.
    leaves : int
        Leaves of the proof that were checked.
    seconds : float
    problems : list of str
        Why it was rejected; empty when `ok`.
    cost_unit : str
        Of objective and bound, with its leading space; empty when costs have none.
    """

    ok: bool
    decided: bool
    family: str
    instance_hash: str
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
        ``check(document, where, budget)`` as in `mecopt.certificates.offloading.document`.
    """
    known = _FAMILIES.get(module.FAMILY)
    if known in _OWN and known is not module:
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
    path: str | os.PathLike[str],
    progress: Callable[[int, int], None] | None = None,
    *,
    time_limit: float | None = None,
) -> Verdict:
    """Recompute a certificate.

    Parameters
    ----------
    path : path
    progress : callable, optional
        Called with (leaves checked, leaves in all).
    time_limit : float, optional
        Seconds after which the check gives up; `SECONDS_PER_MB` for every megabyte of the file by
        default.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file cannot be read as a certificate (a readable one that does not hold is a
        `Verdict` with ``ok = False``).
    """
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"path: {path!r} is not the name of a file")
    if time_limit is not None:
        time_limit = strict_json.number("time_limit", time_limit)
        if time_limit <= 0:
            raise ValueError(f"time_limit = {time_limit!r} must be above 0")
    begin = time.perf_counter()
    budget = Budget(_default_seconds(path) if time_limit is None else time_limit, progress)
    document = FORMAT.read(path)
    name = document.get("family", _FIRST)
    if not isinstance(name, str) or name not in _FAMILIES:
        raise ValueError(
            f"{path}: family is {strict_json.shown(name)}, one of {', '.join(_FAMILIES)} is needed"
        )
    family = _FAMILIES[name]
    decided = True
    try:
        found = family.check(document, str(path), budget)
    except Exhausted as reason:
        decided, found = False, Checked(math.inf, -math.inf, 0, [str(reason)])
    except MemoryError:
        decided, found = False, Checked(math.inf, -math.inf, 0, ["not verified: out of memory"])
    except (OverflowError, RecursionError, IndexError, KeyError, TypeError) as error:
        # What no check of a field foresaw is still not a proof.
        raise ValueError(f"{path}: malformed ({type(error).__name__}: {error})") from None
    if found.bound > found.objective and not found.problems:
        # A fault of the check itself, perhaps; an empty interval is never the answer.
        problem = f"the bound {found.bound!r} is above the cost {found.objective!r} of a schedule"
        found = found._replace(problems=[problem])
    return Verdict(
        decided and not found.problems,
        decided,
        name,
        found.instance_hash,
        found.objective,
        found.bound,
        found.leaves,
        time.perf_counter() - begin,
        found.problems,
        family.COST_UNIT,
    )


def _default_seconds(path: str | os.PathLike[str]) -> float:
    try:
        size = os.path.getsize(path)
    except OSError:
        size = 0  # reading it says what is wrong
    return SECONDS_PER_MB * max(1, -(-size // 10**6))
