"""Which rules ``mecopt audit`` asks, with which options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mechanisms.audit.batch import Named
    from mecopt.market.instance import Market

_BY_LOT = ("sbba", "muda", "posted", "units-reduction")


@dataclass(frozen=True)
class Choice:
    """Options of the rules, as they were typed."""

    ticks: int
    seed: int
    reserve: float | None

    def options(self, name: str) -> dict[str, Any]:
        """Options of a rule by its name."""
        if name.startswith("dda") or name == "server-clocks":
            return {"ticks": self.ticks}
        made: dict[str, Any] = {"seed": self.seed} if name in _BY_LOT else {}
        if self.reserve is not None and _has_reserve(name):
            made["reserve"] = self.reserve
        return made

    def named(self, mechanism: str) -> tuple[Named, ...]:
        """Rules of a list with commas, each refused now if there is none.

        Raises
        ------
        ValueError
            If there is no such rule, or one cannot have the reserve price that was asked for.
        """
        from mechanisms.audit.batch import Named

        names = [name.strip() for name in mechanism.split(",")]
        if self.reserve is not None:
            without = [name for name in names if not _has_reserve(name)]
            if without:
                raise ValueError(f"reserve: {without[0]} is no rule with a reserve price")
        made = tuple(Named(n, n, {} if ":" in n else self.options(n)) for n in names)
        for rule in made:
            rule.make()
        return made

    def with_reserve(self, markets: Sequence[Market]) -> tuple[tuple[Named, ...], dict[str, str]]:
        """Every rule with a reserve price that fits all markets, and why the others do not.

        Raises
        ------
        ValueError
            If there is none.
        """
        from mechanisms import rules

        left_out = {}
        for name in rules.NAMES:
            # Where everybody has one unit these are what `k-double` is without a reserve.
            one_good = [] if name in rules.ONLY_UNITS else [m for m in markets if not m.is_graph]
            unfit = [*one_good, *(m for m in markets if m.is_graph)]
            why = next((text for m in unfit if (text := rules.misfit(name, m))), "")
            if why or not _has_reserve(name):
                left_out[name] = why or "has no reserve price"
        names = [name for name in rules.NAMES if name not in left_out]
        if not names:
            raise ValueError("reserve: no rule with a reserve price fits the market")
        return self.named(",".join(names)), left_out


def _has_reserve(name: str) -> bool:
    from mechanisms import rules

    return name in rules.UNITS_NAMES and name != "muda" or name.startswith("uniform-price")
