r"""[shared]: what users alone cost, plus what they must give up in a world to share its servers.

Let V be tables of [values] and z the luck of [luck], both for waits in cells. A rule that cannot
see the future has E[ sum z ] = 0, so that its cost has the mean of cost - sum z, and that is at
least the mean over worlds of the least cost - sum z of any decisions in them, the future seen
(information relaxation with penalties: Brown, Smith, Sun 2010). Write c for what a task costs,
f(s, a) for the waits that decision a leaves and m for the first part of [luck]. Over one user's
slots

.. math::

    \sum_t c_t - z_t = V_0(0, 0) + \sum_t \rho_t, \qquad
    \text{[regret]}\quad \rho_t = c_t + V_{t+1}(f(s_t, a_t)) - m_t(s_t, \xi_t) \ge 0

because V_t(s_t) - V_{t+1}(s_{t+1}) telescopes. Where c_t is the task's time without any wait at a
server the least sum of regrets is zero: users alone. Here c_t includes the wait at the server, and
a server works on one task at a time, so that

    [shared]    users x V_0(0, 0) + E_world[ min over decisions of the sum of regrets ] <= V*.

The inner minimum is bounded from below as in `formulations.offloading.decomposition`: prices >= 0
on the time of each server in short buckets, any order and waiting allowed, each user's cheapest
plan at these prices a shortest path over waits (`formulations.online.regret_kernel`), and an ascent
on the prices *of this world*. Zero prices give zero regret, so [shared] is never below [alone]. A
task that comes too late to a server is not turned into a drop, for the rule may not have known it,
but its service there is not counted.

Where tables come from sampled tasks, world and samples are independent: for any fixed rule each z
has mean zero over both, whatever the samples, so the mean of [shared] over both is a lower bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formulations.dual.ascent import ascend
from formulations.online import regret_kernel as kernel
from formulations.online.episodes import Episode
from formulations.online.tasks import System
from formulations.online.values import Values

#: Length of a bucket of server time, slots; evaluations of an ascent, and its first step.
_BUCKET, _EVALUATIONS, _FIRST_STEP = 0.125, 60, 0.2
#: Labels of a user in a slot, at most.
_MOST = 6_000
#: What rounding may take from a plan's cost, slots.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Priced:
    """All users at some prices: (U,) cost of the cheapest plans, and (rows,) usage."""

    value: NDArray[np.float64]
    usage: NDArray[np.float64]


class World:
    """One world's users behind prices of server time: an oracle for `formulations.dual.ascent`.

    Parameters
    ----------
    values : Values
        With tables kept, without tolls.
    episode : Episode
        The world.
    bucket : float
        Slots.
    """

    def __init__(self, values: Values, episode: Episode, bucket: float = _BUCKET) -> None:
        system = values.system
        self.system, self._values, self._episode = system, values, episode
        self._bucket = bucket
        self._buckets = int(np.ceil((system.slots + system.deadline_slots) / bucket)) + 1
        self.capacity = np.full(system.servers * self._buckets, bucket)
        self._index = np.full(values.tables.shape[1:], -1, dtype=np.int32)
        self._chosen = np.full(len(episode.local), 0, dtype=np.int64)
        self._started = np.zeros(len(episode.local))
        self._has_plans = False

    def price(self, prices: NDArray[np.float64]) -> Priced:
        """The cheapest plan of every user."""
        system, world, grid = self.system, self._episode, self._values.grid
        shape = (system.servers, self._buckets)
        until = np.zeros((shape[0], shape[1] + 1))
        np.cumsum(prices.reshape(shape) * self._bucket, axis=1, out=until[:, 1:])
        value, usage = np.zeros(system.users), np.zeros(shape)
        for user in range(system.users):
            arrived = np.ascontiguousarray(world.arrived[:, user])
            given = (
                self._values.tables,
                grid.uplink,
                grid.device,
                arrived,
                world.upload,
                world.compute,
                world.local,
                until,
                self._bucket,
                system.drop_cost_slots,
                system.deadline_slots,
            )
            upper = kernel.follow(*given, self._chosen, True)
            if self._has_plans:
                upper = min(upper, kernel.follow(*given, self._chosen, False))
            upper += _ROUNDING
            plans = (self._index, self._chosen, self._started)
            value[user] = kernel.plan(*given, upper, _MOST, *plans) - _ROUNDING
            kernel.add_usage(
                arrived, self._chosen, self._started, world.compute, self._bucket, usage
            )
        self._has_plans = True
        return Priced(value, usage.ravel())

    def dual_value(self, prices: NDArray[np.float64], priced: Priced) -> float:
        """Lower bound on the sum of regrets."""
        return float(priced.value.sum() - prices @ self.capacity)


def least_regret(values: Values, episode: Episode, evaluations: int = _EVALUATIONS) -> float:
    """Lower bound on the least sum of regrets in a world, never negative, slots."""
    if not (episode.arrived >= 0).any():
        return 0.0
    world = World(values, episode)
    start = np.zeros(len(world.capacity))
    return max(0.0, ascend(world, start, iterations=evaluations, step=_FIRST_STEP).value)


def mean_prices(
    values: Values, rng: np.random.Generator, worlds: int, evaluations: int = _EVALUATIONS
) -> NDArray[np.float64]:
    """(J,) price of a slot of each server, averaged over the episode and over sampled worlds.

    What the ascents of [shared] find; a rule that charges it for server time makes way for others.
    """
    system = values.system
    total = np.zeros(system.servers)
    for _ in range(worlds):
        world = World(values, draw_world(system, rng))
        start = np.zeros(len(world.capacity))
        rise = ascend(world, start, iterations=evaluations, step=_FIRST_STEP)
        total += rise.prices.reshape(system.servers, -1).sum(axis=1) * _BUCKET
    return total / (worlds * system.slots)


def draw_world(system: System, rng: np.random.Generator) -> Episode:
    """Arrivals and tasks as the system draws them."""
    arrives = rng.random((system.slots, system.users)) < system.arrival_probability
    arrived = np.full(arrives.shape, -1, dtype=np.int64)
    arrived[arrives] = np.arange(arrives.sum())
    drawn = []
    for _ in range(int(arrives.sum())):
        tasks = system.draw(1, rng)
        which = rng.choice(len(tasks.weight), p=tasks.weight)
        drawn.append((tasks.upload[which], tasks.compute[which], tasks.local[which]))
    columns: list[Any] = list(zip(*drawn, strict=True)) or [[], [], []]
    shape = (-1, system.servers)
    return Episode(
        arrived,
        np.array(columns[0], dtype=np.float64).reshape(shape),
        np.array(columns[1], dtype=np.float64).reshape(shape),
        np.array(columns[2], dtype=np.float64),
    )
