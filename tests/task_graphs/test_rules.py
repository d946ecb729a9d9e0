"""Rules for task graphs: the published greedy by hand, planners' beliefs, and what they cost."""

from dataclasses import replace

import numpy as np
import pytest

import mecopt
from mecopt.offloading.metrics import run_policy
from mecopt.offloading.observation import OnlineSystem
from mecopt.offloading.policies.simple import OneStepOracle
from mecopt.offloading.replay import replay, rollout
from mecopt.task_graphs import planners
from mecopt.task_graphs.episode import Episode
from mecopt.task_graphs.network import Link, Network, Node
from mecopt.task_graphs.options import GraphTask, Weights
from mecopt.task_graphs.plan import Subtask, TaskPlan
from mecopt.task_graphs.plan_text import plan_text
from mecopt.task_graphs.planners import Noisy, Perfect
from mecopt.task_graphs.policies import by_name
from mecopt.task_graphs.policies.futures import rearranged, thinned, turned, wifi_futures
from mecopt.task_graphs.policies.greedy import GraphGreedy
from mecopt.task_graphs.policies.planned_rule import PlannedRule, charged
from mecopt.task_graphs.policies.whole import NearestEdge, WholeLocal
from mecopt.task_graphs.scenarios import wifi

#: A plan of one subtask, as a document has it.
SINGLE = {
    "name": "1",
    "role": "reason",
    "output_tokens": 1,
    "correctness": {"laptop": 1, "server": 1},
}


def small(seed: int = 0, **changes):
    return wifi.generate("paper", seed, horizon_s=20.0, **changes)


def chain(n_tasks: int = 1) -> Episode:
    """Two subtasks of 10 tokens in a row on a laptop (1 s each) or a server (0.2 s each).

    Wires take 0.4 s a transfer, whatever it carries. The laptop is right with 0.9 and 0.5, the
    server with 0.9 and 0.8; a second costs 0.1.
    """
    laptop, server = Node("laptop", 0.0, 0.1, kind="device"), Node("server", 0.0, 0.02)
    wire = Link("laptop", "server", float("inf"), latency_s=0.4)
    plan = TaskPlan(
        (
            Subtask("1", "extract", 10.0, correctness={"laptop": 0.9, "server": 0.9}),
            Subtask("2", "reason", 10.0, after=("1",), correctness={"laptop": 0.5, "server": 0.8}),
        )
    )
    tasks = tuple(GraphTask(0.0, "laptop", plan, name=f"task {k}") for k in range(n_tasks))
    return Episode(Network((laptop, server), (wire,)), tasks, Weights(latency_per_s=0.1))


def test_greedy_places_subtask_by_subtask():
    """Subtask 1: laptop 0.9 - 0.1 x 1 = 0.8, server 0.9 - 0.1 x (0.4 + 0.2) = 0.84, so server.

    Subtask 2 with the way back: laptop, after 0.6 + 0.4, 0.5 - 0.1 x 2 = 0.3; server
    0.8 - 0.1 x (0.8 + 0.4) = 0.68. Both on the server: option 3, reward 0.9 x 0.8 - 0.12 = 0.6.
    """
    schedule = rollout(chain().instance, GraphGreedy())
    assert schedule.choice.tolist() == [3]
    assert -schedule.objective == pytest.approx(0.6)


def test_greedy_sees_the_queue():
    """Of many equal tasks at one moment the later ones start on the laptop, whose queue is empty
    at first: the fourth subtask 1 waits 0.6 s at the server, 0.9 - 0.1 x 1.2 < 0.8."""
    choice = rollout(chain(6).instance, GraphGreedy()).choice
    assert choice[0] == 3
    assert any(c in (0, 1) for c in choice)


def test_greedy_is_short_sighted_where_joint_is_not():
    """No rule of one step does better at a task than all assignments tried at once."""
    x = small(3)
    greedy = GraphGreedy()
    greedy.reset(x)
    system = OnlineSystem(x)
    for k in range(x.n_tasks):
        system.advance(k)
        observation = system.observe(k)
        cost = observation.run_cost_s
        picked = greedy.act(observation)
        whole = [o for o in range(observation.n_options) if "+" not in x.option_name(k, o)]
        assert cost[picked] <= cost[whole].min() + 1e-12
        assert cost[picked] >= cost.min()
        system.commit(k, picked)


def test_whole_tasks_go_where_they_are_told():
    """On the device, or at the nearest server; a user out of range of every server stays alone."""
    x = small(1000, side_m=80.0)
    (note,) = x.meta["notes"]
    alone = note.partition(":")[0].split(", ")
    assert 0 < len(alone) < 5
    assert not rollout(x, WholeLocal()).choice.any()
    schedule = rollout(x, NearestEdge())
    for k, choice in enumerate(schedule.choice):
        lonely = x.owner_names[x.owner[k]] in alone
        assert x.option_name(k, int(choice)) in (["device"] if lonely else ["ap 0", "ap 1"])


def test_a_task_that_only_comes_split_goes_to_the_nearest_edge_with_all_its_calls():
    """Options: both on the laptop, the second on the server, the first, both: the last one."""
    x = chain().instance
    assert x.option_name(0, 3) == "server+server"
    assert rollout(x, NearestEdge()).choice.tolist() == [3]
    assert rollout(x, WholeLocal()).choice.tolist() == [0]


@pytest.mark.parametrize("name", ["graph-greedy", "graph-joint"])
def test_a_planner_that_knows_the_truth_changes_nothing(name: str):
    x = small(2)
    alone, planned = by_name.rule(name), by_name.rule(name, Perfect())
    assert planned.name == f"{name}-truth"
    assert rollout(x, alone).choice.tolist() == rollout(x, planned).choice.tolist()


def test_beliefs_decide_and_the_truth_is_paid():
    """The rule takes what is best by its planner's numbers; the schedule is that of the true ones.

    The first task meets an empty network, so its best option by belief can be read off.
    """
    x = small(4)
    rule = PlannedRule(OneStepOracle(), Noisy("wild", 0.6, 0.25, 0.0, planners.STUDENT_MODEL))
    schedule = rollout(x, rule)
    shown = rule.believed(x)
    assert np.array_equal(shown.service_ns, x.service_ns)
    assert not np.array_equal(shown.believed_ns, x.believed_ns)
    assert schedule.choice[0] == int(np.argmin(OnlineSystem(shown).observe(0).run_cost_s))
    assert schedule.objective == replay(x, schedule.choice).objective
    assert Episode.in_meta(shown).tasks[0].plan == rule.planned.plans[0]


def test_tasks_without_a_plan_go_to_the_nearest_edge():
    """A planner that writes no plans makes of any rule the nearest edge."""
    x = small(0)
    broken = Noisy("broken", 0.0, 0.0, 1.0, planners.STUDENT_MODEL)
    choice = rollout(x, PlannedRule(GraphGreedy(), broken)).choice
    assert choice.tolist() == rollout(x, NearestEdge()).choice.tolist()


def test_an_absurd_length_in_a_text_stops_no_rollout():
    """A model that writes 10^14 tokens has written no plan: its task goes to the nearest edge."""

    class Absurd:
        name = "absurd"

        def plan(self, episode):
            texts = [plan_text(task.plan) for task in episode.tasks]
            number, role, _, *rest = texts[0].split(" ")
            texts[0] = " ".join([number, role, "99999999999999", *rest])
            return planners.planned_from_texts(episode, texts, np.zeros(len(texts)))

    x = small(0)
    rule = PlannedRule(GraphGreedy(), Absurd())
    schedule = rollout(x, rule)
    assert "is more than 1000000" in rule.planned.errors[0]
    assert schedule.choice[0] == rollout(x, NearestEdge()).choice[0]


def test_planning_is_latency_of_its_task():
    """0.5 s of planning cost 0.005 a task and shift nobody else."""
    x = small(0)
    schedule = rollout(x, OneStepOracle())
    n = x.n_tasks
    planned = planners.Planned((None,) * n, ("?",) * n, np.full(n, 0.5))
    late = charged(schedule, planned)
    assert late.latency_s == pytest.approx(schedule.latency_s + 0.5)
    assert late.cost_s == pytest.approx(schedule.cost_s + 0.005)
    assert late.timeline().equals(schedule.timeline())


def test_a_rollout_by_hand_of_the_face_has_planning_in_it():
    """`mecopt.rollout` charges planning, also for rules that are given as objects."""
    x = small(0)
    rule = PlannedRule(OneStepOracle(), planners.teacher())
    schedule = mecopt.rollout(x, rule)
    free = replay(x, schedule.choice)
    wait = 0.01 * rule.planned.planning_s.sum()
    assert schedule.objective == pytest.approx(free.objective + wait)


def test_lookahead_plays_sampled_futures_of_the_same_network():
    """Equal seeds give equal decisions, and futures are never the episode's own tasks."""
    x = small(5)
    futures = wifi_futures(3)(x, 2)
    assert all(f.resource_names == x.resource_names for f in futures)
    assert all(f.release_ns.tolist() != x.release_ns.tolist() for f in futures)
    first, again = (rollout(x, by_name.rule("graph-lookahead", seed=1)) for _ in range(2))
    assert first.choice.tolist() == again.choice.tolist()


def test_lookahead_needs_a_wifi_episode():
    with pytest.raises(ValueError, match="futures: scenario None has no generator"):
        rollout(chain().instance, by_name.rule("graph-lookahead"))
    with pytest.raises(ValueError, match="meta.parameters: cannot be read"):
        wifi_futures()(replace(small(0), meta={"scenario": "wifi", "parameters": None}), 1)


def test_thinned_tasks_keep_their_cheapest_options():
    """Three options a task, the cheapest of an empty network, with their own stages."""
    x = small(6)
    few = thinned(x, 3)
    assert np.diff(few.option_ptr).max() == 3
    for k in range(x.n_tasks):
        every = OnlineSystem(x).observe(k).run_cost_s
        kept = OnlineSystem(few).observe(k).run_cost_s
        assert sorted(kept) == pytest.approx(sorted(every)[: len(kept)])


def test_tasks_in_their_order_with_all_options_are_the_same_instance():
    x = small(6)
    every = np.ones(x.n_options, dtype=bool)
    assert rearranged(x, np.arange(x.n_tasks), every).content_hash == x.content_hash


def test_a_turned_episode_has_the_same_tasks_at_other_times():
    """Turned by half of 20 s and once more it is the same again; each task keeps its options."""
    x = small(6)
    half = turned(x, 10**10, 2 * 10**10)
    assert sorted(half.task_names) == sorted(x.task_names) and half.task_names != x.task_names
    k = half.task_names.index("task 0")
    assert half.release_ns[k] == (x.release_ns[0] + 10**10) % (2 * 10**10)
    alone = [OnlineSystem(i).observe(n).run_cost_s.tolist() for i, n in ((x, 0), (half, k))]
    assert alone[0] == alone[1]
    assert turned(half, 10**10, 2 * 10**10).content_hash == x.content_hash


def test_rules_need_plans():
    bare = mecopt.scenarios.comllm.generate("paper", 0, slots=4)
    for rule in (GraphGreedy(), PlannedRule(OneStepOracle(), planners.teacher())):
        with pytest.raises(ValueError, match="has no plans in its meta"):
            run_policy(bare, rule)


def test_greedy_refuses_plans_of_other_options():
    """A file whose meta was changed: not an index past the end."""
    meta = chain(2).instance.meta
    one = {**meta["task_graphs"], "tasks": [*meta["task_graphs"]["tasks"]]}
    one["tasks"][1] = {**one["tasks"][1], "plan": {"subtasks": [SINGLE]}}
    x = replace(chain(2).instance, meta={**meta, "task_graphs": one})
    with pytest.raises(ValueError, match="its plans are not those of the instance's options"):
        rollout(x, GraphGreedy())


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="rule: unknown 'best'"):
        by_name.rule("best")
    with pytest.raises(ValueError, match="checkpoint: 'graph-greedy' is a rule without parameters"):
        by_name.graph_greedy(checkpoint="somewhere")
