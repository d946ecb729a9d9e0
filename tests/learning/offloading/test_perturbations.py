"""Perturbed prompts: what changes, what must not, and that answers are told back rightly."""

import numpy as np
import pytest

from learning.offloading.evaluation import independent_states as protocol
from learning.offloading.prompts import forms_compact_natural as prompts
from learning.offloading.prompts import perturbations
from learning.offloading.prompts.perturbations import ALL, Perturbation, Perturbed
from learning.offloading.states import decision_states as decision_states
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm


class Reader:
    """The one-step oracle as a policy that reads what it is shown, and remembers it."""

    name, parse_rate = "reader", 0.5

    def reset(self, instance):
        self.seen = []

    def decide(self, states):
        self.seen.append(states)
        return states.one_step_cost_slots.argmin(axis=1)

    def scores(self, states, naming, *, units, wording):
        self.seen.append((states, naming, units, wording))
        return -states.one_step_cost_slots


@pytest.fixture(scope="module")
def states():
    """60 states with three to five servers (padding included)."""
    worlds = [comllm.generate("busy", s, servers=3 + s, slots=12) for s in range(3)]
    return decision_states.collect(worlds, per_instance=20)


def change(name: str) -> Perturbation:
    return next(p for p in ALL if p.name == name)


def asked(name: str, states):
    policy = Reader()
    policy.reset(None)
    return policy, Perturbed(policy, change(name)).decide(states)


def test_order_does_not_matter_to_who_reads_all_servers(states):
    """The oracle sees other columns, and its answers come back as the true servers."""
    policy, option = asked("shuffled", states)
    (seen,) = policy.seen
    assert not np.array_equal(seen.server_ghz, states.server_ghz, equal_nan=True)
    assert np.array_equal(np.sort(seen.server_ghz), np.sort(states.server_ghz), equal_nan=True)
    assert np.array_equal(option, states.one_step_cost_slots.argmin(axis=1))


def test_reordering_by_hand():
    """Server 3 is listed first: an answer "first server" means server 3."""
    option = perturbations._told_back(np.array([0, 1, 3, 4]), np.array([[2, 0, 1]] * 4))
    assert option.tolist() == [0, 3, 2, 4]  # local and drop stay what they are


def test_names_are_drawn_and_places_kept(states):
    """Every listed server gets one of the names of the pool, none twice."""
    policy, option = asked("renamed", states)
    ((seen, naming, units, wording),) = policy.seen
    before = prompts.in_order(states)
    assert np.array_equal(naming.order, before.order)
    assert np.array_equal(naming.name > 0, before.name > 0)
    assert naming.name.max() > states.n_servers  # from the whole pool, not 1, 2, 3
    assert all(len(set(row[row > 0])) == (row > 0).sum() for row in naming.name)
    assert np.array_equal(option, states.one_step_cost_slots.argmin(axis=1))
    assert (units, wording) == ("slots", 0) and seen is states


def test_noise_is_relative_and_leaves_the_task_alone(states):
    """About 2 % on waits, rates and speeds; the size of the task is known."""
    policy, _ = asked("noise", states)
    (seen,) = policy.seen
    ratio = (seen.rate_mbps / states.rate_mbps)[states.present]
    assert ratio.std() == pytest.approx(0.02, rel=0.3) and ratio.mean() == pytest.approx(
        1, abs=0.01
    )
    assert np.array_equal(seen.size_mbit, states.size_mbit)
    assert (seen.wait_slots[states.present] >= 0).all()


def test_units_and_wording_reach_the_prompt(states):
    """They change the text, not the states."""
    for name, expected in (("units", ("ms", 0)), ("wording", ("slots", 1))):
        policy, _ = asked(name, states)
        ((seen, _, *told),) = policy.seen
        assert seen is states and tuple(told) == expected


def test_a_policy_without_text_meets_only_what_changes_numbers():
    """A network cannot notice names; a rule that reads observations meets nothing."""

    class Network:
        decide = Reader.decide

    assert [p.name for p in perturbations.of(Network())] == ["shuffled", "noise"]
    assert perturbations.of(object()) == ()
    assert [p.name for p in perturbations.of(Reader())] == [
        "shuffled", "renamed", "noise", "units",
    ]  # fmt: skip


def test_a_perturbed_policy_plays_episodes():
    """Shuffled lists leave the oracle's trajectory as it is; equal seeds give equal noise."""
    x = comllm.generate("paper", 2, slots=20)
    plain = rollout(x, Perturbed(Reader(), Perturbation("none")))
    shuffled = rollout(x, Perturbed(Reader(), change("shuffled")))
    assert np.array_equal(plain.choice, shuffled.choice)
    one, two = (rollout(x, Perturbed(Reader(), change("noise"))) for _ in range(2))
    assert np.array_equal(one.choice, two.choice)
    assert not np.array_equal(one.choice, plain.choice)


def test_cost_under_noise_is_that_of_the_true_state():
    """What was decided on wrong numbers is priced with the right ones."""
    sample, answers = protocol.ask(
        {"plain": Reader(), "noisy": Perturbed(Reader(), change("noise"))}, count=80, slots=20
    )
    plain, noisy = (protocol.figures(sample, a) for a in answers.values())
    assert plain["pr"] == 1.0
    assert 0.9 < noisy["pr"] < 1.0
    assert noisy["parse_rate"] == 0.5
