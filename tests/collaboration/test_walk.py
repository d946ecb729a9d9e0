"""Options hop by hop, and decisions that take time."""

import numpy as np
import pytest

from mecopt.collaboration.charge import charged
from mecopt.collaboration.network import Network
from mecopt.collaboration.scenarios import ledrl
from mecopt.collaboration.walk import Walks
from mecopt.offloading.policies import by_name
from mecopt.offloading.replay import replay, rollout
from tests.collaboration.hand_made import alone, line, made


def test_routes_as_candidates():
    """a - b - c: from a, stay is 0; to b and stay is 1, 0; to b, on to c (b's second link) 1, 2, 0.

    b's links are to a and to c.
    """
    x = made(line(), [(0.0, 0, 1.0, 1.0)], 10.0)
    walks = Walks.of(x, Network.of(x))
    assert walks.candidate.tolist() == [[0, -1, -1], [1, 0, -1], [1, 2, 0]]
    assert walks.node.tolist() == [[0, -1, -1], [0, 1, -1], [0, 1, 2]]


def test_only_what_an_option_continues_may_be_taken():
    """40 cycles by 12 s: a and b take 40 and 20, only c with 10 + 2 x 0.1 s is quick enough."""
    x = made(line(), [(0.0, 0, 1.0, 40.0)], 12.0)
    walks, asked = Walks.of(x, Network.of(x)), []

    def away(node, candidates):
        asked.append((node, candidates.tolist()))
        return int(candidates[-1])

    assert walks.follow(x.options_of(0), away) == 1  # a > b > c
    assert asked == [(0, [0, 1])]  # at b and c there is nothing to decide


def test_every_option_is_a_walk_of_its_own():
    x = ledrl.generate("paper", 1, slots=4)
    walks = Walks.of(x, Network.of(x))
    for k in range(x.n_tasks):
        options = x.options_of(k)
        for o in options:
            steps = dict(zip(walks.node[o].tolist(), walks.candidate[o].tolist(), strict=True))
            assert walks.follow(options, lambda node, _, go=steps: go[node]) == o - options.start


def test_a_decision_that_takes_time_comes_later():
    """One node; tasks of 2 s released at 0 and 1, due after 4: on time at 2 and 4.

    The first decided after 1.5 s enters behind the second: 3, then 5, due at 4. After 4 s it is
    late whatever follows, and uses nothing.
    """
    x = made(alone(0.0, 1.0), [(0.0, 0, 1.0, 2.0), (1.0, 0, 1.0, 2.0)], 4.0)
    assert charged(x, [0, 0], 0.0) == 1.0
    assert charged(x, [0, 0], [1.5, 0.0]) == 0.5
    assert charged(x, [0, 0], [4.0, 0.0]) == 0.5
    with pytest.raises(ValueError, match=r"delay_s\[1\] = -1.0 must be finite and >= 0"):
        charged(x, [0, 0], [0.0, -1.0])


def test_decisions_that_take_no_time_cost_nothing():
    x = ledrl.generate("paper", 1, slots=12)
    found = rollout(x, by_name.make("expected-success"))
    assert charged(x, found.choice, 0.0) == np.mean(replay(x, found.choice).status == 0)
    assert charged(x, found.choice, 1.0) < charged(x, found.choice, 0.0)
