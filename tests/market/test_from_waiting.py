"""A market for server time in which tasks may wait: goods, prices, and what they are worth."""

import numpy as np
import pytest

from formulations.market import assignment
from mechanisms.audit.steps_picture import duals_by_slot, price_of_server_time
from mecopt.market.from_waiting import from_waiting, mean_prices
from mecopt.market.units import HALF_UNITS
from mecopt.offloading import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.prices import Prices
from mecopt.offloading.scenarios import comllm

RESOURCES = [Resource("cpu", kind="device"), Resource("server", kind="server")]


def task(name, *, release_s=0.0, home_s, server_s=None, deadline_s=20.0):
    """A task that can stay at home, go to the server, or be dropped for 30 s."""
    options = [Option("home", [Stage("cpu", home_s)])]
    if server_s is not None:
        options.append(Option("server", [Stage("server", server_s)]))
    return Task(release_s, options, deadline_s=deadline_s, drop_cost_s=30.0, name=name)


def two_tasks(deadline_s=10.0):
    """Two tasks released at 0: 5 s at home, 1 s on the server."""
    tasks = [task(f"t{k}", home_s=5.0, server_s=1.0, deadline_s=deadline_s) for k in range(2)]
    return OffloadingInstance.from_tasks(RESOURCES, tasks)


def test_a_second_of_waiting_costs_a_second():
    """Slots of 1 s at 0, 1 and 2. Served at once a task costs 1 s, after a second 2, after two 3.
    Best: one at once, one after a second, 3 s instead of 10: worth 7. Nobody needs the third slot,
    so it is free, and prices rise by at most a second a slot towards the front: the highest are
    2, 1, 0, the lowest 1, 0, 0 (who waits must be as well off as who does not)."""
    market = from_waiting(two_tasks(), end_s=3.0)
    assert market.meta["start_s"] == [0.0, 1.0, 2.0]
    assert market.link_cost.tolist() == [[2 * 10**6 * c for c in (1, 2, 3)]] * 2
    best = assignment.solve(market)
    assert best.welfare == 7 * HALF_UNITS
    assert (best.lowest_price / HALF_UNITS).tolist() == [1.0, 0.0, 0.0]
    assert (best.highest_price / HALF_UNITS).tolist() == [2.0, 1.0, 0.0]
    # A price of 1 for a slot of 1 s is 1 s of cost per s; over 3 s that is a third in the mean.
    assert mean_prices(market, best.lowest_price, 3.0) == pytest.approx({1: 1 / 3})


def test_a_slot_past_the_deadline_is_worth_nothing():
    """With 2 s to go the slot at 1 ends in time, the one at 2 does not."""
    market = from_waiting(two_tasks(deadline_s=2.0), end_s=3.0)
    assert market.compatible.tolist() == [[True, True, False]] * 2


def test_who_arrives_in_a_slot_begins_in_it():
    """Released at 1.4 s: the slot [1, 2) is begun at 1.4, the one before cannot be had."""
    late = task("late", release_s=1.4, home_s=5.0, server_s=1.0)
    market = from_waiting(OffloadingInstance.from_tasks(RESOURCES, [late]), end_s=3.0)
    assert market.compatible.tolist() == [[False, True, True]]
    assert market.link_cost[0, 1:].tolist() == [2_000_000, 3_200_000]  # 1 s, and 0.6 s later


def test_the_market_is_a_relaxation_where_services_are_equal():
    """With equal services on one server a schedule is an assignment of start times, and the cost
    that the market leaves is below every schedule's: here FIFO of five tasks, 1 + ... + 5 s."""
    tasks = [task(f"t{k}", home_s=9.0, server_s=1.0) for k in range(5)]
    market = from_waiting(OffloadingInstance.from_tasks(RESOURCES, tasks), end_s=9.0)
    left = market.meta["outside_s"] - assignment.solve(market).welfare / HALF_UNITS
    assert left == pytest.approx(15.0)


def test_duals_are_averaged_over_slots():
    """Buckets of 0.5 s at 1, 3, 0: the slot [0, 1) has 2 in the mean, [1, 2) has 0."""
    duals = Prices(("cpu", "server"), 500_000_000, np.array([0, 0, 3]), np.array([1.0, 3.0, 0.0]))
    assert duals_by_slot(duals, 1, np.array([0.0, 1.0, 2.0])).tolist() == [2.0, 0.0]
    market = from_waiting(two_tasks(), end_s=3.0)
    best = assignment.solve(market)
    figure = price_of_server_time(market, best.lowest_price, best.highest_price, duals)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["server"]


def test_what_has_no_market():
    """No servers, and no time to sell."""
    home = OffloadingInstance.from_tasks(RESOURCES[:1], [task("t", home_s=1.0)])
    with pytest.raises(ValueError, match="needs a resource of kind 'server'"):
        from_waiting(home, end_s=1.0)
    with pytest.raises(ValueError, match="end_s = 0"):
        from_waiting(comllm.generate("paper", 0, users=2, slots=2), end_s=0)
