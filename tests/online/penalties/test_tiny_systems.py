"""[bound] is never above the best online rule: every world and every future, nothing sampled."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from formulations.online import exact
from formulations.online.penalties.crowding import Crowding, Shape
from formulations.online.penalties.route import figure_s
from formulations.online.penalties.worlds import Drawn, own_cost_s
from formulations.online.tasks import System
from tests.support.tiny_online import instance_of, tiny_system

ALL = ("uplink", "device", "server")
SHAPES = (Shape(ALL, 3.0, 0.5), Shape(("uplink", "device"), 1.0, 1.0), Shape(("server",), 2.0, 2.0))


def drawn(system: System, history: np.ndarray) -> Drawn:
    """A world with known services; where nothing arrives, a task is released after all is over."""
    if not history.shape[1]:
        history = np.array([[1000], [0], [0], [0]])
    x = instance_of(system, system.draw(1, np.random.default_rng(0)), history)
    return Drawn(x, own_cost_s(x), np.tile(x.service_ns * 1e-9, (64, 1)))


class Enumerated:
    """Every world of a tiny system, with exact means as penalties need them."""

    def __init__(self, seed: int) -> None:
        self.system = tiny_system(3 * seed + 1)  # three slots, two servers, one type: 64 worlds
        every = list(exact.worlds(self.system))
        self.chance = np.array([chance for chance, _, _ in every])
        self.histories = [history for _, _, history in every]
        self.futures = [drawn(self.system, history) for history in self.histories]

    def least(self, shape: Shape | None = None, weight: np.ndarray | None = None) -> float:
        """Expected least cost - sum z of all decisions: [bound], or clairvoyant without shape."""
        z = self.penalties(shape or Shape(ALL, 1.0, 0.0), weight)
        each = zip(self.chance, self.histories, z, strict=True)
        return sum(c * least(self.system, history, of) for c, history, of in each)

    def penalties(self, shape: Shape, weight: np.ndarray | None = None) -> list[np.ndarray]:
        """(n, options) [crowding] of every world; with exact means unless told otherwise."""
        of = Crowding(self.futures, shape, self.chance if weight is None else weight)
        every = zip(self.futures, self.histories, strict=True)
        return [
            of.z_s(world).reshape(world.instance.n_tasks, -1)[: h.shape[1]] for world, h in every
        ]


def least(system: System, history: np.ndarray, z: np.ndarray) -> float:
    """The least cost - sum z of all decisions in a world."""
    tasks = system.draw(1, np.random.default_rng(0))
    return _least(
        tasks.upload, tasks.compute, tasks.local, system.deadline_slots, system.drop_cost_slots,
        history.copy(), z,
    )  # fmt: skip


@njit
def _least(upload, compute, local, deadline, drop, history, z):
    n, options = history.shape[1], upload.shape[1] + 2
    best = np.inf
    for code in range(options**n):
        gained, rest = 0.0, code
        for k in range(n):
            history[3, k] = rest % options
            rest //= options
            if history[3, k] < options - 1:
                gained += z[k, history[3, k]]
        cost = exact._replay(n, upload, compute, local, deadline, drop, history)
        best = min(best, cost - gained)
    return best


def test_never_above_the_best_online_rule():
    """200 random systems and three shapes: no sampling error, so no exception at all."""
    tighter = 0
    for seed in range(200):
        every = Enumerated(seed)
        found = every.least(SHAPES[seed % 3])
        assert found <= exact.best_cost_slots(every.system) + 1e-7, seed
        if seed % 3 == 0:
            tighter += found > every.least() + 1e-6
    assert tighter > 10  # of 67 where the shape is a sensible one


def test_a_wrong_penalty_is_caught():
    """Futures of twice their probability make penalties whose mean is not zero.

    The bound then exceeds what the best rule costs on some system: the test above can fail.
    """
    caught = 0
    for seed in range(0, 24, 3):
        every = Enumerated(seed)
        found = every.least(Shape(ALL, 3.0, 1.0), 2.0 * every.chance)
        caught += found > exact.best_cost_slots(every.system) + 1e-6
    assert caught


RULES = {
    "always local": lambda k, history: 0,
    "always server 2": lambda k, history: 2,
    "by slot and user": lambda k, history: (history[0, k] + history[1, k]) % 3,
    "by how many came": lambda k, history: k % 3,
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_penalties_have_mean_zero(rule):
    """Under rules that look at the past only; over all worlds, exactly."""
    for seed in range(5):
        every, total = Enumerated(seed), 0.0
        each = zip(every.chance, every.histories, every.penalties(SHAPES[0]), strict=True)
        for chance, history, z in each:
            total += chance * sum(z[k, rule(k, history)] for k in range(len(z)))
        assert total == pytest.approx(0.0, abs=1e-9)


def test_a_rule_that_sees_the_future_has_other_penalties():
    """The first task runs locally exactly when it is the last one: no online rule."""
    means = []
    for seed in range(5):
        every, total = Enumerated(seed), 0.0
        for chance, z in zip(every.chance, every.penalties(SHAPES[0]), strict=True):
            if len(z):
                total += chance * z[0, 0 if len(z) == 1 else 1]
        means.append(abs(total))
    assert max(means) > 1e-3


def test_the_certified_bound_is_below_every_decision():
    """In single worlds, what `figure_s` says against all decisions by enumeration."""
    rng = np.random.default_rng(3)
    for seed in range(6):
        every = Enumerated(seed)
        n = int(rng.integers(1, len(every.histories)))
        z = every.penalties(SHAPES[2])[n]
        found, _ = figure_s(every.futures[n], z.ravel(), time_limit_s=0.5)
        assert found <= least(every.system, every.histories[n], z) + 1e-7
