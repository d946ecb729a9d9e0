r"""Caching by plan decomposition: certified bounds and near-optimal schedules.

A plan is a path of one pair on one server through its states (slot, age of thoughts); plans meet in
the memory and energy of every slot, and in what couples servers. The bound is the Lagrangian of
pair blocks and slot blocks (`formulations.caching.oracle`), raised by `formulations.dual.ascent`:
first prices of the rows, then of the links, which start from them. Schedules come from annealing
over windows (`formulations.caching.search`), started from the myopic policy, or from what slot
blocks choose (it fits, and near the best prices it nearly agrees with the plans), guided by the
prices. With forwarding hot annealings and dives (`formulations.caching.dive`) take turns. A small
gap of a single server is branched on (`formulations.caching.branching`). What gap remains may be
closed by HiGHS on the arcs that are left (`formulations.caching.closing`): the schedule is then
optimal by the solver's word, and the certified bound stays what prices prove.

Without a coupling servers separate exactly, and are solved side by side in threads (the kernels are
compiled and release the interpreter).
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from formulations.caching.blocks import build, to_choices
from formulations.caching.branching import Proven, Tree, proven
from formulations.caching.closing import close
from formulations.caching.coupling import Coupling
from formulations.caching.dive import resettle
from formulations.caching.oracle import (
    CachingEvaluation,
    LinkOracle,
    Pricer,
    RowOracle,
)
from formulations.caching.search import Search, fits
from formulations.caching.windows import Guide
from formulations.dual.ascent import ascend
from formulations.dual.interrupt import Moment
from formulations.dual.progress import Progress
from formulations.methods import routes
from mecopt.caching import CachingInstance, CachingPlan, CachingPrices, replay
from mecopt.caching.policies.simple import Myopic
from mecopt.caching.rollout import rollout
from mecopt.certificates.caching.proof import CachingProof
from mecopt.result import BoundKind, Result, relative_gap

#: Servers worked on side by side.
THREADS = 2
#: Relative gap of a part from which on branching and closing are tried.
_CLOSE = 2e-3
#: Temperature of annealing with forwarding: where a pair is, it is for long.
_FORWARDING_HEAT = 8.0
#: Temperatures (shares of the hot one) and longest windows of successive rounds.
_HEATS = ((0.3, 60), (0.1, 60), (1.0, 30), (0.3, 30))
#: Choices of a part up to which it is tried at once.
_SMALL = 200
#: Iterations of the two ascents.
_ROWS, _LINKS = 250, 600
#: Share of the time that prices of the rows may take.
_BEGIN = 0.3
#: Interval that is left to rounding, per cost and root of the number of choices: bounds are taken
#: down by what sums of that many terms may be off (`formulations.caching.branching.proven`).
ROUNDING = 1e-11


class Part:
    """Servers that are solved together: one, or all when something couples them."""

    def __init__(self, start: CachingPlan, servers: list[int], gap: float, seed: int) -> None:
        self.servers = servers
        self.gap = gap
        self.blocks = build(start.instance, servers)
        self.pricer = Pricer(self.blocks, THREADS)
        self.coupling = Coupling(self.blocks)
        self.rows = RowOracle(self.blocks, self.pricer, self.coupling)
        self.links = LinkOracle(self.blocks, self.pricer, self.coupling)
        self.row_prices = self.rows.start.copy()
        self.link_prices = np.zeros(len(self.links.capacity))
        self.bound = self.root_bound = -np.inf
        self.proven: Proven | None = None
        self.iterations = 0
        flow = np.moveaxis(start.flow[servers], 1, -1).reshape(-1, 3)
        picked = to_choices(start.a[servers], start.x[servers])
        self.search = Search(self.blocks, picked, np.ascontiguousarray(flow), seed)
        self.tree: Tree | None = None
        self.claimed = -np.inf  # bound by HiGHS' word
        self.arcs_left = -1
        self._rounds = 0
        self._tried = np.inf

    @property
    def spread(self) -> float:
        """Objective less bound."""
        return self.search.objective - self.bound

    @property
    def margin(self) -> float:
        """What rounding may leave between bound and objective."""
        return ROUNDING * self.blocks.n_choices**0.5 * self.search.objective

    @property
    def is_open(self) -> bool:
        """Whether the gap is larger than asked; of a small part also by the solver's word."""
        bound = max(self.bound, self.claimed) if self.is_small else self.bound
        left = self.search.objective - self.margin
        return relative_gap(left, bound) > self.gap

    @property
    def is_coupled(self) -> bool:
        """Whether servers meet in rows of their own."""
        return len(self.coupling.capacity) > 0

    @property
    def is_small(self) -> bool:
        """Whether the whole network is worth handing to HiGHS."""
        return self.blocks.n_choices <= _SMALL

    def begin(self, share: float, deadline: float) -> None:
        """A bound that takes no ascent, then prices of the rows in a share of the time there is."""
        self._take(self._charged())
        now = time.perf_counter()
        if now >= deadline:
            return
        self.pricer.until = deadline
        rise = ascend(
            self.rows,
            self.row_prices,
            iterations=_ROWS,
            step=self.rows.step,
            upper=self.rows.upper,
            deadline=now + share * (deadline - now),
        )
        self.row_prices, self.iterations = rise.prices, rise.iterations
        n, b = self.rows.n_rows, self.blocks
        energy = self.row_prices[n : 2 * n].reshape(b.n_servers, -1)
        self.pricer.energy_price[:] = energy / np.maximum(b.energy_budget, 1)[:, None]
        self._take(self._charged())

    def _charged(self) -> NDArray[np.float64]:
        """Prices of links and coupling that say what those of the rows say."""
        coupled = self.row_prices[2 * self.rows.n_rows :]
        return np.concatenate([self.rows.charge(self.row_prices), coupled])

    def raise_bound(self, iterations: int, size: float, patience: float, until: float) -> None:
        """Ascent on the prices of the links, with steps `size` times the usual ones.

        It leaves time for one more evaluation, which proves what it found.
        """

        def watch(t: int, best: float, priced: CachingEvaluation) -> bool:
            if t % 5 == 0 and priced.slots is not None:
                self.search.offer_slots(priced.slots)
            if time.perf_counter() + 1.5 * self.pricer.took > until:
                return True
            return best >= self.search.objective / (1 + 0.5 * self.gap)

        if self.tree is not None:
            return
        rise = ascend(
            self.links,
            self.link_prices,
            iterations=iterations,
            step=size * self.links.step,
            patience=patience,
            lower=self.links.lower,
            upper=self.links.upper,
            deadline=until,
            watch=watch,
        )
        self.iterations += rise.iterations
        self._take(rise.prices)

    def _take(self, prices: NDArray[np.float64]) -> None:
        """Take prices over, on the grid of proofs, if they bound better."""
        n = self.blocks.n_choices
        found = proven(self.links, prices)
        if self.proven is None or found.value > self.root_bound:
            self.proven, self.root_bound, self.link_prices = found, found.value, found.prices
            self.bound = max(self.bound, found.value)
            birth = np.zeros(len(self.blocks.requests))
            if self.coupling.is_forwarding:
                birth = found.prices[n:]
            self.search.guide = Guide(found.prices[:n].copy(), birth)

    def work(self, seconds: float, until: Moment, deadline: Moment) -> None:
        """One round: a higher bound where it still rises, then a better schedule.

        The round is over at `until`, and the bound has at most half of the time to there: a
        schedule that is not searched for is no better however close the bound.
        """
        half = (time.perf_counter() + until) / 2
        if self._rounds == 0:
            self.raise_bound(_LINKS, 0.5, 60.0, half)
        elif self.is_open and (self._rounds == 1 or not self.coupling.is_forwarding):
            size = max(0.02, 0.25 * 0.6**self._rounds)
            self.raise_bound(_LINKS * (1 + self._rounds), size, 100.0, half)
        if self.is_open:
            self._improve(seconds, until)
        if self.is_open and not self.is_coupled and self.spread <= _CLOSE * abs(self.bound):
            self.branch(until.at_most(seconds), deadline)
        if self.is_open and (self._rounds > 0 or self.is_small):
            self.close(0.5 * seconds, until)
        self._rounds += 1

    def _improve(self, seconds: float, until: Moment) -> None:
        """Search for a better schedule for some seconds; with forwarding in turns of two kinds."""
        heat, widest = _HEATS[self._rounds % len(_HEATS)]
        target = max(self.bound * (1 + 0.5 * self.gap), self.bound + self.margin)
        if not self.coupling.is_forwarding:
            self.search.run(seconds, until, target, heat=heat, widest=widest)
        elif self._rounds % 2 == 1:
            resettle(self.search, until.at_most(seconds), target)
        else:
            widest = self.blocks.n_slots
            self.search.run(seconds, until, target, heat=_FORWARDING_HEAT, widest=widest)

    def branch(self, until: float, deadline: float) -> None:
        """Raise the bound by a tree over residency."""
        if self.tree is None:
            self.tree = Tree(self.links, self.link_prices, self.search.offer_slots, deadline)
        self.tree.grow(lambda: self.search.objective / (1 + 0.5 * self.gap), until)
        self.bound = max(self.bound, self.tree.bound)

    def close(self, seconds: float, until: float) -> None:
        """HiGHS on what the bound leaves of the network, if it has changed enough since."""
        if self.claimed >= self.search.objective or self.spread > 0.8 * self._tried:
            return
        seconds = min(seconds, until - time.perf_counter())
        if seconds <= 0 or (self.spread > _CLOSE * abs(self.bound) and not self.is_small):
            return
        self._tried = self.spread
        claimed, better, self.arcs_left = close(
            self.links,
            self.link_prices,
            self.root_bound,
            self.search.objective,
            self.search.picked,
            seconds=seconds,
            until=until,
            gap=0.1 * self.gap,
        )
        self.claimed = max(self.claimed, claimed)
        # The solver's word is no proof that the schedule keeps to memory and energy.
        if better is not None and fits(self.blocks, *better):
            self.search.offer(*better)


class _Solve:
    """All parts of one instance, and their sums."""

    def __init__(self, instance: CachingInstance, progress: Progress) -> None:
        self.x = instance
        self.progress = progress
        start = rollout(instance, Myopic())
        everyone = list(range(instance.n_servers))
        groups = [[n] for n in everyone] if instance.coupling is None else [everyone]
        gap, seed = progress.gap, progress.seed
        self.parts = [Part(start, group, gap, seed + i) for i, group in enumerate(groups)]

    @property
    def bound(self) -> float:
        """Proven lower bound."""
        return sum(part.bound for part in self.parts)

    @property
    def objective(self) -> float:
        """Cost of the best schedules."""
        return sum(part.search.objective for part in self.parts)

    @property
    def margin(self) -> float:
        """What rounding may leave between bound and objective."""
        return sum(part.margin for part in self.parts)

    @property
    def is_open(self) -> bool:
        """Whether gap and time ask for more work."""
        if self.progress.is_late:
            return False
        left = self.objective - self.margin
        closed = relative_gap(left, self.bound) <= self.progress.gap
        return not closed and any(part.is_open for part in self.parts)

    def run(self) -> None:
        """First bounds for all, then rounds of growing length for the parts that are open."""
        deadline = self.progress.deadline
        waves = -(-len(self.parts) // THREADS)
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda part: part.begin(_BEGIN / waves, deadline), self.parts))
            self.progress.note(self.bound, self.objective)
            places = sum(len(part.blocks.requests) for part in self.parts) / len(self.parts)
            seconds = max(0.5, places / 300)
            while self.is_open:
                open_parts = sorted(
                    (part for part in self.parts if part.is_open), key=lambda part: -part.spread
                )
                share = self.progress.seconds_left / -(-len(open_parts) // THREADS)

                def work(part: Part, seconds: float = seconds, share: float = share) -> None:
                    part.work(seconds, deadline.at_most(share), deadline)
                    self.progress.note(self.bound, self.objective)

                list(pool.map(work, open_parts))
                seconds *= 1.3

    def plan(self) -> CachingPlan:
        """The best schedule, replayed by the core."""
        a = np.zeros(self.x.requests.shape, dtype=np.bool_)
        flow = np.zeros((self.x.n_servers, 3, *self.x.requests.shape[1:]), dtype=np.int64)
        for part in self.parts:
            shape = (len(part.servers), self.x.n_pairs, self.x.n_slots)
            a[part.servers] = (part.search.picked > 0).reshape(shape)
            flow[part.servers] = np.moveaxis(part.search.flow.reshape(*shape, 3), -1, 1)
        return replay(self.x, a, flow)

    def prices(self) -> CachingPrices:
        """Prices of memory and energy per slot and server, from the relaxation of the rows."""
        x = self.x
        shape = (x.n_servers, x.n_slots)
        memory, energy = np.zeros(shape), np.zeros(shape)
        for part in self.parts:
            n = part.rows.n_rows
            rows = (len(part.servers), x.n_slots)
            memory[part.servers] = part.row_prices[:n].reshape(rows)
            energy[part.servers] = part.row_prices[n : 2 * n].reshape(rows)
        memory /= np.maximum(x.capacity_mb, 1)[:, None]
        energy /= np.maximum(x.energy_budget_10j, 1)[:, None]
        part = self.parts[0]
        link = part.link_prices[part.blocks.n_choices :] if part.coupling.is_link else None
        return CachingPrices(x.server_names, memory, energy, link)

    def proof(self) -> CachingProof:
        """Prices that prove the bound."""
        servers, coupling = [], np.zeros(0)
        for part in self.parts:
            assert part.proven is not None  # `begin` has bounded every part
            servers += part.proven.servers(part.blocks)
            coupling = part.link_prices[part.blocks.n_choices :]
        trees = {
            part.servers[0]: part.tree.proof()
            for part in self.parts
            if part.tree is not None and part.tree.bound >= part.bound
        }
        return CachingProof(tuple(servers), coupling, trees)


def solve_decomposition(
    instance: CachingInstance,
    *,
    time_limit: float | None = None,
    gap: float = 1e-4,
    seed: int = 0,
    verbose: bool = False,
) -> Result[CachingInstance, CachingPlan]:
    """Certified interval and schedule by plan decomposition.

    Parameters and errors are those of `formulations.solve`; `seed` is that of the annealing. The
    result has `prices` (memory and energy per slot and server), `proof`, and `progress`.
    """
    limit = routes("caching").time_limit if time_limit is None else time_limit
    progress = Progress(limit, gap, seed, verbose)
    work = _Solve(instance, progress)
    work.run()
    return progress.result(
        instance,
        work.plan(),
        work.bound,
        method="plans",
        bound_kind=BoundKind.CERTIFIED,
        margin=work.margin,
        late=progress.is_late,  # else settled by HiGHS, which is not proof enough
        prices=work.prices(),
        proof=work.proof(),
        details={
            "iterations": sum(part.iterations for part in work.parts),
            "moves": sum(part.search.moves for part in work.parts),
            "choices": sum(part.blocks.n_choices for part in work.parts),
            "leaves": [0 if part.tree is None else part.tree.leaves for part in work.parts],
            "arcs_left": [part.arcs_left for part in work.parts],
            "solver_claimed_bound": sum(max(part.bound, part.claimed) for part in work.parts),
        },
    )
