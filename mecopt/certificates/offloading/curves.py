"""What waiting costs: prices of a resource over time, and the least cost to complete a chain.

The cost of a stage started at s is linear in s between moments where s or s + service meets a
change of price; a chain adds such moments of its later stages. In between, the cost to complete is
concave in s (a sum of linear functions and a minimum of one with a constant), so the least cost of
waiting until some s >= t is found at those moments, at t itself, or at the latest start.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence

from mecopt.certificates.budget import Budget
from mecopt.certificates.offloading.structure import Priced
from mecopt.certificates.scales import RATIO


class Tariff:
    """Prices of one resource over time, with their integral."""

    def __init__(self, shift: int, buckets: Mapping[int, int]) -> None:
        width = 1 << shift
        steps: list[tuple[int, int]] = []  # (time, price from then on)
        end = 0
        for b in sorted(buckets):
            if b < 0 or buckets[b] < 0:
                raise ValueError(f"price {buckets[b]} of bucket {b}: both must be >= 0")
            if b * width > end:
                steps.append((end, 0))
            steps.append((b * width, buckets[b]))
            end = (b + 1) * width
        steps.append((end, 0))
        self.changes: list[int] = []  # times at which the price changes, ascending
        self._rate: list[int] = []  # price from each change on
        self._paid: list[int] = []  # integral up to each change
        for when, rate in steps:
            if rate == (self._rate[-1] if self._rate else 0):
                continue
            paid = 0
            if self.changes:
                paid = self._paid[-1] + self._rate[-1] * (when - self.changes[-1])
            self.changes.append(when)
            self._rate.append(rate)
            self._paid.append(paid)

    def until(self, t: int) -> int:
        """Price paid for using the resource from the beginning to t."""
        i = bisect_left(self.changes, t) - 1
        return self._paid[i] + self._rate[i] * (t - self.changes[i]) if i >= 0 else 0

    def between(self, start: int, end: int) -> int:
        """Price paid for [start, end)."""
        return self.until(end) - self.until(start)


class ChainCost:
    """Least scaled cost to complete a chain, as a function of the time it is reached.

    Of every stage the moments are kept at which starting it may be best, with the least cost to
    complete from there or any later one.
    """

    def __init__(
        self,
        chain: Sequence[Priced],
        tariffs: Callable[[int], Tariff],
        reached: int,
        latest: int,
        weight: int,
        offset: int,
        budget: Budget,
    ) -> None:
        self._latest = latest
        self._weight = weight
        self._offset = offset
        self._stages: list[tuple[Priced, Tariff, list[int], list[int]]] = []  # last stage first
        ahead = sum(stage.service + stage.gap for stage in chain)
        later: list[int] = []
        for stage in reversed(chain):
            step = stage.service + stage.gap
            ahead -= step
            first, last, tariff = reached + ahead, latest + ahead, tariffs(stage.resource)
            changes = tariff.changes
            near = changes[bisect_left(changes, first) : bisect_right(changes, last + step)]
            moments = {t - back for t in near for back in (0, stage.service)}
            moments.update(t - step for t in later)
            moments.add(last)
            later = sorted(t for t in moments if first <= t <= last)
            budget.spend(3 + len(moments))
            budget.keep(len(later), "moments of a chain")
            least: list[int] = []
            for s in reversed(later):
                budget.spend(3 + 3 * len(self._stages))
                paid = tariff.between(s, s + stage.service) * RATIO
                value = paid + self._from(len(self._stages), s + step)
                least.append(value if not least or value < least[-1] else least[-1])
            self._stages.append((stage, tariff, later, least[::-1]))

    @property
    def size(self) -> int:
        """How much is kept."""
        return 2 + sum(2 + len(moments) for _, _, moments, _ in self._stages)

    def _from(self, count: int, t: int) -> int:
        """Least cost when the last `count` stages are still to do and reached at t."""
        best, paid = None, 0
        for stage, tariff, moments, least in self._stages[:count][::-1]:
            # The stage waits for one of its moments, or starts at once and the next may wait.
            i = bisect_left(moments, t)
            if i < len(least) and (best is None or paid + least[i] < best):
                best = paid + least[i]
            paid += tariff.between(t, t + stage.service) * RATIO
            t += stage.service + stage.gap
        now = paid + self._weight * t + self._offset
        return now if best is None else min(best, now)

    def __call__(self, t: int) -> int | None:
        """Least cost when the chain is reached at t; None when that is too late."""
        return None if t > self._latest else self._from(len(self._stages), t)
