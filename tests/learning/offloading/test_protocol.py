"""Independent states: sampling, costs, fairness, and `mecopt bench comllm --states`."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from learning.offloading.evaluation import independent_states as protocol
from learning.offloading.states import decision_states as decision_states
from learning.offloading.states.batch_rollout import rollout_batch
from mecopt.cli import app
from mecopt.offloading.observation import OnlineSystem
from mecopt.offloading.policies import by_name as policies
from mecopt.offloading.policies.simple import OneStepOracle
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm
from mecopt.statistics import jain

RULES = ("one-step-oracle", "local", "random")


def ask(*names: str, **options):
    made = {name: policies.make(name, preset="paper") for name in names}
    return protocol.ask(made, **({"count": 60, "seed": 1, "slots": 20} | options))


#: Of a record, as docs/commands.md says.
KEYS = {
    "policy", "servers", "pr", "agreement", "drop_rate", "mean_cost_slots", "backlog_fairness",
    "assignment_fairness", "parse_rate",
}  # fmt: skip


def test_the_oracle_agrees_with_itself_and_nobody_is_cheaper():
    """PR compares with the least cost of each state, so it is at most 1."""
    sample, answers = ask(*RULES)
    oracle, local, random = protocol.records(sample, answers)
    assert (oracle["pr"], oracle["agreement"]) == (1.0, 1.0)
    assert local["pr"] < 1 and random["pr"] < 1
    assert oracle["mean_cost_slots"] == pytest.approx(local["pr"] * local["mean_cost_slots"])
    assert all(set(r) == KEYS for r in (oracle, local, random))


def test_costs_are_the_cores_own():
    """Local costs what the observation says, in slots; the drop is the last column."""
    sample, answers = ask("local")
    assert (answers["local"].option == 0).all()
    assert sample.cost_slots[:, 0] == pytest.approx(sample.states.one_step_cost_slots[:, 0])
    assert (sample.cost_slots[:, -1] == 20).all() and sample.late[:, -1].all()
    assert sample.cost_slots.shape == (60, 8)


def test_a_policy_asked_in_a_batch_is_asked_the_same_states():
    """`decide` on all states and `act` on each observation give the same record."""

    class Batch(OneStepOracle):
        """The oracle, as a policy that decides batches."""

        parse_rate = 0.75

        def decide(self, states):
            return states.one_step_cost_slots[:, :-1].argmin(axis=1)

    one = OneStepOracle()
    sample, answers = protocol.ask({"one": one, "batch": Batch()}, count=50, slots=20)
    assert (answers["one"].option == answers["batch"].option).all()
    assert answers["batch"].parse_rate == 0.75


def test_equal_seeds_give_equal_samples_and_other_seeds_others():
    """Episodes and states both depend on the seed."""
    first, again, other = (ask("local", seed=s)[0] for s in (1, 1, 2))
    assert np.array_equal(first.cost_slots, again.cost_slots)
    assert not np.array_equal(first.cost_slots, other.cost_slots)
    assert set(first.states.seed) <= set(range(*protocol.TEST_SEEDS))


def test_every_state_is_as_likely():
    """As many states as there are: each is drawn once, whatever the length of its episode."""
    instances = protocol.episodes("paper", 10, 3, slots=4)
    total = sum(x.n_tasks for x in instances)
    sample, _ = protocol.ask({"local": policies.make("local")}, count=total, seed=3, slots=4)
    seen = list(zip(sample.states.seed, sample.states.task, strict=True))
    assert len(set(seen)) == total
    with pytest.raises(ValueError, match=f"states = {total + 1}: .* only {total}"):
        protocol.ask({}, count=total + 1, seed=3, slots=4)


def test_backlog_after_a_decision_is_what_the_next_observation_shows():
    """The estimate of the queue with the task in it against the core, after committing it.

    The next task is released at the same time when users coincide; then nothing was served in
    between and both must agree.
    """
    x = comllm.generate("busy", 5, slots=30, servers=2)
    system, seen = OnlineSystem(x), 0
    policy = OneStepOracle()
    for k in range(x.n_tasks - 1):
        system.advance(k)
        observation = system.observe(k)
        after = protocol._sample([protocol._read(observation)]).backlog_after_s[0]
        choice = policy.act(observation)
        system.commit(k, choice)
        if choice > 0 and x.release_ns[k + 1] == x.release_ns[k]:
            system.advance(k + 1)
            servers = system.observe(k + 1).backlog_s[-2:]
            assert servers[choice - 1] == pytest.approx(after[choice - 1], abs=1e-9)
            seen += 1
    assert seen > 20


def test_a_task_of_another_size_leaves_the_network_as_it_is():
    """10 Mbit: service times scale with the size, waits at the own uplink do not change."""
    usual, _ = ask("local", preset="busy", count=40)
    resized, answers = ask("one-step-oracle", "priced", preset="busy", count=40, size_mbit=10.0)
    assert resized.states.size_mbit == pytest.approx(10.0)
    assert resized.states.device_slots == pytest.approx(10 * 0.297 / 2.5 / 0.1)
    assert np.array_equal(resized.states.uplink_wait_slots, usual.states.uplink_wait_slots)
    assert resized.states.rate_mbps == pytest.approx(usual.states.rate_mbps)
    assert resized.late[:, 0].all()  # 11.88 slots on the device, the deadline is 10
    assert protocol.figures(resized, answers["one-step-oracle"])["agreement"] == 1.0


def test_fairness_of_a_worked_example():
    """Two servers, three states; the task goes to server 2, to server 1, and is dropped.

    Backlogs left behind: (1, 3), (2, 2), (0, 0), so Jain's indices 16/20, 1, 1. Server 1 is the
    faster one in the first two states, the slower one in the third: tasks by rank are (1, 1).
    """
    sample, _ = ask("local", count=3, servers=2)
    sample = protocol.Sample(
        sample.states,
        np.full((3, 4), 5.0),
        np.zeros((3, 4), dtype=bool),
        np.array([[1.0, 1.0], [1.0, 2.0], [0.0, 0.0]]),
        np.array([[9.0, 3.0], [2.0, 9.0], [9.0, 9.0]]),
        np.array([[0, 1], [0, 1], [1, 0]]),
    )
    found = protocol.figures(sample, protocol.Answers(np.array([2, 1, 3])))
    assert found["backlog_fairness"] == pytest.approx((0.8 + 1 + 1) / 3)
    assert found["assignment_fairness"] == jain([1, 1]) == 1.0


def test_many_episodes_at_once_are_the_same_schedules():
    """Other presets, sizes and lengths side by side; the drop of a wider state stays a drop."""

    class Dropper(OneStepOracle):
        """Drops small tasks; which index that is depends on the states beside it."""

        def decide(self, states):
            cheapest = states.one_step_cost_slots[:, :-1].argmin(axis=1)
            return np.where(states.size_mbit < 2.5, states.n_servers + 1, cheapest)

        def act(self, observation):
            state = decision_states.of(observation)
            return decision_states.to_choice(int(self.decide(state)[0]), state.n_servers)

    worlds = [comllm.generate("paper", s, servers=2 + s, slots=10 + 3 * s) for s in range(3)]
    together = rollout_batch(worlds, Dropper())
    for schedule, world in zip(together, worlds, strict=True):
        alone = rollout(world, Dropper())
        assert np.array_equal(schedule.choice, alone.choice)
        assert (alone.choice == -1).any()
    assert rollout_batch([], Dropper()) == []


# ---------------------------------------------------------------- the command line
def run(*arguments: object):
    return CliRunner().invoke(app, ["bench", "comllm", *map(str, arguments)])


def test_command_writes_exactly_the_documented_keys(tmp_path, monkeypatch):
    """One record per policy, on as many servers as asked for."""
    monkeypatch.setitem(comllm.PRESETS, "busy", comllm.Parameters(slots=15))
    out = tmp_path / "out.json"
    done = run("--states", 40, "--servers", 3, "--preset", "busy", "--seed", 7,
               "--policies", "one-step-oracle,random", "--json", out)  # fmt: skip
    assert done.exit_code == 0, done.output
    records = json.loads(out.read_text())
    keys = "policy servers pr agreement drop_rate mean_cost_slots backlog_fairness"
    keys += " assignment_fairness parse_rate"
    assert [set(r) for r in records] == [set(keys.split())] * 2
    assert [r["servers"] for r in records] == [3, 3]
    assert "40 states of one-step-oracle trajectories, 3 servers" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--states", 0), "states = 0 must be >= 1"),
        (("--states", 10, "--servers", 0), "servers = 0 must be a whole number >= 1"),
        (("--states", 10, "--seed", -1), "seeds: -1:0 is empty or negative"),
        (("--states", 10, "--seeds", "0:3"), "seeds = 0:3 goes with episodes"),
        (("--states", 10, "--preset", "paper,busy"), "--states takes one, got 'paper,busy'"),
        (("--states", 10, "--policies", "oracle"), "policies: unknown 'oracle'"),
        (("--states", 10, "--checkpoint", "sft"), "'sft' is not NAME=FOLDER"),
        (("--seed", 3), "seed = 3 goes with --states"),
        (("--servers", 0), "servers = 0 must be a whole number >= 1"),
    ],
)
def test_user_errors_are_one_line(arguments, message):
    """Status 2; argument and value are named."""
    done = run(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_parse_rate_counts_every_episode():
    """A policy counts since its last reset: episodes with bad answers are not forgotten."""

    class Stutters:
        name = "stutters"
        parse_rate = 1.0
        episodes = 0

        def reset(self, instance):
            self.episodes += 1
            self.parse_rate = 0.0 if self.episodes % 2 else 1.0

        def act(self, observation):
            return 0

    policy = Stutters()
    _, answers = protocol.ask({"stutters": policy}, count=200, seed=0, slots=20)
    assert policy.episodes > 1
    assert 0.0 < answers["stutters"].parse_rate < 1.0
