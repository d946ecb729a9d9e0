"""The most profitable other report, or extra report, found for one trader."""

from __future__ import annotations

from dataclasses import dataclass

from mecopt.market.instance import Side


@dataclass(frozen=True)
class Deviation:
    """The most profitable report found for one trader; gains in half minor units.

    `tried` counts reports, `errors` holds those at which a rule of somebody's own failed.
    """

    side: Side
    trader: int
    report: int
    gain: float
    schedule_changed: bool = False
    tried: int = 0
    errors: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class FalseName:
    """The most profitable extra report found for one trader; gain in half minor units."""

    side: Side
    trader: int
    extra_side: Side
    price: int
    gain: float
    errors: tuple[tuple[Side, int, str], ...] = ()
