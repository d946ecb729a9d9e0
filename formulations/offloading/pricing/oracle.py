"""The dual oracle of the offloading decomposition: prices in, Lagrangian value and usage out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formulations.dual.stopping import OutOfTime
from formulations.offloading.clock import never
from formulations.offloading.pricing.blocks import (
    Blocks,
    choose_shift,
    compile_blocks,
    first_rows,
    horizon_ns,
    private_resources,
)
from formulations.offloading.pricing.lone import force_options, rank_at_once
from formulations.offloading.pricing.options import Branch, more_room, scratch_for
from formulations.offloading.pricing.sweep import DONE, STOPPED, plan_rows, price_all
from formulations.offloading.search import Candidates
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.prices import Prices
from mecopt.offloading.units import INFINITE_NS


@dataclass(frozen=True, eq=False)
class Priced:
    """One evaluation: value of each block (ns), shared time used per row (ns), the plans."""

    value: NDArray[np.float64]
    usage: NDArray[np.float64]
    choice: NDArray[np.int64]


def root_branch(instance: OffloadingInstance) -> Branch:
    """Everything allowed. Lateness pays the drop cost and, in the relaxation, uses nothing."""
    droplike = (instance.drop_cost_ns < INFINITE_NS).astype(np.uint8)
    n = instance.n_options
    return Branch(np.ones(n, dtype=np.uint8), droplike, np.zeros(n, dtype=np.int64))


def named_prices(
    instance: OffloadingInstance,
    shift: int,
    stride: int,
    rows: NDArray[np.int64],
    prices: NDArray[np.float64],
) -> Prices:
    """Prices by resource and time, as users read them; `rows` is that of `first_rows`."""
    count = np.where(rows >= 0, stride, 0)
    row_ptr = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    return Prices(instance.resource_names, 1 << shift, row_ptr, prices.copy())


class Oracle:
    """Prices all blocks of an instance; keeps the last plans as hints that prune labels.

    Parameters
    ----------
    instance : OffloadingInstance
    shift : int, optional
        Buckets last ``2**shift`` ns; chosen unless said.
    stop : (1,) int64, optional
        Anything but zero ends pricing (see `formulations.offloading.clock`).
    until : int, optional
        Time is priced until then, ns (`formulations.offloading.pricing.blocks.priced_until`).
    """

    def __init__(
        self,
        instance: OffloadingInstance,
        shift: int | None = None,
        stop: NDArray[np.int64] | None = None,
        until: int | None = None,
    ) -> None:
        self.instance = instance
        self.shift = choose_shift(instance, until) if shift is None else shift
        self.blocks: Blocks = compile_blocks(instance, self.shift, stop, until)
        # Starts from here on are free, so that none need be later.
        free_from = (self.blocks.stride - 1) << self.shift
        self.horizon = horizon_ns(instance) if until is None else free_from
        self.capacity = self.blocks.capacity
        self.n_blocks = len(self.blocks.n_dims)
        self.rows = first_rows(instance, private_resources(instance), self.blocks.stride)
        # Only negative terms can cancel: what a plan adds up is at most its cost and twice those.
        gain = np.minimum.reduceat(self.blocks.fixed, self.blocks.option_ptr[:-1])
        self._size = 2.0 * float(-np.minimum(gain, 0.0).sum())
        self._scratch = scratch_for(self.blocks, never() if stop is None else stop)
        self._hint = np.full(instance.n_tasks, -1, dtype=np.int64)

    @property
    def n_rows(self) -> int:
        return len(self.capacity)

    def price(
        self,
        prices: NDArray[np.float64],
        branch: Branch,
        only: NDArray[np.bool_] | None = None,
        value: NDArray[np.float64] | None = None,
    ) -> Priced:
        """Evaluate prices (rows,), cost per unit of time, nonnegative.

        With `only`, blocks that are not flagged keep the `value` handed in (their plans do not
        count in the usage then, which is meaningless).

        Raises
        ------
        OutOfTime
            If time was over before the end.
        """
        flags = np.ones(self.n_blocks, dtype=np.bool_) if only is None else only
        out = np.zeros(self.n_blocks) if value is None else value.copy()
        usage = np.empty(self.n_rows)
        while True:
            ended = price_all(
                self.blocks, prices, self.horizon, branch, flags, self._hint, out, usage,
                self._scratch,
            )  # fmt: skip
            if ended == DONE:
                break
            if ended == STOPPED:
                raise OutOfTime
            self._scratch = more_room(self._scratch)
        return Priced(out, usage, self._hint.copy())

    def is_lone(self, task: int) -> bool:
        """Whether the task's owner has no resource to itself."""
        return bool(self.blocks.n_dims[self.instance.owner[task]] == 0)

    def forced(
        self, prices: NDArray[np.float64], branch: Branch, task: int, enough: float
    ) -> tuple[float, NDArray[np.float64]]:
        """Least cost of a lone task, and bounds on that of each of its options, in ns.

        Bounds of `enough` or more may be weaker than prices allow; options that are not allowed
        cost infinity.
        """
        x = self.instance
        cost = np.empty(int(x.option_ptr[task + 1] - x.option_ptr[task]))
        while True:
            least = force_options(
                self.blocks, task, prices, self.horizon, branch, self._scratch, enough, cost
            )
            if not np.isnan(least):
                return float(least), cost
            self._scratch = more_room(self._scratch)

    def promising(self, prices: NDArray[np.float64], branch: Branch, most: int) -> Candidates:
        """The options of every task that cost least under prices when nothing waits, and the drop.

        Parameters
        ----------
        prices : (rows,) float64
        branch : Branch
        most : int
            Options a task.
        """
        x = self.instance
        cost = np.empty(x.n_options)
        rank_at_once(self.blocks, prices, self.horizon, branch, self._scratch, cost)
        order = np.lexsort((cost, x.task_of_option))
        within = np.arange(x.n_options) - x.option_ptr[x.task_of_option[order]]
        option = order[(within < most) & np.isfinite(cost[order])]
        drops = np.flatnonzero(branch.droplike)
        task = np.concatenate([x.task_of_option[option], drops])
        option = np.concatenate([option, np.full(len(drops), -1)])
        by_task = np.argsort(task, kind="stable")
        count = np.bincount(task, minlength=x.n_tasks)
        ptr = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
        return Candidates(ptr, option[by_task].astype(np.int64), np.flatnonzero(count > 1))

    def plan_usage(self, priced: Priced) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Rows and time used (ns) by the plan of each block; call right after `price`."""
        owner = self.instance.owner
        row, amount, task = plan_rows(
            self.blocks, priced.choice, self._scratch.start, self._scratch.loose_start
        )
        out: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
        block = owner[task]
        for u in range(self.n_blocks):
            mine = block == u
            rows, where = np.unique(row[mine], return_inverse=True)
            used = np.bincount(where, weights=amount[mine], minlength=len(rows))
            out.append((rows, used.astype(np.float64)))
        return out

    def dual_value(self, prices: NDArray[np.float64], priced: Priced) -> float:
        """Lagrangian value in ns: a lower bound on the cost of every schedule of the branch."""
        return float(priced.value.sum() - prices @ self.capacity)

    def safe(self, prices: NDArray[np.float64], value: float, priced: Priced) -> float:
        """`value` less a margin that covers the rounding of its floating-point evaluation."""
        if not np.isfinite(value):
            return value  # no plan at all: the branch is infeasible
        size = np.abs(priced.value).sum() + prices.sum() * 2.0**self.shift
        size += prices @ self.capacity + self._size
        return value - 1e-12 * float(size)
