r"""Exact cost of a decision and exact Lagrangian value of a region, in whole numbers of 2^-20 ns.

A region of decisions says how many queries leave the device in all (``fewest`` to ``utmost``), and
for every server j how many it serves (``least[j]`` to ``most[j]``), between which limits the sum of
their roots lies (``low[j]`` to ``high[j]``), and which users may be there. With g_ij what accuracy
user i wins at server j and G what is to be won in all beyond the devices, under prices p_i of users
and nu of leaving the device (of any sign), lambda >= 0 of accuracy, and slopes sigma_jn of the
square,

.. math::

    L = \sum_i p_i + \lambda G + \min(\nu\,fewest, \nu\,utmost) + \sum_i \min(0, l_i - p_i)
      + \sum_j \min_n \Big( n q_j + \min_{|S| = n} \sum_{i \in S}
        (n c_{ij} - w_i + \sigma_{jn} r_{ij} - \lambda g_{ij} - \nu - p_i)
      + \min_{T \in [low_j, high_j]} (T^2 - \sigma_{jn} T) \Big)

is at most the objective of every decision in the region that reaches the accuracy: each of its
users is on the device or at one server (p_i (1 - sum x) = 0), it wins at least G, the number n of
its queries that leave has nu n >= min(nu fewest, nu utmost), the square of a server's roots is T^2
for its own T, and the rest are minima over more than it. The device term is
left out for users who are settled at a server.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mecopt.accuracy_delay.instance import UNITS_PER_NS, QuerySnapshot
from mecopt.certificates.budget import Budget


@dataclass(frozen=True)
class Region:
    """What a node of the tree leaves open (see the module docstring).

    Parameters
    ----------
    fewest, utmost : int
        Queries that leave the device.
    least, most, low, high : tuple of int, length M
    barred : frozenset of (user, server)
        Pairs that are out.
    settled : frozenset of (user, server)
        Users who are at a server for certain.
    """

    fewest: int
    utmost: int
    least: tuple[int, ...]
    most: tuple[int, ...]
    low: tuple[int, ...]
    high: tuple[int, ...]
    barred: frozenset[tuple[int, int]] = frozenset()
    settled: frozenset[tuple[int, int]] = frozenset()

    def with_all(self, limit: int) -> tuple[Region, Region]:
        """At most `limit` queries that leave the device, and more."""
        return (
            replace(self, utmost=min(self.utmost, limit)),
            replace(self, fewest=max(self.fewest, limit + 1)),
        )

    def with_count(self, j: int, limit: int) -> tuple[Region, Region]:
        """At most `limit` queries at server j, and more."""
        return (
            replace(self, most=_put(self.most, j, min(self.most[j], limit))),
            replace(self, least=_put(self.least, j, max(self.least[j], limit + 1))),
        )

    def with_total(self, j: int, limit: int) -> tuple[Region, Region]:
        """A sum of roots of at most `limit` at server j, and more."""
        return (
            replace(self, high=_put(self.high, j, min(self.high[j], limit))),
            replace(self, low=_put(self.low, j, max(self.low[j], limit + 1))),
        )

    def with_pair(self, i: int, j: int) -> tuple[Region, Region]:
        """User i not at server j, and there."""
        return (
            replace(self, barred=self.barred | {(i, j)}),
            replace(self, settled=self.settled | {(i, j)}),
        )


def _put(values: tuple[int, ...], j: int, value: int) -> tuple[int, ...]:
    return (*values[:j], value, *values[j + 1 :])


@dataclass(frozen=True)
class Prices:
    """Prices of a leaf, whole numbers of 2^-20 ns.

    Parameters
    ----------
    user : tuple of int, length N
        What serving a user is worth.
    accuracy : int
        Per unit of accuracy (10^-9), >= 0.
    leaving : int
        Of a query that leaves the device, of any sign.
    slopes : tuple of tuple of int
        For each server, slope of the square by number of queries (0 where it is not listed).
    """

    user: tuple[int, ...]
    accuracy: int
    leaving: int
    slopes: tuple[tuple[int, ...], ...]


def everything(x: QuerySnapshot) -> Region:
    """The region of all decisions."""
    m = x.n_servers
    totals = [int(x.root[:, j].sum()) for j in range(m)]
    most = [min(int(x.room[j]), int(x.reachable[:, j].sum())) for j in range(m)]
    return Region(0, x.n_users, (0,) * m, tuple(most), (0,) * m, tuple(totals))


class Snapshot:
    """A snapshot in plain Python numbers.

    Parameters
    ----------
    x : QuerySnapshot
    budget : Budget, optional
        What recomputing values may take.
    """

    def __init__(self, x: QuerySnapshot, budget: Budget | None = None) -> None:
        self._budget = Budget() if budget is None else budget
        self.n_users, self.n_servers = x.n_users, x.n_servers
        self.local = [int(v) * UNITS_PER_NS for v in x.local_ns.tolist()]
        self.worth = [int(v) * UNITS_PER_NS for v in x.worth_ns.tolist()]
        self.queue = [int(v) * UNITS_PER_NS for v in x.queue_ns.tolist()]
        self.linear = [[v * UNITS_PER_NS for v in row] for row in x.linear_ns.tolist()]
        self.root: list[list[int]] = x.root.tolist()
        self.reach: list[list[bool]] = x.reachable.tolist()
        self.on_device: list[int] = x.accuracy_local_units.tolist()
        self.at_edge: list[list[int]] = x.accuracy_edge_units.tolist()
        self.room: list[int] = x.room.tolist()
        self.needed = x.accuracy_needed_units
        self.to_win = self.needed - sum(self.on_device)

    def cost(self, choice: list[int]) -> int | str:
        """Cost of a decision in 2^-20 ns, or which constraint it breaks."""
        if len(choice) != self.n_users:
            return f"choice has {len(choice)} entries, there are {self.n_users} users"
        at: list[list[int]] = [[] for _ in range(self.n_servers)]
        total, accuracy = 0, 0
        for i, j in enumerate(choice):
            if j == -1:
                total += self.local[i]
                accuracy += self.on_device[i]
            elif not (0 <= j < self.n_servers and self.reach[i][j]):
                return f"choice[{i}] = {j} is no server in reach"
            else:
                at[j].append(i)
                accuracy += self.at_edge[i][j]
        for j, users in enumerate(at):
            if len(users) > self.room[j]:
                return f"server {j} has room for {self.room[j]} queries, gets {len(users)}"
            shared = len(users) * (self.queue[j] + sum(self.linear[i][j] for i in users))
            roots = sum(self.root[i][j] for i in users)
            total += shared + roots * roots - sum(self.worth[i] for i in users)
        if accuracy < self.needed:
            return f"the accuracies add up to {accuracy}e-9, {self.needed}e-9 are asked for"
        return total

    def value(self, region: Region, prices: Prices) -> int | None:
        """L of a region in 2^-20 ns; None when it is seen to hold no decision at all."""
        self._budget.spend(self.n_users * self.n_servers)
        home: list[int] = [-1] * self.n_users
        for i, j in region.settled:
            if home[i] not in (-1, j) or not self.reach[i][j] or (i, j) in region.barred:
                return None
            home[i] = j
        there = [home.count(j) for j in range(self.n_servers)]
        if all(n >= most for n, most in zip(there, region.most, strict=True)):
            return self._only(region, home, there)
        if region.fewest > region.utmost or not self._accurate(region, home):
            return None
        total = sum(prices.user) + prices.accuracy * self.to_win
        total += min(prices.leaving * region.fewest, prices.leaving * region.utmost)
        for i, price in enumerate(prices.user):
            if home[i] == -1:
                total += min(0, self.local[i] - price)
        for j in range(self.n_servers):
            allowed = [
                i
                for i in range(self.n_users)
                if self.reach[i][j] and home[i] in (-1, j) and (i, j) not in region.barred
            ]
            least = self._server(region, prices, j, allowed)
            if least is None:
                return None
            total += least
        return total

    def _only(self, region: Region, home: list[int], there: list[int]) -> int | None:
        """Cost of the one decision that settled users leave, if it lies in the region."""
        roots = [0] * self.n_servers
        for i, j in enumerate(home):
            if j != -1:
                roots[j] += self.root[i][j]
        inside = region.fewest <= sum(there) <= region.utmost and all(
            region.least[j] <= there[j] <= region.most[j]
            and region.low[j] <= roots[j] <= region.high[j]
            for j in range(self.n_servers)
        )
        cost = self.cost(home) if inside else ""
        return None if isinstance(cost, str) else cost

    def _accurate(self, region: Region, home: list[int]) -> bool:
        """Whether the most accurate users at their best servers could reach the accuracy."""
        won, settled, open_ = 0, 0, []
        for i in range(self.n_users):
            at = [
                self.at_edge[i][j] - self.on_device[i]
                for j in range(self.n_servers)
                if self.reach[i][j] and home[i] in (-1, j) and (i, j) not in region.barred
            ]
            if home[i] != -1:
                won, settled = won + max(at), settled + 1
            elif at:
                open_.append(max(0, *at))
        leaving = min(region.utmost, sum(region.most)) - settled
        return leaving >= 0 and won + sum(sorted(open_, reverse=True)[:leaving]) >= self.to_win

    def _server(self, region: Region, prices: Prices, j: int, allowed: list[int]) -> int | None:
        """The minimum over n of one server; None when no number of queries is possible."""
        reward = [
            self.worth[i]
            + prices.accuracy * (self.at_edge[i][j] - self.on_device[i])
            + prices.leaving
            + prices.user[i]
            for i in allowed
        ]
        linear = [self.linear[i][j] for i in allowed]
        root = [self.root[i][j] for i in allowed]
        low, high, slopes = region.low[j], region.high[j], prices.slopes[j]
        best: int | None = None
        if low > high:
            return None
        for n in range(region.least[j], min(region.most[j], len(allowed)) + 1):
            self._budget.spend(4 * len(allowed))
            slope = slopes[n] if n < len(slopes) else 0
            keys = sorted(
                n * c - v + slope * r for c, v, r in zip(linear, reward, root, strict=True)
            )
            found = n * self.queue[j] + sum(keys[:n]) + _least_square(slope, low, high)
            best = found if best is None else min(best, found)
            # Squares are >= 0 and times rise with n: with more queries no sum can be below this.
            floor = n * self.queue[j] + sum(
                min(0, n * c - v) for c, v in zip(linear, reward, strict=True)
            )
            if floor >= best:
                break
        return best


def _least_square(slope: int, low: int, high: int) -> int:
    """min of T^2 - slope T over whole numbers T in low..high."""
    t = min(max(slope // 2, low), high)
    return t * t - slope * t
