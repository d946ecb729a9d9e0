"""Checks of user input: every failure is a `ValueError` that names the argument and the value."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from os import PathLike
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt.terminal import CONTROL

ParametersT = TypeVar("ParametersT")


def refuse(bad: NDArray[np.bool_], name: str, values: ArrayLike, why: str) -> None:
    """Raise a ValueError about the first flagged entry of an array."""
    bad = np.atleast_1d(bad)
    if not bad.any():
        return
    where = tuple(int(i) for i in np.argwhere(bad)[0])
    value = np.atleast_1d(np.asarray(values))[where]
    at = f"[{', '.join(map(str, where))}]" if np.ndim(values) else ""
    raise ValueError(f"{name}{at} = {value} {why}")


def steps(values: ArrayLike, step: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Whole steps of a grid nearest to each amount, and which amounts are not on the grid.

    An amount may miss the grid by what floating point makes of sums such as 0.1 + 0.2: 2^-40 of
    itself, and never more than a thousandth of a step.
    """
    exact = np.asarray(values, dtype=np.float64) / step
    nearest = np.rint(exact)
    noise = np.minimum(1e-3, np.abs(exact) * 2.0**-40)
    return nearest, np.abs(exact - nearest) > noise


def on_grid(
    name: str, values: ArrayLike, step: float, unit: str = "", hint: str = ""
) -> NDArray[np.float64]:
    """Whole steps of a grid; amounts between two of them are refused in the unit they came in.

    Parameters
    ----------
    name : str
    values : array_like
        Finite amounts.
    step : float
        Distance of two points of the grid, in the unit of the amounts.
    unit : str
        For the message.
    hint : str
        What can be done, for the message.

    Raises
    ------
    ValueError
        Names the argument, the position, the value and the nearest point of the grid.

    Examples
    --------
    >>> on_grid("memory_gb", [0.1 + 0.2], 0.001, "GB")
    array([300.])
    """
    nearest, off = steps(values, step)
    if off.any():
        closest = float(np.atleast_1d(nearest)[tuple(np.argwhere(np.atleast_1d(off))[0])]) * step
        tail = f" {unit}" if unit else ""
        refuse(
            off,
            name,
            values,
            f"{tail} is not on the grid of {step:g}{tail}, nearest {closest:.12g}{hint}".strip(),
        )
    return nearest


def frozen(array: ArrayLike, dtype: Any) -> NDArray[Any]:
    """A read-only contiguous copy."""
    out = np.array(array, dtype=dtype, order="C", copy=True)
    out.setflags(write=False)
    return out


def whole_numbers(name: str, given: ArrayLike, dtype: Any = np.int64) -> NDArray[Any]:
    """Frozen whole numbers; fractions, texts and flags are refused, not converted.

    Raises
    ------
    ValueError
        If there is anything else, or a number that the type does not hold.
    """
    array = np.asarray(given)
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(f"{name}: must hold whole numbers, has dtype {array.dtype}")
    limits = np.iinfo(dtype)
    refuse((array < limits.min) | (array > limits.max), name, array, "is out of range")
    return frozen(array, dtype)


def no_duplicates(name: str, values: Sequence[str]) -> None:
    """Raise when a name occurs twice."""
    if len(set(values)) == len(values):
        return
    seen: set[str] = set()
    for i, value in enumerate(values):
        if value in seen:
            raise ValueError(f"{name}[{i}]: duplicate name {value!r}")
        seen.add(value)


def names(name: str, values: Any) -> tuple[str, ...]:
    """Names as a tuple; no list of texts, and texts with control characters, are refused.

    Names are printed, and files come from anybody: a control character could clear the screen.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ValueError(f"{name}: must be a list of names, is {reprlib.repr(values)}")
    out = tuple(values)
    if set(map(type, out)) <= {str} and not CONTROL.search("".join(out)):
        return out  # a million names are looked at once
    for i, value in enumerate(out):
        if not isinstance(value, str):
            raise ValueError(f"{name}[{i}] = {reprlib.repr(value)} is not a name")
        if CONTROL.search(value):
            raise ValueError(f"{name}[{i}] = {ascii(value)[:60]} has a control character")
    return out


def mapping(name: str, value: Any) -> None:
    """Refuse what has no fields, such as ``None`` for a missing ``meta``."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{name}: must be an object, is {reprlib.repr(value)}")


def integers(name: str, values: Sequence[Any]) -> NDArray[Any]:
    """Array of whole numbers; floats that are not whole and other types are refused."""
    for i, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise ValueError(f"{name}[{i}] = {value!r} must be a whole number")
    return np.asarray(values, dtype=np.int64)


def whole(name: str, value: Any, least: int = 0) -> None:
    """Refuse what is not a whole number of at least `least`, such as a seed below zero."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} = {value!r} must be a whole number >= {least}")


def one_of(name: str, value: Any, allowed: Iterable[str]) -> None:
    """Refuse a word that is not among those allowed."""
    if value not in tuple(allowed):
        raise ValueError(f"{name} = {value!r} must be one of {', '.join(allowed)}")


def known(name: str, value: Any, names: Iterable[str]) -> None:
    """Refuse a name that nothing has, such as that of a preset."""
    if value not in tuple(names):
        raise ValueError(f"{name}: unknown {value!r}, one of {', '.join(names)}")


def changed(parameters: ParametersT, changes: Mapping[str, object]) -> ParametersT:
    """A copy of a data class of parameters with changes; unknown names are refused."""
    unknown = sorted(set(changes) - {f.name for f in fields(parameters)})  # type: ignore[arg-type]
    if unknown:
        raise ValueError(f"parameters: unknown {unknown[0]!r}")
    return replace(parameters, **changes)  # type: ignore[type-var]


def pair(name: str, value: Any) -> tuple[float, float]:
    """Two numbers, such as the ends of a range; anything else is refused."""
    try:
        first, second = (float(v) for v in value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} = {value!r} must be two numbers") from None
    return first, second


def path(name: str, value: Any) -> None:
    """Refuse what cannot be the name of a file or folder."""
    if not isinstance(value, str | PathLike) or not str(value):
        raise ValueError(f"{name}: {value!r} is not the name of a file or folder")


def check_seed(seed: Any, name: str = "seed") -> None:
    """Refuse a seed that is negative or no whole number."""
    whole(name, seed)


def check_rollout(instance: Any, policy: Any, family: type) -> None:
    """Refuse what cannot be rolled out: an instance of another family, or what is no policy."""
    if not isinstance(instance, family):
        raise ValueError(f"instance = {instance!r} is no {family.__name__}")
    if isinstance(policy, type):
        name = policy.__name__
        raise ValueError(f"policy: {name} is a class, give an instance: {name}()")
    for method in ("reset", "act"):
        if not callable(getattr(policy, method, None)):
            raise ValueError(f"policy = {policy!r} has no method {method!r}")
