"""Labels: what each teacher says an option costs, ties included, and where rows come from."""

from __future__ import annotations

import numpy as np
import pytest

from learning.offloading.rewards import labels
from learning.offloading.states import decision_states as decision_states
from learning.offloading.states.decision_states import to_choice
from learning.offloading.training import rows as datasets
from mecopt.offloading.policies import by_name as policies
from mecopt.offloading.policies.lookahead import Lookahead
from mecopt.offloading.replay import replay
from mecopt.offloading.scenarios import comllm
from mecopt.offloading.scenarios.futures import generated_futures


@pytest.fixture(scope="module")
def episode():
    return comllm.generate("large", 10_003, servers=2, users=2, slots=12)


def test_one_step_labels_are_the_costs_of_the_states(episode):
    seen = decision_states.collect([episode])
    assert labels.one_step(seen).cost_slots.tolist() == seen.one_step_cost_slots.tolist()


def test_lookahead_labels_are_those_the_policy_would_act_on(episode):
    """Following the labels is following the policy: equal states, and its choices are best."""
    labelled = labels.by_lookahead(episode, samples=5, horizon_s=0.5, seed=3)
    policy = Lookahead(5, 0.5, generated_futures(3))
    policy.reset(episode)
    for i, observation in enumerate(decision_states.visit([episode], policy)):
        option = policy.act(observation) % (observation.n_options + 1)
        cost = labelled.cost_slots[i]
        assert cost[option] == pytest.approx(cost.min(), abs=1e-6)


def test_user_values_label_every_option(episode):
    labelled = labels.by_user_values(episode, "random")
    assert np.isfinite(labelled.cost_slots).all()
    # An option that leaves the same queues behind costs the more the later it ends.
    assert (
        labelled.cost_slots.argmin(axis=1) == labelled.states.one_step_cost_slots.argmin(axis=1)
    ).mean() > 0.5


def test_clairvoyant_labels_are_regrets_through_replay(episode):
    """Choosing option o for task 2 alone, everything else as in the schedule."""
    labelled = labels.by_schedule(episode, time_limit=60.0)
    cost = labelled.cost_slots
    assert cost.min(axis=1) == pytest.approx(np.zeros(len(cost)), abs=1e-3)
    schedule = np.array([to_choice(int(o), 2) for o in cost.argmin(axis=1)])
    best = replay(episode, schedule).objective
    for option in range(4):
        other = schedule.copy()
        other[2] = to_choice(option, 2)
        regret = (replay(episode, other).objective - best) / 0.1
        assert cost[2, option] == pytest.approx(regret, abs=1e-3)
    mean = best / 0.1 / episode.n_tasks
    assert labelled.bound_slots[0] <= mean + 1e-9 and labelled.bound_slots[0] > 0.9 * mean


def test_soft_labels_share_ties_and_know_the_temperature():
    """Two options at 2 slots, one at 3: exp(0), exp(0), exp(-1 / 0.5) over their sum."""
    cost = np.array([[2.0, 3.0, 2.0, np.inf]])
    far = np.exp(-2.0)
    expected = np.array([1.0, far, 1.0, 0.0]) / (2.0 + far)
    assert labels.soft(cost, 0.5)[0] == pytest.approx(expected)
    with pytest.raises(ValueError, match="temperature_slots = 0"):
        labels.soft(cost, 0)
    with pytest.raises(ValueError, match="no option of finite cost"):
        labels.soft(np.full((1, 3), np.inf), 1.0)


def test_exploring_takes_random_options_and_repeats_itself(episode):
    policy = labels.Exploring(policies.make("one-step-oracle"), 0.5, seed=1)
    first, second = (decision_states.collect([episode], policy) for _ in range(2))
    assert first.wait_slots.tolist() == second.wait_slots.tolist()
    straight = decision_states.collect([episode])
    assert first.device_wait_slots.tolist() != straight.device_wait_slots.tolist()


def test_labels_of_other_sizes_are_joined(episode):
    three = comllm.generate("paper", 10_000, servers=3, slots=5)
    both = labels.concat([labels.one_step(decision_states.collect([x])) for x in (episode, three)])
    # The drop stays last; the server that two-server states lack costs infinity.
    assert both.cost_slots.shape[1] == 5 and both.cost_slots[0, 3] == np.inf
    assert both.cost_slots[0, 4] == 20.0
    other = labels.by_user_values(episode, "random")
    with pytest.raises(ValueError, match="of the methods"):
        labels.concat([both, other])


def test_labelled_states_are_kept_in_a_file(episode, tmp_path):
    labelled = labels.by_schedule(episode, time_limit=60.0)
    labels.write(labelled, tmp_path / "labelled.npz")
    again = labels.read(tmp_path / "labelled.npz")
    assert (again.method, again.states.preset) == ("clairvoyant", labelled.states.preset)
    assert np.array_equal(again.cost_slots, labelled.cost_slots)
    assert np.array_equal(again.states.wait_slots, labelled.states.wait_slots)
    assert np.array_equal(again.bound_slots, labelled.bound_slots)


# ---------------------------------------------------------------------------------- datasets
def test_rows_of_another_part_are_refused():
    """Nothing is learned from test seeds."""
    tested = comllm.generate("paper", 3, slots=5)
    labelled = labels.one_step(decision_states.collect([tested]))
    with pytest.raises(ValueError, match=r"seed 3 is not one of train"):
        datasets.training_rows(labelled, 1, seed=0)


def test_training_rows_use_every_state_before_any_is_used_again(episode):
    """Costs are listed like the lines of the prompt, whatever the names and the padding."""
    three = comllm.generate("paper", 10_000, servers=3, slots=5)
    labelled = labels.concat(
        [labels.one_step(decision_states.collect([x])) for x in (episode, three)]
    )
    n = len(labelled)
    rows = datasets.training_rows(labelled, 2 * n, seed=0)
    assert sorted(rows["row"][:n]) == list(range(n)) == sorted(rows["row"][n:])
    again = datasets.training_rows(labelled, 2 * n, seed=0)
    assert list(again["input_ids"]) == list(rows["input_ids"])
    for row in rows.select(range(10)):
        cost = labelled.cost_slots[row["row"]]
        listed = np.array(row["cost_slots"])
        assert sorted(listed) == pytest.approx(sorted(cost))
        assert (listed[0], listed[-1]) == pytest.approx((cost[0], cost[-1]))
        assert listed[1] == np.inf or row["row"] >= len(labelled) - len(three.release_ns)
    with pytest.raises(ValueError, match="labelled: is empty"):
        datasets.training_rows(labelled[:0], 5, seed=0)
    with pytest.raises(ValueError, match="uses = 0"):
        datasets.training_rows(labelled, 0, seed=0)
