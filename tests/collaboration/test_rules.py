"""Rules for failing nodes: hand-made moments where the right answer is plain."""

import numpy as np
import pytest

from mecopt.collaboration.network import Link, Network, Node
from mecopt.collaboration.policies.beliefs import Beliefs
from mecopt.collaboration.policies.by_name import RULES, entry, rule
from mecopt.collaboration.policies.genetic import Moment
from mecopt.collaboration.policies.misled import Misled
from mecopt.collaboration.scenarios import ledrl
from mecopt.offloading.observation import OnlineSystem
from mecopt.offloading.policies import by_name
from mecopt.offloading.replay import replay, rollout
from tests.collaboration.hand_made import alone, line, made


def pair(reliable: float, fast: float) -> Network:
    """a, 1 cycle a second, and b, 2 cycles, with their execution failure rates."""
    nodes = (Node("a", 1.0, 1, reliable), Node("b", 2.0, 1, fast))
    return Network(nodes, (Link("a", "b", 10.0), Link("b", "a", 10.0)), 0.0, 0.5)


def test_keep_stays():
    x = made(line(), [(0.0, k, 5.0, 1.0) for k in range(3)], 4.0)
    assert rollout(x, rule("keep")).choice.tolist() == [0, 0, 0]


def test_earliest_start_waits_for_nobody():
    """At a the first begins at 0; the second would wait 2 s there, at b it begins after 0.5 s."""
    x = made(line(), [(0.0, 0, 5.0, 2.0)] * 2, 9.0)
    assert rollout(x, rule("earliest-start")).choice.tolist() == [0, 1]


def test_ratc_prefers_the_reliable_of_two_that_are_in_time():
    """2 cycles: 2 s at a, exp(-0.1 x 2) = 0.82; 0.1 + 1 s at b, exp(-1) = 0.37; both by 3 s.

    Due after 1.5 s only b is in time, and the faster.
    """
    network = pair(0.1, 1.0)
    assert rollout(made(network, [(0.0, 0, 1.0, 2.0)], 3.0), rule("ratc")).choice.tolist() == [0]
    assert rollout(made(network, [(0.0, 0, 1.0, 2.0)], 1.5), rule("ratc")).choice.tolist() == [1]


def test_two_choice_takes_the_shorter_queue():
    """Two nodes, both always drawn: tasks of 2 s go in turn, though a is nearer and reliable."""
    x = made(pair(0.0, 0.0), [(0.0, 0, 1.0, 2.0)] * 2, 9.0)
    assert sorted(rollout(x, rule("two-choice")).choice.tolist()) == [0, 1]


def test_expected_success_weighs_queues_and_rates():
    """First task: 0.82 at a against 0.37 at b. Second: late at a (4 s of 3), so b.

    Third: also late at b if 2 x 1 + 0.1 s were over 3 s; they are not: end 2.1 s. Fourth: 3.1 s at
    b, dropped.
    """
    x = made(pair(0.1, 1.0), [(0.0, 0, 1.0, 2.0)] * 4, 3.0)
    assert rollout(x, rule("expected-success")).choice.tolist() == [0, 1, 1, -1]


def test_agsp_finds_the_best_of_a_moment():
    """Three tasks together: the best of all 27 decisions by believed chances."""
    x = made(pair(0.1, 0.4), [(0.0, 0, 1.0, 2.0)] * 3, 3.0)
    system = OnlineSystem(x)
    system.advance(0)
    moment = Moment(system.observe(0), Beliefs.of(x), [0, 1, 2])
    grid = np.array(np.meshgrid(*[[-1, 0, 1]] * 3)).reshape(3, -1).T.tolist()
    best = max(moment.fitness(genes) for genes in grid)
    choice = rollout(x, rule("agsp")).choice.tolist()
    assert moment.fitness(choice) == pytest.approx(best)


def test_agsp_promises_no_more_than_happens():
    """Without failures a task has chance 1 or none: behind all committed work, so at the latest."""
    x = ledrl.generate(
        "paper", 2, nodes=4, slots=6, node_failure_per_s=0.0,
        execution_failure_per_s=(0.0, 0.0), link_failure_per_s=(0.0, 0.0),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    together = np.flatnonzero(x.release_ns == x.release_ns[-1])
    early = np.full(x.n_tasks, -1)
    early[: together[0]] = rng.integers(np.diff(x.option_ptr)[: together[0]])
    system = OnlineSystem(x)
    for k in range(together[0]):
        system.advance(k)
        system.commit(k, int(early[k]))
    system.advance(int(together[0]))
    observation = system.observe(int(together[0]))
    moment = Moment(observation, Beliefs.of(x), together.tolist())
    counts = np.diff(x.option_ptr)[together]
    for k, choice in ((k, o) for k, n in enumerate(counts) for o in range(n)):
        decision = early.copy()
        decision[together[k]] = choice
        found = replay(x, decision)
        genes = [-1] * len(together)
        genes[k] = choice
        assert moment.fitness(genes) <= float(-found.cost_s[together].sum()) + 1e-9


@pytest.mark.parametrize("name", sorted(set(RULES) - {"expected-lookahead"}))
def test_rules_run_where_nodes_are_down(name: str):
    """Down at the release: every rule answers, nobody is on time, no number is undefined."""
    x = made(alone(0.1, 0.5), [(0.0, 0, 1.0, 1.0)], 2.0, down_s=[[(0.0, 9.0)]])
    with np.errstate(all="raise"):
        assert rollout(x, rule(name)).objective == 0.0


def test_lookahead_sees_what_is_to_come():
    """Over four episodes it has more tasks on time than the rule of one step."""
    drawn = [ledrl.generate("paper", s, slots=30) for s in range(4)]
    far = sum(rollout(x, rule("expected-lookahead")).objective for x in drawn)
    near = sum(rollout(x, rule("expected-success")).objective for x in drawn)
    assert far < near


def test_futures_come_from_generated_episodes():
    x = made(line(), [(0.0, 0, 5.0, 2.0)], 9.0)
    with pytest.raises(ValueError, match="scenario None has no generator"):
        rollout(x, rule("expected-lookahead"))


@pytest.mark.parametrize("name", ["ratc", "two-choice", "agsp"])
def test_equal_seeds_equal_decisions(name: str):
    x = ledrl.generate("paper", 0, slots=10)
    once, again = rollout(x, rule(name, 1)).choice, rollout(x, rule(name, 1)).choice
    assert np.array_equal(once, again)
    assert not np.array_equal(once, rollout(x, rule(name, 2)).choice)


def test_rules_want_an_instance_of_theirs():
    from mecopt.offloading.scenarios import comllm

    with pytest.raises(ValueError, match="has no network of failing nodes"):
        rollout(comllm.generate("paper", 0, slots=2), rule("ratc"))


def test_a_misled_rule_decides_on_what_it_was_told():
    """Two cycles, 2 s at a with rate 0.1, 1 s and a hop at b with rate 0.25: 0.82 against 0.78.

    Told 0.2 and 0.125, half and twice the true ratio, it is 0.67 against 0.88.
    """
    x = made(pair(0.1, 0.25), [(0.0, 0, 1.0, 2.0)], 3.0)
    assert rollout(x, rule("expected-success")).choice.tolist() == [0]
    told = {}
    for seed in range(20):
        misled = Misled(rule("expected-success"), 2.0, seed)
        rates = [n.execution_failure_per_s for n in misled.told(Network.of(x)).nodes]
        told[tuple(rates)] = schedule = rollout(x, misled)
        assert schedule.instance.content_hash == x.content_hash
    assert set(told) == {(a, b) for a in (0.05, 0.2) for b in (0.125, 0.5)}
    assert told[0.2, 0.125].choice.tolist() == [1]
    assert told[0.05, 0.5].choice.tolist() == [0]


def test_the_lookahead_can_be_misled_too():
    x = ledrl.generate("paper", 0, slots=20)
    right = rollout(x, rule("expected-lookahead")).choice
    same = rollout(x, Misled(rule("expected-lookahead"), 1.0)).choice
    wrong = rollout(x, Misled(rule("expected-lookahead"), 3.0)).choice
    assert np.array_equal(right, same) and not np.array_equal(right, wrong)
    with pytest.raises(ValueError, match="factor = 0.5 must be >= 1"):
        Misled(rule("ratc"), 0.5)


def test_refused():
    with pytest.raises(ValueError, match="rule: unknown 'best'"):
        rule("best")
    with pytest.raises(ValueError, match="seed = -1"):
        rule("ratc", -1)
    with pytest.raises(ValueError, match="without parameters to load"):
        entry("ratc")(checkpoint="folder")


def test_no_name_is_taken():
    """Nothing here hides a rule of the core."""
    assert not set(RULES) & set(by_name.NAMES)
