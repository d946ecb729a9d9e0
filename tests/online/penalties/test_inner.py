"""Penalties as other costs of the same instance, by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

import formulations
from formulations.online.penalties.crowding import Crowding, Shape
from formulations.online.penalties.inner import penalised
from formulations.online.penalties.route import figure_s
from formulations.online.penalties.worlds import Drawn, own_cost_s
from mecopt.certificates import verify
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task


def one_task(service_s: float) -> OffloadingInstance:
    """A device that takes 1.8 s, or a server that takes a while; late after 2.5 s, then 5."""
    options = [
        Option("device", [Stage("device", 1.8)]),
        Option("server", [Stage("server", service_s)]),
    ]
    task = Task(0.0, options, "user", deadline_s=2.5, drop_cost_s=5.0)
    return OffloadingInstance.from_tasks([Resource("device"), Resource("server")], [task])


def test_what_options_cost_alone():
    """3 s is later than 2.5 s: the drop cost."""
    np.testing.assert_allclose(own_cost_s(one_task(1.0)), [1.8, 1.0])
    np.testing.assert_allclose(own_cost_s(one_task(3.0)), [1.8, 5.0])


def test_not_knowing_ones_own_service_by_hand():
    """The server takes 1 or 3 s, each with probability 1/2, known only afterwards.

    Seeing the future costs (1 + 1.8) / 2 = 1.4; online 1.8, for the server costs (1 + 5) / 2 = 3.
    """
    figures = []
    for service in (1.0, 3.0):
        x = one_task(service)
        world = Drawn(x, np.array([1.8, 3.0]), np.zeros((0, 2)))
        figure, result = figure_s(world, own_cost_s(x) - world.expected_own_s, time_limit_s=1.0)
        figures.append(figure)
        assert result.instance.service_ns[1] == service * 1e9
    assert np.mean(figures) == pytest.approx(1.8, abs=1e-6)


def test_late_tasks_keep_their_penalty():
    """z = (0, 2): the server costs 2 less, also when it is late, so the drop costs 5 - 2."""
    changed, raised = penalised(one_task(1.0), np.array([0.0, 2.0]))
    np.testing.assert_array_equal(changed.fixed_cost_ns, [0, -2_000_000_000])
    assert changed.drop_cost_ns[0] == 3_000_000_000
    assert raised == 0.0
    changed, _ = penalised(one_task(1.0), np.array([-1.0, -2.0]))
    assert changed.drop_cost_ns[0] == 5_000_000_000


def test_a_drop_below_nothing_raises_all_costs_of_the_task():
    """5 - 7 = -2 is no cost: two seconds are added to everything, and said."""
    changed, raised = penalised(one_task(1.0), np.array([0.0, 7.0]))
    np.testing.assert_array_equal(changed.fixed_cost_ns, [2_000_000_000, -5_000_000_000])
    assert changed.drop_cost_ns[0] == 0
    assert raised == pytest.approx(2.0)


def test_a_task_that_must_not_be_dropped_stays_so():
    task = Task(0.0, [Option("device", [Stage("device", 1.0)])], "user")
    x = OffloadingInstance.from_tasks([Resource("device")], [task])
    changed, raised = penalised(x, np.array([4.0]))
    assert changed.drop_cost_ns[0] == x.drop_cost_ns[0]
    assert raised == 0.0
    assert formulations.solve(changed).bound == pytest.approx(-3.0)


def test_crowding_by_hand():
    """The task fills the server until 2; one that follows at 1 waits a second in this world.

    In the other future, as likely as this one, nobody follows: z = 1 - 1/2.
    """

    def world(second_s: float) -> Drawn:
        server = Option("server", [Stage("server", 2.0)])
        tasks = [Task(0.0, [server], "a", drop_cost_s=9.0)]
        tasks.append(Task(second_s, [server], "b", drop_cost_s=9.0))
        x = OffloadingInstance.from_tasks([Resource("server")], tasks)
        return Drawn(x, own_cost_s(x), np.full((2, 2), 2.0))

    futures = [world(1.0), world(100.0)]
    z = Crowding(futures, Shape(("server",), 5.0, 1.0)).z_s(futures[0])
    np.testing.assert_allclose(z, [0.5, 0.0])
    half = Crowding(futures, Shape(("server",), 5.0, 0.5)).z_s(futures[0])
    np.testing.assert_allclose(half, [0.25, 0.0])
    near = Crowding(futures, Shape(("server",), 0.5, 1.0)).z_s(futures[0])
    np.testing.assert_allclose(near, 0.0)


def test_the_certificate_of_a_world(tmp_path):
    """`mecopt verify` accepts the inner bound, and not a higher one."""
    x = one_task(1.0)
    world = Drawn(x, own_cost_s(x), np.zeros((0, 2)))
    _, result = figure_s(world, np.array([0.3, -0.2]), time_limit_s=1.0)
    path = tmp_path / "world.json"
    verify.save(path, result)
    verdict = verify.verify(path)
    assert verdict.ok
    assert verdict.instance_hash == penalised(x, np.array([0.3, -0.2]))[0].content_hash
    path.write_text(json.dumps(json.loads(path.read_text()) | {"bound": result.bound + 0.1}))
    assert not verify.verify(path).ok


def test_what_makes_no_sense_is_refused():
    """Each message names the argument."""
    x = one_task(1.0)
    world = Drawn(x, own_cost_s(x), np.zeros((0, 2)))
    shape = Shape(("server",), 1.0, 0.5)
    with pytest.raises(ValueError, match="z_s must have 2 entries"):
        penalised(x, np.zeros(3))
    with pytest.raises(ValueError, match="z_s"):
        penalised(x, np.array([0.0, np.nan]))
    with pytest.raises(ValueError, match="futures: is empty"):
        Crowding([], shape)
    with pytest.raises(ValueError, match="redrawn_s: 0 draws, 1 futures"):
        Crowding([world], shape).z_s(world)
    with pytest.raises(ValueError, match="horizon_s = 0"):
        Shape(("server",), 0.0, 0.5)
    with pytest.raises(ValueError, match="theta = -1"):
        Shape(("server",), 1.0, -1.0)
