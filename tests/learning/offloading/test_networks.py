"""User values, the two networks on option rows, and their training on cost vectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from learning.offloading import zoo
from learning.offloading.policies import networks
from learning.offloading.policies.networks import EquivariantNet, FixedNet, NetworkPolicy, seats
from learning.offloading.rewards import user_values
from learning.offloading.states import decision_states as states
from learning.offloading.states.option_features import BEHIND, COST, PRESENT, of_states
from learning.offloading.training import cost_vectors as cost_training
from learning.offloading.training.cost_vectors import Settings, collect
from learning.runs import folder as training_run
from mecopt.offloading.policies import by_name as policies
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm

#: One user whose tasks all take exactly 2 slots of upload, 1 of compute, 6 of the device.
FIXED_TASKS = comllm.parameters(
    users=1,
    servers=1,
    arrival_probability=0.5,
    task_mbit=(2.0, 2.0),
    uplink_mbps=(10.0, 10.0),
    density_gcycles_per_mbit=0.5,
    server_ghz=(10.0, 10.0),
    device_ghz=1.0 / 0.6,
    deadline_slots=10.0,
    drop_cost_slots=20.0,
)


@pytest.fixture(scope="module")
def tiny() -> Settings:
    """A training of a few steps."""
    return cost_training.FixedSettings(
        presets=("paper",),
        servers=(3,),
        episodes=5,
        labels="user-values",
        hidden=8,
        steps=12,
        log_every=4,
    )


@pytest.fixture(scope="module")
def some_states() -> states.States:
    return states.collect([comllm.generate("busy", 10_000, slots=20)], "one-step-oracle-drop")


# ------------------------------------------------------------------------------- user values
def test_bellman_equation_holds() -> None:
    """At the empty state: V = 0, so g is half an idle slot (W = 0) and half the best option."""
    grid = user_values.solve(FIXED_TASKS)
    v, cell = grid.value, grid.cell_slots

    def at(uplink: float, device: float) -> float:
        return float(v[round(max(uplink - 1, 0) / cell), round(max(device - 1, 0) / cell)])

    local, offload, drop = 6 + at(0, 6), 3 + at(2, 0), 20 + at(0, 0)
    # g / p is the mean cost of a task.
    assert grid.cost_per_task_slots == pytest.approx(min(local, offload, drop), abs=1e-3)
    # An upload takes two slots and tasks come every other slot: the queue it leaves is not free.
    assert at(2, 0) > at(0, 0) == 0 and offload == min(local, offload, drop)


def test_longer_queues_are_never_worth_more() -> None:
    """V grows with either wait."""
    v = user_values.solve(comllm.parameters("busy")).value
    assert np.all(np.diff(v, axis=0) > -1e-9) and np.all(np.diff(v, axis=1) > -1e-9)


def test_labels_add_the_value_of_what_is_left(some_states: states.States) -> None:
    """Own cost comes first: labels minus one-step costs are values of queues, absent stays inf."""
    grid = user_values.solve(comllm.parameters("busy"))
    rest = user_values.cost_vectors(some_states, grid) - some_states.one_step_cost_slots
    assert np.all(rest >= -1e-9) and np.all(rest <= grid.value.max())
    # Dropping leaves the queues alone, so no option leaves less behind.
    assert np.all(rest[:, -1:] <= rest + 1e-9)


def test_user_values_beat_the_one_step_oracle() -> None:
    """Looking ahead pays on a busy system (five tuning episodes, paired)."""
    episodes = [comllm.generate("busy", seed) for seed in range(1000, 1005)]
    oracle = sum(rollout(x, policies.make("one-step-oracle-drop")).objective for x in episodes)
    ours = sum(rollout(x, user_values.UserValues()).objective for x in episodes)
    assert ours < 0.97 * oracle


def test_user_values_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValueError, match="deadline_slots = inf"):
        user_values.solve(replace(FIXED_TASKS, deadline_slots=np.inf))
    x = replace(comllm.generate(slots=5), meta={"scenario": "mine"})
    with pytest.raises(ValueError, match="'mine' is not 'comllm'"):
        user_values.UserValues().reset(x)


# ------------------------------------------------------------------------------- networks
def test_shuffled_options_give_shuffled_costs(some_states: states.States) -> None:
    """The equivariant network does not care about order, and absent rows change nothing."""
    options, load = of_states(some_states)
    policy = NetworkPolicy(EquivariantNet(8), "equivariant")
    cost = policy.total_costs(options, load)
    order = np.random.default_rng(0).permutation(options.shape[1])
    assert policy.total_costs(options[:, order], load) == pytest.approx(cost[:, order], abs=1e-5)
    padded = np.concatenate([options, np.zeros_like(options[:, :3])], axis=1)
    wider = policy.total_costs(padded, load)
    assert wider[:, : cost.shape[1]] == pytest.approx(cost, abs=1e-5)
    assert np.all(np.isinf(wider[:, cost.shape[1] :]))


def test_without_a_rest_networks_are_the_one_step_oracle(some_states: states.States) -> None:
    """All that is learned is what the believed cost leaves out."""
    best = some_states.one_step_cost_slots.argmin(axis=1)
    for net in (EquivariantNet(8), FixedNet(6, 8)):
        last = net.rest[-1]
        torch.nn.init.zeros_(last.weight)
        torch.nn.init.zeros_(last.bias)
        assert np.array_equal(NetworkPolicy(net, "mlp").decide(some_states), best)


def test_one_state_is_decided_as_a_batch_is() -> None:
    """`act` in a rollout and `decide` on the states of the same trajectory agree."""
    x = comllm.generate("large", 10_000, slots=15)
    torch.manual_seed(0)
    policy = NetworkPolicy(EquivariantNet(8), "equivariant")
    choice = rollout(x, policy).choice
    options = policy.decide(states.collect([x], policy))
    assert np.array_equal(np.where(options == 7, -1, options), choice)
    assert policy.parse_rate == 1.0


@pytest.mark.parametrize("servers", [3, 11])
def test_fixed_network_on_other_numbers_of_servers(servers: int) -> None:
    """Fewer are shown as absent; of more, those of least believed cost are seen."""
    given = states.collect([comllm.generate("paper", 10_000, slots=10, servers=servers)])
    options, load = of_states(given)
    rows, which = seats(options, 6)
    assert rows.shape[1] == 8
    assert (which >= 0).sum(axis=1).tolist() == [min(servers, 6) + 2] * len(given)
    seen = np.take_along_axis(options[..., COST], np.maximum(which, 0), axis=1)[:, 1:-1]
    assert seen.min(axis=1) == pytest.approx(options[:, 1:-1, COST].min(axis=1))
    torch.manual_seed(0)
    chosen = NetworkPolicy(FixedNet(6, 8), "mlp").decide(given)
    assert options[np.arange(len(given)), chosen, PRESENT].all()


def test_checkpoints_load_as_saved(tmp_path: Path, some_states: states.States) -> None:
    torch.manual_seed(3)
    for net, kind in ((EquivariantNet(8), "equivariant"), (FixedNet(4, 8), "mlp")):
        policy = NetworkPolicy(net, kind, {"seed": 3})
        policy.save(tmp_path / kind)
        again = networks.load(tmp_path / kind)
        assert (again.kind, again.name, again.about) == (kind, kind, {"seed": 3})
        assert np.array_equal(again.decide(some_states), policy.decide(some_states))


def test_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mecopt.json is missing"):
        networks.load(tmp_path)
    NetworkPolicy(EquivariantNet(8), "equivariant").save(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="not a checkpoint of these networks"):
        networks.load(tmp_path)
    NetworkPolicy(EquivariantNet(8), "equivariant").save(tmp_path)
    training_run.describe_checkpoint(tmp_path, "equivariant", shape={"hidden": 9})
    with pytest.raises(ValueError, match="not a checkpoint of these networks"):
        networks.load(tmp_path)


# ------------------------------------------------------------------------------- training
def test_training_lowers_the_regret(tmp_path: Path) -> None:
    """A few steps on busy episodes: less than half the regret of the myopic choice."""
    settings = cost_training.EquivariantSettings(
        presets=("busy",),
        servers=(4,),
        episodes=5,
        drawn=0,
        labels="user-values",
        hidden=16,
        steps=150,
        log_every=50,
    )
    seen = []
    cost_training.train(
        settings, tmp_path / "run", seed=0, on_progress=lambda *row: seen.append(row[:2])
    )
    _, manifest, progress = training_run.read(tmp_path / "run")
    assert seen == [(50, 150), (100, 150), (150, 150)]
    assert progress.step.tolist() == [50, 100, 150]
    myopic = EquivariantNet(8, BEHIND + 1)
    for weight in myopic.rest[-1].parameters():
        torch.nn.init.zeros_(weight)
    regret = cost_training.measure(myopic, "", cost_training.tuning_examples(settings))
    assert progress.regret_slots.iloc[-1] < 0.5 * regret["regret_slots"]
    assert manifest["regret_slots"] == progress.regret_slots.iloc[-1]
    assert networks.load(tmp_path / "run").name == "equivariant"


def test_interrupted_training_goes_on_as_if_nothing_happened(
    tmp_path: Path, tiny: Settings
) -> None:
    """Stopped after 8 of 12 steps and resumed: the same weights as in one go."""

    def stop(step: int, *_: object) -> None:
        if step == 8:
            raise KeyboardInterrupt

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    cost_training.train(tiny, whole, seed=1)
    with pytest.raises(KeyboardInterrupt):
        cost_training.train(tiny, broken, seed=1, on_progress=stop)
    cost_training.train(tiny, broken, seed=1, resume=True)
    a, b = networks.load(whole).net.state_dict(), networks.load(broken).net.state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert len(training_run.read(broken)[2]) == 3


def test_equal_seeds_give_equal_examples(tiny: Settings) -> None:
    a, b, other = collect(tiny, 0), collect(tiny, 0), collect(tiny, 1)
    assert np.array_equal(a.options, b.options) and np.array_equal(a.label, b.label)
    assert not np.array_equal(a.options, other.options)


def test_bad_settings() -> None:
    with pytest.raises(ValueError, match="labels: unknown 'best'"):
        cost_training.EquivariantSettings(labels="best")
    with pytest.raises(ValueError, match="steps = 0"):
        cost_training.EquivariantSettings(steps=0)
    with pytest.raises(ValueError, match="temperature_slots = nan"):
        cost_training.EquivariantSettings(temperature_slots=float("nan"))


@pytest.mark.parametrize("name", ["equivariant", "mlp", "dqn", "ppo"])
def test_shipped_checkpoints_beat_the_one_step_oracle(name: str) -> None:
    """Three busy tuning episodes, six servers; the files are what the cards say they are."""
    episodes = [comllm.generate("busy", seed) for seed in range(1000, 1003)]
    policy = zoo.load(name)
    ours = sum(rollout(x, policy).objective for x in episodes)
    assert ours < 0.97 * sum(
        rollout(x, policies.make("one-step-oracle-drop")).objective for x in episodes
    )
    assert policy.about["seed"] == 0
