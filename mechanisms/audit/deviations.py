"""The most profitable other report, or extra report, found for one trader."""

from __future__ import annotations

from dataclasses import dataclass

from mecopt.market.instance import Market, Side

#: A price for every unit, or a price for each unit that is offered or wanted (half minor units).
Report = int | tuple[int, ...]


@dataclass(frozen=True)
class Deviation:
    """The most profitable report found for one trader; gains in half minor units.

    `tried` counts reports, `errors` holds those at which a rule of somebody's own failed.
    """

    side: Side
    trader: int
    report: Report
    gain: float
    schedule_changed: bool = False
    tried: int = 0
    errors: tuple[tuple[Report, str], ...] = ()

    def moved(self, market: Market) -> Market:
        """The market with that report."""
        return market.with_report(self.side, self.trader, self.report)


@dataclass(frozen=True)
class FalseName:
    """The most profitable extra report found for one trader; gain in half minor units.

    `kept` is what the trader then reports under its own name, where that is another report.
    """

    side: Side
    trader: int
    extra_side: Side
    price: Report
    gain: float
    errors: tuple[tuple[Side, Report, str], ...] = ()
    kept: tuple[int, ...] | None = None

    def moved(self, market: Market) -> Market:
        """The market with the extra report."""
        if self.kept is not None:
            market = market.with_report(self.side, self.trader, self.kept)
        return market.with_extra(self.extra_side, self.price)
