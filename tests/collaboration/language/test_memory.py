"""What became of tasks, as far as it is known."""

import numpy as np
import pytest

pytest.importorskip("torch")

from learning.collaboration.memory import DAMAGED, DOWN, FINE, LATE, Evaluator, Memory
from mecopt.collaboration.network import Network
from mecopt.collaboration.walk import Walks
from mecopt.offloading.replay import rollout
from tests.collaboration.hand_made import alone, line, made


class Plays:
    """Carries out given options, and notes memory at every release."""

    name = "plays"

    def __init__(self, *choices):
        self.choices, self.noted = choices, []

    def reset(self, instance):
        network = Network.of(instance)
        memory = Memory(len(network.nodes), 3, slot_s=1.0)
        self.evaluator = Evaluator(instance, Walks.of(instance, network), memory)

    def act(self, observation):
        self.evaluator.watch(observation)
        self.noted.append(self.evaluator.memory.long.copy())
        return self.choices[observation.task]


def counts(noted):
    """{(node, candidate, cause): count} of what is not nothing."""
    return {tuple(map(int, at)): noted[tuple(at)] for at in np.argwhere(noted)}


def test_damage_is_found_at_the_planned_end():
    """One place; 2 s each from 0 on: the first, damaged, ends at 2, the second at 4, on time."""
    strength = np.full((4, 1), np.inf)
    strength[0] = 0.0
    rows = [(0.0, 0, 1.0, 2.0), (1.0, 0, 1.0, 2.0), (2.0, 0, 1.0, 2.0), (4.0, 0, 1.0, 2.0)]
    plays = Plays(0, 0, 0, 0)
    rollout(made(alone(0.0, 1.0, 0.1), rows, 9.0, strength=strength), plays)
    assert [counts(noted) for noted in plays.noted] == [
        {}, {}, {(0, 0, DAMAGED): 1}, {(0, 0, DAMAGED): 1, (0, 0, FINE): 1},
    ]  # fmt: skip


def test_what_is_late_and_what_a_node_loses():
    """2 s each, due after 3: the second would end at 4, and is late when 3 is past. The third is
    in service when the node goes down at 5.
    """
    rows = [(0.0, 0, 1.0, 2.0), (0.0, 0, 1.0, 2.0), (3.0, 0, 1.0, 2.0), (3.5, 0, 1.0, 2.0),
            (6.0, 0, 1.0, 2.0)]  # fmt: skip
    plays = Plays(0, 0, 0, -1, 0)
    rollout(made(alone(0.1, 0.5), rows, 3.0, down_s=[[(5.0, 5.5)]]), plays)
    assert counts(plays.noted[2]) == {(0, 0, FINE): 1}
    assert counts(plays.noted[3]) == {(0, 0, FINE): 1, (0, 0, LATE): 1}
    assert counts(plays.noted[4]) == {(0, 0, FINE): 1, (0, 0, LATE): 1, (0, 0, DOWN): 1}


def test_every_decision_on_the_way_is_credited():
    """From a by b to c: a's first candidate, b's second, and that c kept it."""
    plays = Plays(2, 0)
    rollout(made(line(), [(0.0, 0, 1.0, 1.0), (5.0, 0, 1.0, 1.0)], 9.0), plays)
    assert counts(plays.noted[1]) == {(0, 1, FINE): 1, (1, 2, FINE): 1, (2, 0, FINE): 1}


def test_short_memory_forgets_after_ten_slots():
    """Four damaged at 0 s, four on time at 6 s: at 9.9 s both are lately, at 10 s the damaged are
    gone, at 16 s all are, and long memory speaks: half and half.
    """
    memory = Memory(1, 1, slot_s=1.0)
    memory.add([0] * 4, [0] * 4, [DAMAGED] * 4)
    memory.pass_to(6.0)
    memory.add([0] * 4, [0] * 4, [FINE] * 4)
    memory.pass_to(9.9)
    assert memory.shares().tolist() == [[[0.5, 0.0, 0.5]]]
    memory.pass_to(10.0)
    said = memory.recollection()
    assert memory.shares().tolist() == [[[1.0, 0.0, 0.0]]]
    assert (said.trouble[0, 0], said.share[0, 0], said.lately[0, 0]) == (FINE, 10, True)
    memory.pass_to(16.0)
    said = memory.recollection()
    assert (said.trouble[0, 0], said.share[0, 0], said.lately[0, 0]) == (DAMAGED, 5, False)


def test_at_most_five_sentences():
    """Seven candidates with 4, 5, ... 10 outcomes: of the last five."""
    memory = Memory(1, 7)
    for c in range(7):
        memory.add([0] * (4 + c), [c] * (4 + c), [FINE] * (4 + c))
    assert (memory.recollection().trouble[0] >= 0).tolist() == [False] * 2 + [True] * 5


def test_a_new_episode_keeps_long_memory():
    memory = Memory(1, 1)
    memory.add(0, 0, LATE)
    memory.begin_episode()
    assert memory.short.sum() == 0 and memory.long.sum() == 1
