"""Every assignment of subtasks to nodes is an option, and its stages are what has to happen."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mecopt.offloading.replay import replay
from mecopt.task_graphs.correctness import Skill, undivided
from mecopt.task_graphs.episode import Episode
from mecopt.task_graphs.network import Link, Network, Node
from mecopt.task_graphs.options import GraphTask, Weights, instance_of
from mecopt.task_graphs.own import outcome_of
from mecopt.task_graphs.plan import Subtask, TaskPlan
from tests.support.tiny_graphs import alone_s, assignments, tiny_episode

#: ``me`` writes a token in 1 s, ``ap`` in 0.1 s; between them 10 bit/s after 0.5 s.
PAIR = Network(
    (Node("me", 0, 1.0, kind="device"), Node("ap", 0, 0.1)),
    (Link("me", "ap", 10.0, 0.5, channel="air"),),
)
#: b reads the 10 tokens of a and writes 20; in one call the task takes 25.
PLAN = TaskPlan(
    (
        Subtask("a", "extract", 10, correctness={"me": 0.5, "ap": 0.8}),
        Subtask("b", "write", 20, after=("a",), correctness={"me": 0.25, "ap": 1.0}),
    )
)
WHOLE = TaskPlan((Subtask("whole", "reason", 25, correctness={"me": 0.1, "ap": 0.9}),))
WEIGHTS = Weights(accuracy=1.0, latency_per_s=0.01, bits_per_token=1.0)


def pair(plan=PLAN, whole=WHOLE, weights=WEIGHTS, network=PAIR, input_bits=20.0):
    return Episode(network, (GraphTask(0.0, "me", plan, whole, input_bits),), weights)


#: label: (latency, expected correctness); the input travels 0.5 + 20 / 10 = 2.5 s, a's output
#: 0.5 + 1 = 1.5 s, b's output 0.5 + 2 = 2.5 s, that of the whole 0.5 + 2.5 = 3 s.
BY_HAND = {
    "device": (25.0, 0.1),
    "ap": (2.5 + 2.5 + 3.0, 0.9),
    "device+device": (10.0 + 20.0, 0.5 * 0.25),
    "device+ap": (10.0 + 1.5 + 2.0 + 2.5, 0.5 * 1.0),
    "ap+device": (2.5 + 1.0 + 1.5 + 20.0, 0.8 * 0.25),
    "ap+ap": (2.5 + 1.0 + 2.0 + 2.5, 0.8 * 1.0),
}


def test_latency_and_correctness_by_hand():
    """m + m^n = 2 + 4 options; reward = correctness - 0.01 x latency."""
    episode = pair()
    x = episode.instance
    assert [x.option_name(0, c) for c in range(x.n_options)] == list(BY_HAND)
    for c, (latency, right) in enumerate(BY_HAND.values()):
        schedule = replay(x, [c])
        assert schedule.latency_s[0] == pytest.approx(latency, abs=1e-8)
        assert -schedule.objective == pytest.approx(right - 0.01 * latency, abs=1e-8)
        outcome = outcome_of(episode, schedule)
        assert outcome.latency_s == pytest.approx(latency, abs=1e-8)
        assert outcome.accuracy == pytest.approx(right)
        assert outcome.reward == pytest.approx(right - 0.01 * latency, abs=1e-8)


def test_stages_by_hand():
    """a on the device, b at the access point: what happens when, and what waits for what."""
    episode = pair()
    outcome = outcome_of(episode, replay(episode.instance, [3]))
    rows = outcome.stages[["resource", "kind", "item", "start_s", "finish_s", "after"]]
    assert rows.round(6).to_numpy().tolist() == [
        ["me", "call", "a", 0.0, 10.0, ()],
        ["air", "transfer", "input", 0.0, 2.5, ()],
        ["air", "transfer", "a", 10.0, 11.5, (0,)],
        ["ap", "call", "b", 11.5, 13.5, (1, 2)],
        ["air", "transfer", "b", 13.5, 16.0, (3,)],
    ]
    assert outcome.assignment == {"a": "me", "b": "ap"}
    assert outcome.is_split
    assert not outcome_of(episode, replay(episode.instance, [1])).is_split


@pytest.mark.parametrize("task", [1, -1])
def test_an_outcome_is_of_a_task_that_is_there(task):
    episode = pair()
    with pytest.raises(ValueError, match=f"task = {task} is not among the 1 of"):
        outcome_of(episode, replay(episode.instance, [3]), task)


def test_an_output_travels_once_to_a_node():
    """b and c at the access point both read a, d joins them: one transfer of a, not two."""
    plan = TaskPlan(
        (
            Subtask("a", "retrieve", 10, critical=False),
            Subtask("b", "write", 20, after=("a",), critical=False),
            Subtask("c", "write", 20, after=("a",), critical=False),
            Subtask("d", "write", 20, after=("b", "c"), critical=False),
        )
    )
    episode = pair(plan, None)
    outcome = outcome_of(episode, replay(episode.instance, [0b0111]))
    assert outcome.assignment == {"a": "me", "b": "ap", "c": "ap", "d": "ap"}
    travels = outcome.stages.loc[outcome.stages["kind"] == "transfer", "item"].tolist()
    assert travels == ["input", "a", "d"]


def test_a_result_wanted_by_nobody_else_goes_back():
    """Two sinks, both at the access point: both outputs travel, one after the other on the air."""
    plan = TaskPlan(
        (
            Subtask("a", "retrieve", 10, critical=False),
            Subtask("b", "write", 20, after=("a",), critical=False),
            Subtask("c", "write", 20, after=("a",), critical=False),
        )
    )
    episode = pair(plan, None)
    # In 2.5, a 1.5 after its 10 s on the device: 11.5; b and c queue at ap: 13.5, 15.5; back 2.5
    # each on a channel that is free at 13.5 and 16.
    outcome = outcome_of(episode, replay(episode.instance, [0b011]))
    assert outcome.latency_s == pytest.approx(18.5, abs=1e-8)


def test_two_servers_reach_each_other_through_the_users_device():
    """``left`` and ``right`` hang on the device alone: a's output passes through it."""
    nodes = (PAIR.nodes[0], Node("left", 0, 0.1), Node("right", 0, 0.1))
    network = Network(nodes, (Link("me", "left", 10, 0.5), Link("me", "right", 10, 0.5)))
    plan = PLAN.with_values(critical=[False, False], correctness=[{}, {}])
    episode = pair(plan, None, network=network)
    outcome = outcome_of(episode, replay(episode.instance, [5]))
    assert outcome.assignment == {"a": "left", "b": "right"}
    # The input reaches left at 2.5 and a is done at 3.5; over the device to right at 6.5; b takes
    # 2 s and its output 2.5 s.
    assert outcome.latency_s == pytest.approx(3.5 + 3.0 + 2.0 + 2.5, abs=1e-8)


def test_a_task_out_of_reach_has_local_options_only():
    """No link from the device: the whole task, or every subtask, on the device."""
    network = Network(PAIR.nodes)
    x = pair(network=network).instance
    assert [x.option_name(0, c) for c in range(x.n_options)] == ["device", "device+device"]


def test_one_subtask_needs_no_second_way():
    """A plan of one subtask is the task as one call: m options."""
    assert pair(WHOLE, WHOLE).instance.n_options == 2


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.data())
def test_stage_rules_agree_with_plain_python(seed, data):
    """With room for everything, an option takes the longest path of a few lines of Python."""
    tiny = tiny_episode(seed)
    network = Network(
        tuple(replace(n, slots=64) for n in tiny.network.nodes),
        tuple(replace(link, channel="") for link in tiny.network.links),
    )
    episode = replace(tiny, network=network, tasks=tiny.tasks[:1])
    x = episode.instance
    options = assignments(episode, 0)
    assert x.n_options == len(options)
    c = data.draw(st.integers(0, len(options) - 1))
    schedule = replay(x, [c])
    assert schedule.latency_s[0] == pytest.approx(alone_s(episode, 0, *options[c]), abs=1e-6)
    names = {n: network.nodes[at].name for n, at in options[c][1].items()}
    outcome = outcome_of(episode, schedule)
    assert outcome.assignment == names
    if episode.weights.accuracy > 0:
        weights = episode.weights
        worth = weights.accuracy * outcome.accuracy - weights.latency_per_s * outcome.latency_s
        assert outcome.reward == pytest.approx(worth, abs=1e-6)


def test_correctness_follows_from_size_and_difficulty():
    """At its own difficulty a model is right half the time; steepness 7, margin 1: 1/(1+e^-7)."""
    skill = Skill(7.0, 1.5e9, 32e9)
    assert skill.of([1.5e9, 32e9]).tolist() == pytest.approx([0.0, 1.0])
    assert skill.correctness(1.5e9, 0.0) == pytest.approx(0.5)
    assert skill.correctness(32e9, 0.0) == pytest.approx(1 / (1 + math.exp(-7)))
    assert np.isfinite(skill.correctness(1.5e9, [-1e6, 1e6])).all()
    with pytest.raises(ValueError, match="low_params = 5 must be > 0 and below high_params = 2"):
        Skill(1.0, 5, 2)


def test_a_task_as_one_call():
    """It writes what workers write, reads the longest prompt, and is harder than its hardest."""
    plan = TaskPlan(
        (
            Subtask("a", "reason", 100, 0.5, prompt_tokens=30),
            Subtask("b", "write", 50, 0.9, prompt_tokens=70, critical=False),
            Subtask("c", "aggregate", 40, 0.2, after=("a", "b")),
        )
    )
    (whole,) = undivided(plan, 0.1).subtasks
    assert (whole.output_tokens, whole.prompt_tokens) == (150, 70)
    assert whole.difficulty == pytest.approx(0.5 + 0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Weights(accuracy=-1), "accuracy = -1 must be a number >= 0"),
        (lambda: Weights(accuracy=1e9), "accuracy = 1000000000.0 must be at most 1e.08"),
        (lambda: Weights(latency_per_s=math.inf), "latency_per_s = inf must be a number >= 0"),
        (lambda: GraphTask(0, "me", PLAN, input_bits=-1), "task: input_bits = -1 must be"),
        (lambda: GraphTask(0, "me", PLAN, PLAN), "task: whole has 2 subtasks, must have one"),
        (lambda: instance_of(PAIR, [GraphTask(0, "you", PLAN)]), "node 'you' is unknown"),
        (
            lambda: (
                pair(
                    TaskPlan((Subtask("a", "write", 1, correctness={"moon": 1.0}),)), None
                ).instance
            ),
            "subtask 'a': correctness of unknown node 'moon'",
        ),
        (
            lambda: pair(TaskPlan((Subtask("a", "write", 1),)), None).instance,
            "subtask 'a': no correctness on node 'me', whose model has no params",
        ),
        (
            lambda: pair(network=Network(PAIR.nodes, (Link("me", "ap", 1e-9),))).instance,
            r"link 'me' - 'ap': 25 bits take 2.5e\+10 s, more than 1e\+08",
        ),
        (lambda: instance_of(PAIR, []), "tasks: the list is empty"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    """Names the subtask, node or link and the value."""
    with pytest.raises(ValueError, match=message):
        make()


def test_too_many_assignments_are_refused():
    """12 subtasks on 3 nodes: 3^12 = 531,441."""
    plan = TaskPlan(
        tuple(
            Subtask(str(i), "write", 1, after=("0",) if i else (), critical=False)
            for i in range(12)
        )
    )
    network = Network((*PAIR.nodes, Node("b", 0, 1)), (*PAIR.links, Link("ap", "b", 1)))
    with pytest.raises(ValueError, match="12 subtasks on 3 nodes have 531441 assignments, more"):
        pair(plan, None, network=network).instance  # noqa: B018
