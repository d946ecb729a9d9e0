"""Resampled windows of a trace: the law, what is expected of a request, and the bound."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from formulations.online import mean
from formulations.online.penalties.crowding import Shape
from formulations.online.penalties.route import (
    bound_world,
    figure_s,
    penalised_bound,
    penalties,
)
from formulations.online.penalties.traces import ResampledTrace
from formulations.online.penalties.worlds import own_cost_s
from mecopt.bench.offloading.online_traces import bounds, gap, luck_s, measured, rule_world
from mecopt.certificates import verify
from mecopt.offloading.policies.by_name import POLICIES
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios.resampled import resampled, rule_stream, trace_law
from tests.support import mini_data

SMALL = {
    "gpu_sites": 2,
    "site_gpus": (("Jetson AGX Thor 128GB", ("Qwen2.5-7B",)), ("NVIDIA L4", ("Qwen2.5-3B",))),
    "max_sites": 2,
    "slots": 1,
    "length_bins": 2,
}
#: Both parts of the penalty.
SHAPE = Shape(("server",), 6.0, 0.3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The miniature data, and a trace of 40 requests in 40 s: 30 in the first half."""
    where = mini_data.write_folder(tmp_path_factory.mktemp("data"))
    at = np.concatenate([np.arange(30) * 20 / 30, 20 + np.arange(10) * 2.0])
    rows = [f"{t:.3f},{100 + 50 * (k % 12)},{20 + 7 * (k % 9)}" for k, t in enumerate(at)]
    (where / "own.csv").write_text("\n".join(["arrival_s,context_tokens,generated_tokens", *rows]))
    return where


@pytest.fixture(scope="module")
def law(folder):
    return ResampledTrace(make_law(folder))


def make_law(folder, **changes):
    own = str(folder / "own.csv")
    given = {"block_s": 20.0, **SMALL, **changes}
    return trace_law(own, (0.0, 40.0), 0, data_dir=folder, **given)


def test_rates_are_those_of_the_blocks(folder):
    """30 requests in [0, 20), 10 in [20, 40): so expected, and so drawn on average."""
    law = make_law(folder)
    np.testing.assert_array_equal(law.expected_requests, [30, 10])
    drawn = [law.draw(np.random.default_rng([1, s]))[0].arrival_s for s in range(400)]
    early = np.array([(at < 20).sum() for at in drawn])
    late = np.array([(at >= 20).sum() for at in drawn])
    assert early.mean() == pytest.approx(30, abs=4 * np.sqrt(30 / 400))
    assert late.mean() == pytest.approx(10, abs=4 * np.sqrt(10 / 400))
    assert early.var() == pytest.approx(30, rel=0.3)  # Poisson
    assert all((np.diff(at) >= 0).all() for at in drawn)


def test_outputs_are_those_of_the_prompts_half(folder):
    """Two bins: an output length is drawn from those of the trace in the same bin, not others."""
    law = make_law(folder)
    requests, rows = law.draw(np.random.default_rng(0))
    for b in (0, 1):
        here = law.bin_of_row[rows] == b
        assert set(requests.output_tokens[here]) <= set(law.outputs[b])
    everything = law.setting.everything
    np.testing.assert_array_equal(requests.prompt_tokens, everything.prompt_tokens[rows])
    believed = [law.outputs[b].mean() for b in law.bin_of_row[rows]]
    np.testing.assert_allclose(requests.believed_output_tokens, believed)


def test_resources_are_those_of_the_window(folder):
    """Worlds share resources with the recorded window, so that futures and rules fit."""
    law = make_law(folder)
    one, again, other = (resampled(law, s) for s in (0, 0, 1))
    recorded = law.setting.instance(law.setting.base)
    assert one.resource_names == recorded.resource_names == other.resource_names
    assert one.content_hash == again.content_hash != other.content_hash


def test_what_is_expected_is_the_mean_over_outputs(law):
    """Against every output length of the request's half, put into the instance one by one."""
    world = law.world(np.random.default_rng(5), 3)
    requests, rows = law.law.draw(np.random.default_rng(5))
    bins = law.law.bin_of_row[rows]
    task = world.instance.task_of_option
    total, count = np.zeros(world.instance.n_options), np.zeros(world.instance.n_options)
    for b, tokens in enumerate(law.law.outputs):
        for n in tokens:
            equal = replace(requests, output_tokens=np.full(len(requests), n))
            here = bins[task] == b
            total[here] += own_cost_s(law.law.setting.instance(equal))[here]
            count[here] += 1
    np.testing.assert_allclose(world.expected_own_s, total / count, atol=2e-8)


def test_redrawn_services_are_those_of_other_outputs(law):
    """On average over draws the believed service, which has the mean output but for a square."""
    world = law.world(np.random.default_rng(6), 400)
    believed = world.instance.believed_ns * 1e-9
    np.testing.assert_allclose(world.redrawn_s.mean(axis=0), believed, rtol=0.02, atol=1e-8)
    assert world.redrawn_s.shape == (400, len(believed))


@pytest.fixture(scope="module")
def played(law):
    """150 worlds of rules under an online rule: cost, luck, and expected cost of its options."""
    rows = []
    for s in range(150):
        world = rule_world(law, s)
        schedule = rollout(world.instance, POLICIES.make("one-step-oracle-drop"))
        option = (world.instance.option_ptr[:-1] + schedule.choice)[schedule.choice >= 0]
        expected = world.expected_own_s[option].sum()
        rows.append((schedule.objective, luck_s(world, schedule), expected))
    return np.array(rows).T


def test_penalties_and_luck_have_mean_zero_under_an_online_rule(played):
    """Within four standard errors; without luck the cost varies less."""
    cost, luck, _ = played
    assert abs(luck.mean()) < 4 * luck.std() / np.sqrt(len(luck))
    assert (cost - luck).std() < 0.5 * cost.std()


def test_a_wrong_mean_is_caught(played):
    """Expected own costs that are 20 % too low: the same figure is far from zero."""
    _, luck, expected = played
    wrong = luck + 0.2 * expected
    assert abs(wrong.mean()) > 4 * wrong.std() / np.sqrt(len(wrong))


def test_every_rule_is_above_the_bound_of_its_world(law):
    """Cost less penalties of any decisions in a world is at least the world's figure."""
    for r in range(3):
        world, z = penalties(law, SHAPE, 4, (0, r))
        figure, _ = figure_s(world, z, time_limit_s=1.0)
        for rule in ("one-step-oracle-drop", "random", "nearest"):
            schedule = rollout(world.instance, POLICIES.make(rule))
            option = world.instance.option_ptr[:-1] + schedule.choice
            gained = z[option[schedule.choice >= 0]].sum()
            assert figure <= schedule.objective - gained - world.luck_s + 1e-6


def test_between_the_clairvoyant_bound_and_the_rules(law, tmp_path):
    """Not knowing the outputs has a price, and no rule is below the online bound."""
    kept = {}
    bound = penalised_bound(
        law,
        SHAPE,
        worlds=10,
        futures=6,
        time_limit_s=1.0,
        on_world=lambda r, result: kept.update({r: result}),
    )
    rows = [
        measured(law, s, ("one-step-oracle-drop", "priced"), time_limit_s=1.0) for s in range(10)
    ]
    online = bound.sample_slots * law.slot_s / law.expected_tasks
    clairvoyant = [row["clairvoyant"] for row in rows]
    assert gap(online, clairvoyant)[0] > 0
    for rule in ("one-step-oracle-drop", "priced"):
        assert gap([row[rule] for row in rows], online)[2] > 0
    assert bound.method == "penalised-options" and bound.worlds == 10
    assert bound.lower_95_slots < bound.estimate_slots
    assert bound.provenance["expected_requests"] == [30, 10]
    verify.save(tmp_path / "world.json", kept[0])
    assert verify.verify(tmp_path / "world.json").ok
    bound.save(tmp_path / "bound.json")
    assert type(bound).load(tmp_path / "bound.json").content_hash == bound.content_hash
    assert json.loads((tmp_path / "bound.json").read_text())["worlds"] == 10
    assert mean([bound, bound]).worlds == 20


def test_both_bounds_of_a_window(folder):
    """Progress is told for either bound, two worlds each."""
    told = []
    found = bounds(
        str(folder / "own.csv"), range(1), window=(0.0, 40.0), replicates=2, samples=2,
        time_limit_s=0.2, data_dir=folder, on_progress=lambda *step: told.append(step), **SMALL,
    )  # fmt: skip
    assert found.online is not None
    assert found.clairvoyant_slots > 0
    assert told[-1][1:] == (4, 4)


def test_no_seed_makes_a_world_of_the_bound_one_of_a_rule(law):
    """The same numbers in other streams: other arrivals."""
    rule = law.law.draw(rule_stream(law.law, 0))[0].arrival_s
    worlds = [law.law.draw(np.random.default_rng([s, 0, 0, 0]))[0].arrival_s for s in (21, 23)]
    assert not any(len(w) == len(rule) and np.array_equal(w, rule) for w in worlds)
    reported = bound_world(law, SHAPE, 1, (0, 0), 0.0)[1].instance
    tuning = bound_world(law, SHAPE, 1, (0, 0), 0.0, tuning=True)[1].instance
    assert reported.content_hash != tuning.content_hash


def test_what_makes_no_sense_is_refused(folder, law):
    """Each message names the argument."""
    with pytest.raises(ValueError, match="10 requests, at least 20 are needed"):
        trace_law("azure-conv", (0.0, 100.0), data_dir=folder, **SMALL)
    with pytest.raises(ValueError, match="block_s = 0"):
        make_law(folder, block_s=0.0)
    with pytest.raises(ValueError, match="worlds = 1"):
        penalised_bound(law, worlds=1)
    with pytest.raises(ValueError, match="futures = 0"):
        penalised_bound(law, futures=0)
    with pytest.raises(ValueError, match="seed"):
        penalised_bound(law, seed=-1)
    with pytest.raises(ValueError, match="task_seed"):
        resampled(law.law, -1)


def test_a_window_of_the_real_trace():
    """Azure's first minute: the online bound is above the clairvoyant one."""
    law = ResampledTrace(trace_law("azure-conv", (0.0, 60.0), data_dir=mini_data.real_folder()))
    bound = penalised_bound(law, worlds=3, futures=4, time_limit_s=2.0)
    rows = [measured(law, s, (), time_limit_s=2.0)["clairvoyant"] for s in range(3)]
    assert bound.estimate_per_task_slots * law.slot_s > np.mean(rows)
