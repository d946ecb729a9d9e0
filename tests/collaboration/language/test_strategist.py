"""Who is asked when, what is kept, and the policy that follows."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")

from learning.collaboration.answers import Answers
from learning.collaboration.memory import DAMAGED, Memory
from learning.collaboration.prior import LanguagePrior
from learning.collaboration.reflexion import Reflexion
from learning.collaboration.rule_model import RuleModel
from learning.collaboration.strategist import Strategist
from mecopt.collaboration.charge import charged
from mecopt.collaboration.scenarios import ledrl
from mecopt.offloading.replay import rollout
from tests.collaboration.hand_made import alone, line, made
from tests.collaboration.language.cases import moment, seen, sight


class Says:
    """A model with one answer for all: shares of the candidates in proportion; counts questions."""

    name = "says"

    def __init__(self, *weights, valid=True):
        self.weights, self.valid, self.asked = np.array(weights, dtype=float), valid, []

    def answer(self, rows):
        self.asked.append(len(rows))
        wide = rows.up.shape[1]
        weight = np.where(np.arange(wide) < rows.count[:, None], self.weights[:wide], 0.0)
        prior = (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)
        n = len(rows)
        return Answers(prior, np.full(n, 0.25, np.float32), np.full(n, self.valid))


def at(now_s, up=(True, True, True), memory=None):
    from dataclasses import replace

    return replace(moment(memory, up), now_s=now_s)


def test_a_node_asks_every_ten_slots():
    """All three at 0 s; nobody before 5 s; then the same questions, which the cache answers."""
    model = Says(1, 2, 1)
    strategist = Strategist(model)
    strategist.begin([sight()])
    prior, risk, asked = strategist.refresh([at(0.0)])
    assert prior[0, 0] == pytest.approx([1 / 3, 2 / 3, 0]) and risk[0].tolist() == [0.25] * 3
    assert asked.all() and model.asked == [3]
    assert not strategist.refresh([at(4.9)])[2].any() and strategist.counts.questions == 3
    assert not strategist.refresh([at(5.0)])[2].any()
    assert strategist.counts.questions == 6 and strategist.counts.hit_rate == 0.5


def test_a_node_asks_when_it_or_a_neighbour_goes_down():
    """c goes down: b, its neighbour, and c itself ask anew; a does not see it."""
    strategist = Strategist(Says(1, 1, 1))
    strategist.begin([sight()])
    strategist.refresh([at(0.0)])
    asked = strategist.refresh([at(0.5, (True, True, False))])[2]
    assert asked.tolist() == [[False, True, True]]


def test_episodes_are_asked_together_and_equal_questions_once():
    """Two episodes at one moment have the same three questions; only node 1 of one is needed."""
    model = Says(1, 1, 1)
    strategist = Strategist(model)
    strategist.begin([sight(), sight()])
    strategist.refresh([at(0.0), at(0.0)], [[1], []])
    assert model.asked == [1]
    strategist.refresh([at(0.0), at(0.0)])
    assert model.asked == [1, 2] and strategist.counts.questions == 6
    strategist.restart(1, sight())
    strategist.refresh([at(0.0), at(0.0)])
    assert strategist.counts.questions == 9 and model.asked == [1, 2]


def test_memory_is_part_of_the_question():
    model = Says(1, 1, 1)
    strategist = Strategist(model)
    strategist.begin([sight()])
    strategist.refresh([at(0.0)])
    memory = Memory(3, 3)
    memory.add([0] * 4, [1] * 4, [DAMAGED] * 4)
    strategist.refresh([at(5.0, memory=memory)])
    assert model.asked == [3, 1]


def test_answers_that_cannot_be_used_are_counted():
    policy = Reflexion(Strategist(Says(1, 1, 1, valid=False)))
    rollout(ledrl.generate("paper", 0, nodes=4, slots=2), policy)
    assert policy.parse_rate == 0.0 and policy.strategist.counts.invalid > 0


def test_networks_of_other_sizes_are_refused():
    strategist = Strategist(Says(1, 1, 1))
    with pytest.raises(ValueError, match=r"networks of \[1, 3\] nodes, expected one number"):
        from learning.collaboration.sight import Sight
        from tests.collaboration.language.cases import TASK

        strategist.begin([sight(), Sight(alone(0.0, 1.0), TASK)])


def test_the_prior_that_agents_are_told():
    """Two networks asked together; rows of four candidates; b's memory is in its question."""
    model = Says(1, 2, 1)
    prior = LanguagePrior(model)
    counts = np.zeros((3, 4, 4), dtype=np.int64)
    plain = at(0.0)
    told = SimpleNamespace(
        network=line(0.25, 0.1), deadline_s=4.0, now_s=0.0, mean_bytes=20.0, mean_cycles=4.0,
        up=plain.up, node_wait_s=plain.node_wait_s, link_wait_s=plain.link_wait_s, counts=counts,
        lately=np.zeros_like(counts),
    )  # fmt: skip
    one, two = prior([told, told], 4)
    assert one[0].shape == (3, 4) and one[0][0] == pytest.approx([1 / 3, 2 / 3, 0, 0])
    assert np.array_equal(one[0], two[0]) and one[1].tolist() == [0.25] * 3
    assert model.asked == [3]
    counts[1, 2] = [0, 0, 5, 0]
    assert np.array_equal(prior([told], 4)[0][0], one[0]) and model.asked == [3, 1]


# ------------------------------------------------------------------------------------ the policy
def test_a_task_goes_where_the_strategies_say():
    """a and b send on with certainty where they may: from a to b, there back is no option, to c."""
    x = made(line(), [(0.0, 0, 1.0, 1.0)], 9.0)
    policy = Reflexion(Strategist(Says(0, 1, 1)))
    assert rollout(x, policy).choice.tolist() == [2]
    assert policy.waits == [2]  # a and b were asked; at c there was nothing to decide
    assert rollout(x, Reflexion(Strategist(Says(1, 0, 0)))).choice.tolist() == [0]


def test_draws_follow_the_strategy():
    """Half of the tasks stay, by 400 draws; greedily all of them."""
    x = made(line(), [(0.0, 0, 1.0, 1.0)] * 400, 999.0, most_hops=1)
    policy = Reflexion(Strategist(Says(0.51, 0.49, 0.0)), seed=1)
    stayed = np.mean(rollout(x, policy).choice == 0)
    assert 0.4 < stayed < 0.6
    assert (rollout(x, policy).choice == 0).mean() == stayed  # the same draws again
    likeliest = Reflexion(Strategist(Says(0.51, 0.49, 0.0)), temperature=0.0)
    assert (rollout(x, likeliest).choice == 0).all()


def test_a_hopeless_task_is_dropped():
    """2 s each on one node, due after 3 s: the second would end at 4."""
    x = made(alone(0.0, 1.0), [(0.0, 0, 1.0, 2.0)] * 2, 3.0)
    assert rollout(x, Reflexion(Strategist(Says(1)))).choice.tolist() == [0, -1]
    stubborn = Reflexion(Strategist(Says(1)), drop_hopeless=False)
    assert rollout(x, stubborn).choice.tolist() == [0, 0]
    with pytest.raises(ValueError, match="temperature = -1 must be >= 0"):
        Reflexion(Strategist(Says(1)), temperature=-1)


def test_waiting_is_charged_to_who_waited():
    """Two tasks in one slot: only the first asks. After 9 s it is late, the other is not."""
    x = made(line(), [(0.0, 0, 1.0, 1.0)] * 2, 9.0)
    policy = Reflexion(Strategist(Says(1, 0, 0)))
    choice = rollout(x, policy).choice
    assert policy.delay_s(9.0).tolist() == [9.0, 0.0]
    assert charged(x, choice, policy.delay_s(9.0)) == 0.5


def test_memory_is_carried_over_where_that_is_asked_for():
    x = ledrl.generate("paper", 0, nodes=4, slots=6)
    for carried in (False, True):
        policy = Reflexion(Strategist(RuleModel()), carries_over=carried)
        rollout(x, policy)
        known = policy._memory.long.sum()
        policy.reset(x)
        assert (policy._memory.long.sum() == known) == carried and known > 0


def test_the_rule_model_prefers_the_better_chance():
    """a: 4 s and 0.5 s wait are too long; b: 2 + 1 + 2 s also; behind b, 2 + 3.5 s. All 0: equal.

    At c, execution takes 1 s of the 4: exp(-0.25), b is too late: 2 + 1 + 2 s.
    """
    prior = RuleModel(0.2).answer(seen()).prior
    assert prior[0].tolist() == [0.5, 0.5, 0.0]
    expected = 1 / (1 + np.exp(-np.exp(-0.25) / 0.2))
    assert prior[2, 0] == pytest.approx(expected, abs=1e-6)
