"""The COMLLM scenario: the paper's numbers, presets, seeds, companions, and its oracle."""

from __future__ import annotations

from dataclasses import asdict, fields

import numpy as np
import pytest

from mecopt.offloading.policies.simple import OneStepOracle
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm


def test_the_paper_preset_has_the_papers_numbers():
    """Six users and servers, slots of 0.1 s, 2 to 5 Mbit at 0.297 Gcycles per Mbit, deadline 10
    slots, drop 20 slots."""
    p = comllm.parameters("paper")
    assert (p.users, p.servers, p.slots, p.slot_s) == (6, 6, 100, 0.1)
    assert (p.arrival_probability, p.density_gcycles_per_mbit) == (0.3, 0.297)
    assert (p.task_mbit, p.server_ghz) == ((2.0, 5.0), (20.0, 48.0))
    assert (p.deadline_slots, p.drop_cost_slots) == (10.0, 20.0)


def test_every_parameter_has_a_tag():
    assert set(comllm.TAGS) == {f.name for f in fields(comllm.Parameters)}


def test_presets_differ_from_the_paper_where_their_names_say():
    paper = asdict(comllm.parameters("paper"))
    changed = {
        name: {k for k, v in asdict(p).items() if v != paper[k]}
        for name, p in comllm.PRESETS.items()
    }
    assert changed == {
        "paper": set(),
        "busy": {"arrival_probability"},
        "large": {"task_mbit"},
        "slow-servers": {"server_ghz"},
        "very-slow-servers": {"server_ghz"},
        "uneven-links": {"uplink_mbps"},
    }


def test_an_episode_is_what_the_model_says():
    """Local: density x size / 2.5 GHz. Server j: upload within size / U[10, 18] Mbps, compute at
    one speed per server, so compute times over local ones are equal for all tasks."""
    x = comllm.generate("paper", 4)
    assert x.resource_kinds == ("uplink",) * 6 + ("device",) * 6 + ("server",) * 6
    assert x.is_chain
    service = x.service_ns.reshape(x.n_tasks, 13) * 1e-9
    mbit = service[:, 0] * 2.5 / 0.297
    assert ((mbit >= 2.0) & (mbit <= 5.0)).all()
    rate = mbit[:, None] / service[:, 1::2]
    assert ((rate >= 10 - 1e-6) & (rate <= 18 + 1e-6)).all()
    speed = 2.5 * service[:, :1] / service[:, 2::2]
    np.testing.assert_allclose(speed, np.broadcast_to(speed[0], speed.shape), rtol=1e-6)
    assert ((speed >= 20 - 1e-6) & (speed <= 48 + 1e-6)).all()
    resource = x.stage_resource.reshape(x.n_tasks, 13)
    np.testing.assert_array_equal(resource[:, 0], 6 + x.owner)
    np.testing.assert_array_equal(resource[:, 1::2], np.repeat(x.owner[:, None], 6, axis=1))


def test_tasks_come_in_order_of_slot_and_user():
    x = comllm.generate("busy", 1)
    order = list(zip(x.release_ns.tolist(), x.owner.tolist(), strict=True))
    assert order == sorted(order)
    assert len(set(order)) == len(order)
    assert all(t % 10**8 == 0 for t, _ in order)


def test_arrivals_follow_their_probability():
    """600 chances at 0.3: mean 180, standard error over 40 seeds 1.8."""
    tasks = [comllm.generate("paper", seed).n_tasks for seed in range(40)]
    assert np.mean(tasks) == pytest.approx(180, abs=4 * 1.8)


def test_equal_seeds_give_equal_instances():
    one, again, other = (comllm.generate("paper", seed) for seed in (7, 7, 8))
    assert one.content_hash == again.content_hash != other.content_hash


def test_a_companion_has_the_same_servers_and_other_tasks():
    """What a policy that knows the generator may sample."""
    real, companion = comllm.generate("paper", 7), comllm.generate("paper", 7, task_seed=0)
    assert real.content_hash != companion.content_hash
    assert real.resource_names == companion.resource_names
    speeds = []
    for x in (real, companion):
        service = x.service_ns.reshape(x.n_tasks, 13)
        speeds.append(service[0, 0] / service[0, 2::2])
    np.testing.assert_allclose(*speeds, rtol=1e-6)


def test_an_episode_without_arrivals_still_has_one_task():
    assert comllm.generate("paper", 0, arrival_probability=0.0).n_tasks == 1


def test_the_generators_words_survive_in_meta():
    meta = comllm.generate("busy", 3, servers=4).meta
    assert (meta["scenario"], meta["preset"], meta["seed"]) == ("comllm", "busy", 3)
    assert meta["parameters"]["servers"] == 4
    assert meta["tags"]["device_ghz"] == "N"


def test_the_one_step_oracle_reproduces_the_papers_figure():
    """2.95 +- 0.05 slots over 20 seeds without a single drop (the paper's rows imply 2.978)."""
    runs = [rollout(comllm.generate("paper", seed), OneStepOracle()) for seed in range(20)]
    assert np.mean([s.mean_cost_s for s in runs]) / 0.1 == pytest.approx(2.95, abs=0.05)
    assert max(s.drop_rate for s in runs) == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preset": "huge"}, "preset: unknown 'huge', one of paper, busy"),
        ({"seed": -1}, "seed = -1 must be a whole number >= 0"),
        ({"user": 3}, "parameters: unknown 'user'"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        comllm.generate(**arguments)
