r"""Plan decomposition: certified bounds and near-optimal schedules at the sizes of the papers.

A *plan* is everything one owner does over the horizon. With :math:`P_u` the plans of owner u,
:math:`c_p` the cost of a plan when shared resources never make it wait longer than it chooses to,
and :math:`a_{p,rb}` the time it uses resource r in bucket b, the master problem is

.. math::

    \min \sum_u \sum_{p \in P_u} c_p y_p
    \quad\text{s.t.}\quad
    \text{[convexity]}\ \sum_{p \in P_u} y_p = 1\ \forall u, \qquad
    \text{[capacity]}\ \sum_{u,p} a_{p,rb}\, y_p \le C_r U_{rb}\ \forall r,b, \qquad y \ge 0,

with :math:`C_r` servers that are up for :math:`U_{rb}` of the bucket. It relaxes the true system:
any order at shared servers, waiting allowed everywhere, preemption across plans. Its Lagrangian
dual is raised by `formulations.dual.ascent` (prices of *capacity*), each evaluation a label setting
per owner (`formulations.offloading.pricing`). Schedules come from replaying plans and annealing
windows of them (`formulations.offloading.improve`); what gap remains is closed by branching
(`formulations.offloading.tree`), where FIFO enters the bound through windows of fixed tasks. Every
bound returned can be checked by `mecopt.certificates.verify.verify` without this code.
"""

from __future__ import annotations

import time
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from formulations.dual.ascent import ascend, on_grid
from formulations.dual.column_generation import polish
from formulations.dual.progress import Progress
from formulations.dual.stopping import OutOfTime
from formulations.methods import routes
from formulations.offloading.clock import bell
from formulations.offloading.first import alone, greedy, unsearched
from formulations.offloading.improve import Improver
from formulations.offloading.pricing.blocks import (
    buckets,
    choose_shift,
    first_rows,
    priced_until,
    private_resources,
)
from formulations.offloading.pricing.oracle import Oracle, Priced, named_prices, root_branch
from formulations.offloading.search import descend
from formulations.offloading.single import is_single, solve_single
from formulations.offloading.tree import BranchOracle, SafeOracle, Tree
from mecopt.certificates.offloading.proof import Node, Proof
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.prices import Prices
from mecopt.offloading.replay import replay
from mecopt.offloading.schedule import Schedule
from mecopt.offloading.status import NEVER
from mecopt.result import BoundKind, Result, relative_gap

#: Interval that is left to rounding, per sum of the tasks' absolute costs.
ROUNDING = 1e-11
#: Seconds for a first schedule that keeps every rule, even without time.
_MEND_S = 0.1
#: Up to this many tasks the prices are polished by column generation.
_POLISH_TASKS = 1000
#: With fewer decisions than this (logarithm) the tree is worked at once.
_TINY = np.log(1e4)
#: Share of the interval that finer buckets must close to be made finer again before the tree.
_WORTHWHILE = 0.05
#: Most of the time left that one ascent takes.
_ASCENT = 0.2
#: Options of a task that are tried where trying is dear, or options are many.
_PROMISING = 12
#: Up to this many tasks the tree is worked; beyond, time goes to schedules and finer buckets.
_TREE_TASKS = 100


def refine(prices: NDArray[np.float64], coarse: Oracle, fine: Oracle) -> NDArray[np.float64]:
    """Prices on finer buckets with the same value at every moment."""
    factor = 1 << (coarse.shift - fine.shift)
    rows = prices.reshape(-1, coarse.blocks.stride)
    out = np.zeros((len(rows), fine.blocks.stride))
    spread = np.repeat(rows, factor, axis=1)[:, : fine.blocks.stride]
    out[:, : spread.shape[1]] = spread
    return out.ravel()


def price_scale(x: OffloadingInstance) -> float:
    """What a second costs a typical task, and so about what a second of a server is worth."""
    weight = x.latency_weight[x.latency_weight > 0]
    return float(np.median(weight)) if len(weight) else 1.0


class _Solve:
    """One solve by plan decomposition: ascent on finer and finer buckets, schedules, tree."""

    def __init__(
        self, instance: OffloadingInstance, progress: Progress, stop: NDArray[np.int64]
    ) -> None:
        self.x = instance
        self.gap = progress.gap
        self.deadline = progress.deadline
        self.progress = progress
        self.stop = stop
        self.improver = Improver(instance, progress.seed, stop)
        known = alone(instance)
        for choice in unsearched(instance, known):
            self.improver.offer(choice)
        self.scale = price_scale(instance)
        self.oracle: Oracle | None = None
        self.prices = np.zeros(0)
        self.bound_ns = known.bound_ns
        self.iterations = 0
        self.tree: Tree | None = None

    def roll(self) -> None:
        """Offer what the one-step oracle decides, and mend it where it breaks a rule."""
        self.improver.offer(greedy(self.x, self.improver.choice, self.progress.seconds_left))
        if self.improver.objective == np.inf:
            until = time.perf_counter() + _MEND_S
            choice = descend(
                self.x, self.improver.choice, rounds=3, seed=self.progress.seed, until=until
            )
            self.improver.offer(choice)
        self.note(self.bound_ns)

    @cached_property
    def until(self) -> int:
        """Until when time is priced, ns: the end of the first schedule where that is enough."""
        completion = replay(self.x, self.improver.choice).completion_ns
        ended = completion[completion < NEVER]
        return priced_until(self.x, int(ended.max(initial=0)))

    @property
    def margin(self) -> float:
        """What rounding may leave between bound and objective, s."""
        return ROUNDING * self.improver.size

    @property
    def open(self) -> bool:
        """Whether gap and time ask for more work."""
        if self.bound_ns == np.inf:  # proven infeasible
            return False
        objective, bound = self.improver.objective, self.bound_ns * 1e-9
        closed = np.isfinite(objective) and objective - bound <= self.margin
        wide = relative_gap(objective, bound) > self.gap and not closed
        return wide and not self.progress.is_late

    def note(self, bound_ns: float) -> None:
        """Record a bound and the incumbent."""
        self.progress.note(bound_ns * 1e-9, self.improver.objective)

    def ascend(self, shift: int, iterations: int, step: float) -> None:
        """Raise the bound on buckets of ``2**shift`` ns, from the prices so far.

        `step` is the first one, for tasks to which a second of latency costs 1.
        """
        try:
            oracle = Oracle(self.x, shift, self.stop, self.until)
        except OutOfTime:
            return
        start = np.zeros(oracle.n_rows)
        if self.oracle is not None:
            start = refine(self.prices, self.oracle, oracle)
        branch = root_branch(self.x)
        view = SafeOracle(oracle, branch)
        ptr = self.x.option_ptr[:-1]

        def watch(t: int, best: float, priced: Priced) -> bool:
            if t % 10 == 0:
                self.improver.offer(np.where(priced.choice >= 0, priced.choice - ptr, -1))
                self.note(max(best, self.bound_ns))
            return False

        rise = ascend(
            view,
            start,
            iterations=iterations,
            step=step * self.scale,
            # Where evaluations are slow, schedules are as far from the optimum as the bound.
            deadline=self.deadline.at_most(_ASCENT * self.progress.seconds_left),
            watch=watch,
        )
        self.iterations += rise.iterations
        prices, value = on_grid(rise.prices), rise.value
        if self.open and self.x.n_tasks <= _POLISH_TASKS and np.isfinite(value):
            until = self.deadline.at_most(max(0.2, self.x.n_tasks / 200))
            polished = polish(
                BranchOracle(oracle, branch), rise.prices, radius=0.05 * self.scale, deadline=until
            ).prices
            try:
                again = view.dual_value(polished, view.price(polished))
            except OutOfTime:
                again = -np.inf
            if again > value:
                prices, value = on_grid(polished), again
        if not self.x.is_chain or self.x.n_options > _PROMISING * self.x.n_tasks:
            self.improver.consider(oracle.promising(prices.copy(), branch, _PROMISING))
        if value > self.bound_ns + self._worthwhile_ns:
            self.oracle, self.prices, self.bound_ns = oracle, prices, value
        elif self.oracle is None:  # prices of zero prove the first bound
            self.oracle, self.prices = oracle, np.zeros(oracle.n_rows)
        self.note(self.bound_ns)

    @property
    def _worthwhile_ns(self) -> float:
        """How much finer buckets must raise the bound, for the tree is slower on them, ns."""
        if self.oracle is None or self.x.n_tasks > _TREE_TASKS:
            return 0.0
        interval = self.improver.objective * 1e9 - self.bound_ns
        return _WORTHWHILE * interval if interval < np.inf else 0.0

    def improve(self, seconds: float) -> None:
        """Anneal windows for some seconds, or until the gap is met."""
        bound = self.bound_ns * 1e-9
        target = bound + max(self.gap * abs(bound), self.margin)
        until = self.deadline.at_most(seconds)
        self.improver.windows(until, target)
        self.note(self.bound_ns)

    def branch(self, seconds: float) -> None:
        """Work the tree for some seconds."""
        assert self.oracle is not None
        if self.tree is None:
            self.tree = Tree(
                self.x,
                self.oracle,
                self.improver,
                self.prices,
                self.bound_ns,
                scale=self.scale,
                rounding=ROUNDING,
            )
        until = self.deadline.at_most(seconds)
        self.tree.run(gap=self.gap, deadline=until)
        # A tree whose every leaf costs at least the incumbent proves the incumbent.
        proven = min(self.tree.bound_ns, self.improver.objective * 1e9)
        self.bound_ns = max(self.bound_ns, proven)
        self.note(self.bound_ns)

    def run(self) -> None:
        """The order of work: prices, schedules, finer prices, then the tree.

        Small instances move on to the tree as soon as annealing stops closing a tenth of the gap
        per round; on large ones annealing is the better use of time, and finer buckets the better
        bound.
        """
        n = self.x.n_tasks
        base = choose_shift(self.x, self.until)
        if self.bound_ns < np.inf and not self.progress.is_late:  # prices are an answer too
            self.ascend(base + 2, 120, 0.2)
        if self.open:
            self.improver.settle(100, self.deadline)
        if self.open:
            self.ascend(base, 250, 0.1)
        if self.open:
            self.improver.settle(600, self.deadline)
        count = np.diff(self.x.option_ptr) + 1.0
        if self.open and np.log(count).sum() < _TINY:
            self.branch(np.inf)
        finer = [base - 2, base - 4] if base > 4 else []
        seconds = max(0.1, n / 200)
        while self.open:
            before = self.improver.objective - self.bound_ns * 1e-9
            self.improve(seconds)
            after = self.improver.objective - self.bound_ns * 1e-9
            if not self.open or (n > _TREE_TASKS and after < 0.9 * before):
                continue
            if finer and self.tree is None:
                known = self.oracle
                self.ascend(finer.pop(0), 150, 0.05)
                if n <= _TREE_TASKS and self.oracle is known:
                    finer = []  # the tree closes more
            elif n > _TREE_TASKS and not self.improver.can_move:
                break
            elif n <= _TREE_TASKS and self.oracle is not None:
                if self.tree is not None and not self.tree.open:
                    break
                self.branch(2 * seconds)
                seconds *= 1.5

    def proof(self) -> tuple[Proof, Prices]:
        """The proof of the bound, and its root prices by resource and time."""
        if self.oracle is None:
            shift = choose_shift(self.x, self.until)
            stride = buckets(self.x, shift, self.until)
            rows = first_rows(self.x, private_resources(self.x), stride)
            self.prices = np.zeros(stride * int((rows >= 0).sum()))
        else:
            shift, stride = self.oracle.shift, self.oracle.blocks.stride
            rows = self.oracle.rows
        if self.tree is None:
            root, prices = Node(prices=0), [self.prices]
        else:
            root, prices = self.tree.root, self.tree.prices
        proof = Proof(shift, stride, rows, prices, root, self.bound_ns)
        return proof, named_prices(self.x, shift, stride, rows, self.prices)


def solve_plans(
    instance: OffloadingInstance,
    *,
    time_limit: float | None = None,
    gap: float = 1e-4,
    seed: int = 0,
    verbose: bool = False,
    start: Schedule | None = None,
) -> Result:
    """Certified interval and schedule by plan decomposition, from the schedule `start` if given.

    Other parameters, and errors, are those of `formulations.solve`; `seed` is that of the
    annealing. The result has `prices` (duals of server time), `proof`, and `progress`. With a gap
    of 0 it is optimal when the interval is at most `ROUNDING` of the sum of the tasks' absolute
    costs, which is the rounding of a safe bound.
    """
    limit = routes("offloading").time_limit if time_limit is None else time_limit
    progress = Progress(limit, gap, seed, verbose)
    if is_single(instance):
        return solve_single(instance, progress, -1 if start is None else int(start.choice[0]))
    with bell(progress.deadline) as stop:
        work = _Solve(instance, progress, stop)
        if start is not None:
            work.improver.offer(start.choice)
        work.roll()
        work.run()
    late = progress.is_late
    schedule = replay(instance, work.improver.choice)
    found = np.isfinite(schedule.objective)
    proof, prices = work.proof()
    return progress.result(
        instance,
        schedule if found else None,
        work.bound_ns * 1e-9,
        method="plans",
        bound_kind=BoundKind.CERTIFIED,
        late=late,
        margin=work.margin if found else 0.0,
        prices=prices,
        proof=proof,
        details={
            "iterations": work.iterations,
            "nodes": 0 if work.tree is None else work.tree.nodes,
            "rows": len(work.prices),
        },
    )
