"""Exact Lagrangian value of a branch under given prices, in integers.

Prices are integers on a grid of 2^-20 (cost per unit of time) and constant within buckets of
2^shift ns; beyond the last bucket and on private or unlimited resources time is free. Values are
integers in units of 2^-30 ns, as in `mecopt.certificates.offloading.replay`.

For fixed prices the owners separate, and the value of the branch is

    sum over owners of (cheapest priced plan) - sum over shared rows of price x capacity.

The cheapest plan of an owner is found by carrying the set of undominated (free times of private
resources, cost) from task to task. Tasks of an owner without private resources stand alone, and
take their cheapest option. What waiting costs is in `mecopt.certificates.offloading.curves`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence

from mecopt.certificates.budget import Budget
from mecopt.certificates.offloading.curves import ChainCost, Tariff
from mecopt.certificates.offloading.leaf import Leaf
from mecopt.certificates.offloading.structure import Loose, Shape, Structure
from mecopt.certificates.scales import COST_SCALE, RATIO
from mecopt.offloading.units import INFINITE_NS, UNLIMITED


class ExactPricer:
    """Exact values under one price vector; block values are remembered between leaves."""

    def __init__(
        self,
        structure: Structure,
        shift: int,
        prices: Mapping[int, Mapping[int, int]],
        budget: Budget | None = None,
    ) -> None:
        """`prices` maps a resource index to {bucket: price on the grid}."""
        self.structure = structure
        self.budget = Budget() if budget is None else budget
        x = structure.instance
        if not 0 <= shift <= 62:
            raise ValueError(f"bucket_shift {shift} is not between 0 and 62")
        last = (structure.horizon >> shift) + 1
        for r, buckets in prices.items():
            if not 0 <= r < x.n_resources:
                raise ValueError(f"no resource {r}")
            if r in structure.private or x.capacity[r] == UNLIMITED:
                raise ValueError(f"{x.resource_names[r]} is not shared: it cannot have prices")
            if buckets and max(buckets) >= last:
                raise ValueError(f"{x.resource_names[r]}: bucket {max(buckets)} is past the end")
        free = Tariff(shift, {})
        tariffs = {r: Tariff(shift, buckets) for r, buckets in prices.items()}
        self._tariff: Callable[[int], Tariff] = lambda r: tariffs.get(r, free)
        self._rent = sum(self._capacity_cost(r, shift, b) for r, b in prices.items())
        self._known: dict[tuple[object, ...], int | None] = {}
        self._curves: dict[tuple[int, int], ChainCost] = {}
        # Tasks of an owner with a resource to itself belong together, others stand alone.
        self._groups: list[tuple[int, ...]] = []
        for tasks in structure.owned:
            together = any(self._has_sources(k) for k in tasks)
            self._groups += [tasks] if together else [(k,) for k in tasks]
        #: How much is remembered.
        self.size = 1 + sum(map(len, prices.values()))

    def _capacity_cost(self, r: int, shift: int, buckets: Mapping[int, int]) -> int:
        """Scaled price of everything the resource can give."""
        x, width, total = self.structure.instance, 1 << shift, 0
        down = x.down_ns[x.down_ptr[r] : x.down_ptr[r + 1]].tolist()
        ends = [end for _, end in down]
        self.budget.spend(len(down))
        for b, price in buckets.items():
            if b < 0 or price < 0:
                raise ValueError(f"price {price} of bucket {b}: both must be >= 0")
            first, last, up = b * width, (b + 1) * width, width
            for i in range(bisect_right(ends, first), len(down)):
                start, end = down[i]
                self.budget.spend()
                if start >= last:
                    break
                up -= min(end, last) - max(start, first)
            total += price * int(x.capacity[r]) * up
        return total * RATIO

    def value(self, leaf: Leaf) -> int | None:
        """Scaled lower bound on every schedule of the leaf; None when it has none."""
        total = -self._rent
        for tasks in self._groups:
            self.budget.spend(1 + len(tasks) + sum(len(leaf.alternatives[k]) for k in tasks))
            key = tuple(
                (leaf.alternatives[k], tuple(leaf.earliest.get(o, 0) for o in leaf.alternatives[k]))
                for k in tasks
            )
            block = (tasks[0] if tasks else -1, *key)
            if block not in self._known:
                alone = len(tasks) == 1 and not self._has_sources(tasks[0])
                plan = self._cheapest(tasks[0], leaf) if alone else self._plan(tasks, leaf)
                self._known[block] = plan
                self.size += 3 * len(tasks)
            value = self._known[block]
            if value is None:
                return None
            total += value
        return total

    def _has_sources(self, k: int) -> bool:
        """Whether some option of a task uses a private resource."""
        x = self.structure.instance
        options = range(int(x.option_ptr[k]), int(x.option_ptr[k + 1]))
        return any(self.structure.shapes[o].sources for o in options)

    # ------------------------------------------------------------------ one task
    def _cheapest(self, k: int, leaf: Leaf) -> int | None:
        """Scaled cost of the cheapest way of a task whose owner has no resource to itself.

        Whatever T is, an option that ends so late that it costs T without prices costs T at least,
        and any other has only the time until then; so the least of T and of their costs within
        that time is a bound. T is the least cost at which all stages start as early as they can.
        """
        x = self.structure.instance
        alternatives = leaf.alternatives[k]
        run = [o for o in alternatives if o >= 0]
        best: int | None = None
        if x.drop_cost_ns[k] < INFINITE_NS and (
            -1 in alternatives or any(self._may_fail(k, o) for o in run)
        ):
            best = int(x.drop_cost_ns[k]) * COST_SCALE
        order = sorted((self._floor(k, o, leaf), o) for o in run)
        for floor, o in order:
            if best is not None and floor >= best:
                break
            now = self._at_once(k, o, leaf)
            if now is not None and (best is None or now < best):
                best = now
        at_once = best
        for floor, o in order:
            if best is not None and floor >= best:
                break
            cost = self._within(k, o, leaf, at_once)
            if cost is not None and (best is None or cost < best):
                best = cost
        return best

    def _reach(self, k: int, o: int, leaf: Leaf) -> int:
        release = int(self.structure.instance.release_ns[k])
        return max(release + self.structure.shapes[o].lag, leaf.earliest.get(o, 0))

    def _floor(self, k: int, o: int, leaf: Leaf) -> int:
        """Scaled cost of an option without prices when nothing waits."""
        x, shape = self.structure.instance, self.structure.shapes[o]
        self.budget.spend(3)
        latency = self._reach(k, o, leaf) + shape.span - int(x.release_ns[k])
        return int(x.latency_weight[k] * COST_SCALE) * latency + shape.fixed * COST_SCALE

    def _at_once(self, k: int, o: int, leaf: Leaf) -> int | None:
        """Scaled cost when every stage starts as early as it can; None when that is too late."""
        x, shape = self.structure.instance, self.structure.shapes[o]
        release, t = int(x.release_ns[k]), self._reach(k, o, leaf)
        if t + shape.span - release > int(x.deadline_ns[k]):
            return None
        self.budget.spend(5 * (1 + len(shape.chain) + len(shape.loose)))
        paid = 0
        for stage in shape.chain:
            paid += self._tariff(stage.resource).between(t, t + stage.service)
            t += stage.service + stage.gap
        for aside in shape.loose:
            begin = release + aside.head
            paid += self._tariff(aside.resource).between(begin, begin + aside.service)
        return paid * RATIO + self._floor(k, o, leaf)

    def _within(self, k: int, o: int, leaf: Leaf, limit: int | None) -> int | None:
        """Least scaled cost of an option that ends before it would cost `limit` without prices."""
        x, shape = self.structure.instance, self.structure.shapes[o]
        release, deadline = int(x.release_ns[k]), int(x.deadline_ns[k])
        weight, fixed = int(x.latency_weight[k] * COST_SCALE), shape.fixed * COST_SCALE
        useful = deadline
        if limit is not None and weight > 0:
            useful = min(useful, (limit - fixed) // weight)
        # Without a deadline nothing useful starts after the horizon.
        last = self.structure.horizon if deadline >= INFINITE_NS else INFINITE_NS
        reach = self._reach(k, o, leaf)
        latest = min(last, release + useful - shape.span)
        if latest < reach:
            return None
        aside = 0
        for stage in shape.loose:
            price = self._aside(stage, release, min(last, release + useful - stage.ahead))
            if price is None:
                return None
            aside += price
        curve = ChainCost(
            shape.chain, self._tariff, reach, latest, weight, fixed - weight * release, self.budget
        )
        rest = curve(reach)
        return None if rest is None else rest + aside

    # ------------------------------------------------------------------ one owner
    def _plan(self, tasks: Sequence[int], leaf: Leaf) -> int | None:
        """Scaled cost of the cheapest plan of one owner, None if it has none."""
        x = self.structure.instance
        used = {
            r
            for k in tasks
            for o in leaf.alternatives[k]
            if o >= 0
            for r, _, _ in self.structure.shapes[o].sources
        }
        order = sorted(used)
        labels: list[tuple[int, tuple[int, ...]]] = [(0, (0,) * len(order))]
        for j, k in enumerate(tasks):
            then = int(x.release_ns[tasks[j + 1]]) if j + 1 < len(tasks) else INFINITE_NS
            grown: list[tuple[int, tuple[int, ...]]] = []
            for step in self._steps(k, leaf, order):
                self.budget.keep(len(grown) + len(labels), "labels of an owner")
                for cost, free in labels:
                    self.budget.spend(10 + len(free))
                    extended = step(cost, free)
                    if extended is not None:
                        paid, times = extended
                        grown.append((paid, tuple(max(t, then) for t in times)))
            labels = undominated(grown, self.budget)
        return min((cost for cost, _ in labels), default=None)

    def _steps(self, k: int, leaf: Leaf, order: list[int]):  # type: ignore[no-untyped-def]
        """The ways task k can extend a label, as functions of (cost, free times)."""
        x = self.structure.instance
        alternatives = leaf.alternatives[k]
        run = [o for o in alternatives if o >= 0]
        forbidden = x.drop_cost_ns[k] >= INFINITE_NS
        drop = None if forbidden else int(x.drop_cost_ns[k]) * COST_SCALE
        can_fail = any(self._may_fail(k, o) for o in run)
        # One alternative that may end late still occupies its private resources (but a failure
        # in a DAG can cancel its queued stages, which then occupy nothing).
        occupies = len(run) == 1 and -1 not in alternatives and not x.needs_events
        if drop is not None and (-1 in alternatives or (can_fail and not occupies)):
            yield lambda cost, free: (cost + drop, free)
        for o in run:
            late = drop if occupies and can_fail else None
            yield self._run(k, o, leaf, order, late)

    def _may_fail(self, k: int, o: int) -> bool:
        """Whether the option can miss its deadline or be lost."""
        x = self.structure.instance
        if x.deadline_ns[k] < INFINITE_NS:
            return True
        stages = x.stage_resource[x.stage_ptr[o] : x.stage_ptr[o + 1]]
        return any(x.down_ptr[r] != x.down_ptr[r + 1] for r in stages)

    def _run(self, k: int, o: int, leaf: Leaf, order: list[int], late: int | None):  # type: ignore[no-untyped-def]
        """Extension of a label by option o; `late` is the price of finishing late, if it may."""
        x, shape = self.structure.instance, self.structure.shapes[o]
        release = int(x.release_ns[k])
        start = max(release + shape.lag, leaf.earliest.get(o, 0))
        curve, aside = self._curve(k, o, shape)
        place = {r: i for i, r in enumerate(order)} if shape.sources else {}
        self.budget.spend(len(place) + len(shape.sources))

        def extend(cost: int, free: tuple[int, ...]) -> tuple[int, tuple[int, ...]] | None:
            times, reached = list(free), start
            for r, service, lag in shape.sources:
                i = place[r]
                times[i] = max(times[i], release) + service
                if lag is not None:
                    reached = max(reached, times[i] + lag)
            rest = None if aside is None else curve(reached)
            total = None if rest is None or aside is None else rest + aside
            if late is not None and (total is None or late < total):
                total = late
            return None if total is None else (cost + total, tuple(times))

        return extend

    def _curve(self, k: int, o: int, shape: Shape) -> tuple[ChainCost, int | None]:
        """Cost to complete the option's chain, and the price of its loose stages."""
        x = self.structure.instance
        release, deadline = int(x.release_ns[k]), int(x.deadline_ns[k])
        end = release + deadline if deadline < INFINITE_NS else None
        latest = self.structure.horizon if end is None else end - shape.span
        if (k, o) not in self._curves:
            weight = int(x.latency_weight[k] * COST_SCALE)
            self._curves[k, o] = ChainCost(
                shape.chain, self._tariff, release + shape.lag, latest, weight,
                shape.fixed * COST_SCALE - weight * release, self.budget,
            )  # fmt: skip
            self.size += self._curves[k, o].size
        aside: int | None = 0
        for stage in shape.loose:
            last = self.structure.horizon if end is None else end - stage.ahead
            price = self._aside(stage, release, last)
            aside = None if price is None or aside is None else aside + price
        return self._curves[k, o], aside

    def _aside(self, stage: Loose, release: int, last: int) -> int | None:
        """Least price of a loose stage that starts at `last` at the latest; None without time."""
        first = release + stage.head
        if last < first:
            return None
        tariff = self._tariff(stage.resource)
        changes = tariff.changes
        near = changes[bisect_left(changes, first) : bisect_right(changes, last + stage.service)]
        self.budget.spend(3 + len(near))
        moments = {first, last}
        for t in near:
            moments.update(m for m in (t, t - stage.service) if first <= m <= last)
        return min(tariff.between(s, s + stage.service) for s in moments) * RATIO


def undominated(
    labels: list[tuple[int, tuple[int, ...]]], budget: Budget | None = None
) -> list[tuple[int, tuple[int, ...]]]:
    """Labels that no other is at most as dear as and nowhere later than."""
    spend = (Budget() if budget is None else budget).spend
    kept: list[tuple[int, tuple[int, ...]]] = []
    for cost, free in sorted(labels):
        spend(1 + len(kept))
        if not any(all(a <= b for a, b in zip(other, free, strict=True)) for _, other in kept):
            kept.append((cost, free))
    return kept
