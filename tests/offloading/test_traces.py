"""The scenario of real requests over real sites: arithmetic by hand, structure, real data."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mecopt.edge import radio, roofline
from mecopt.edge.requests import mean_output_by_prompt
from mecopt.offloading.policies.simple import OneStepOracleDrop
from mecopt.offloading.replay import replay, rollout
from mecopt.offloading.scenarios import trace_parameters, traces
from mecopt.offloading.scenarios.hosts import accuracy, make_hosts
from mecopt.offloading.units import UNLIMITED
from tests.support import mini_data

#: Two GPU sites among the four of the miniature map, one model each.
SMALL = {
    "gpu_sites": 2,
    "site_gpus": (("Jetson AGX Thor 128GB", ("Qwen2.5-7B",)), ("NVIDIA L4", ("Qwen2.5-3B",))),
    "max_sites": 2,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return mini_data.write_folder(tmp_path_factory.mktemp("data"))


def small(folder, window=(0.0, 100.0), seed=0, **changes):
    trace = changes.pop("trace", "azure-conv")
    return traces.generate(trace, window, seed, data_dir=folder, **{**SMALL, **changes})


# ------------------------------------------------------------------ roofline
TOY = roofline.Model("toy", 2e9, 1000.0, 1e9, 1e5, 4096)
SPEED = roofline.Speed(flop_per_s=1e12, bytes_per_s=1e11)


def test_prefill_is_flops_over_speed():
    """1000 x 2e9 + 1000^2 x 1000 = 2.001e12 FLOP at 1e12/s; with a quarter of that, 8.004 s."""
    assert roofline.prefill_s(TOY, SPEED, 1000) == pytest.approx(2.001)
    assert roofline.prefill_s(TOY, SPEED, 1000, batch=4) == pytest.approx(8.004)


def test_decode_reads_weights_and_caches_once_a_step():
    """Own cache (1000 + 100/2) x 1e5 B; alone 1.105e9 B a step, 100 steps at 1e11 B/s: 1.105 s.

    With three others of 500 tokens: 1e9 + 1e5 x (1050 + 1500) = 1.255e9 B a step, 1.255 s.
    """
    assert roofline.decode_s(TOY, SPEED, 1000, 100) == pytest.approx(1.105)
    assert roofline.decode_s(TOY, SPEED, 1000, 100, 4, 500.0) == pytest.approx(1.255)


def test_calibration_inverts_the_roofline(folder):
    """Thor, batch 8, 8B model: one row counts (short, mixture and BF16 rows do not).

    Prefill 8 x 800 tok/s x (16e9 + 2 x 1000 x 2048) FLOP = 1.0242621e14 FLOP/s.
    Decode 200/8 = 25 steps/s x (16e9 x 0.28125 + 8 x 2048 x 1e5) B = 1.5346e11 B/s.
    """
    measured, models = mini_data.tables(folder, "measured-llm-speed", "model-architectures")
    speeds = roofline.calibrate(measured, models, 8, 0.28125)
    assert list(speeds) == ["Jetson AGX Thor 128GB"]
    assert speeds["Jetson AGX Thor 128GB"].flop_per_s == pytest.approx(1.0242621e14, rel=1e-6)
    assert speeds["Jetson AGX Thor 128GB"].bytes_per_s == pytest.approx(1.5346e11, rel=1e-6)


def test_unmeasured_devices_get_the_efficiency_of_measured_ones(folder):
    """The L4 has 120/200 of Thor's FLOP/s and 300/250 of its bandwidth, at equal efficiency."""
    measured, models, specs = mini_data.tables(
        folder, "measured-llm-speed", "model-architectures", "device-specs"
    )
    speeds = roofline.calibrate(measured, models, 8, 0.28125)
    thor, l4 = speeds["Jetson AGX Thor 128GB"], roofline.device_speed(specs, "NVIDIA L4", speeds)
    assert l4.flop_per_s == pytest.approx(thor.flop_per_s * 120 / 200)
    assert l4.bytes_per_s == pytest.approx(thor.bytes_per_s * 300 / 250)
    with pytest.raises(ValueError, match="'Snapdragon 8 Gen 3 phone'.*no fp16_tflops_dense"):
        roofline.device_speed(specs, "Snapdragon 8 Gen 3 phone", speeds)


def test_roofline_agrees_with_the_measured_long_rows():
    """On Thor at batch 8, decode of dense models is predicted within 15 % of every long row."""
    folder = mini_data.real_folder()
    measured, models = mini_data.tables(folder, "measured-llm-speed", "model-architectures")
    speed = roofline.calibrate(measured, models, 8, 0.28125)["Jetson AGX Thor 128GB"]
    checked = 0
    for i in np.flatnonzero((measured["batch"] == 8) & (measured["prompt_tokens"] == 2048)):
        name = str(measured["model"][i]).removesuffix("-Instruct-2507")
        if measured["device"][i] != "Jetson AGX Thor" or name not in models["model"]:
            continue
        if name.endswith("A3B"):
            continue
        m = roofline.model(models, name, 0.28125)
        step_s = float(roofline.decode_s(m, speed, 2047.5, 1, 8, 2048.0))
        assert 8 / step_s == pytest.approx(measured["decode_tok_s"][i], rel=0.15)
        checked += 1
    assert checked == 4


# ------------------------------------------------------------------ radio
def test_path_loss_by_hand():
    """100 m, 3.5 GHz, 10 m over 1.5 m: d3D = 100.36 m, LOS 85.31 dB, NLOS 104.64 dB, P(LOS) 0.231.

    0.231 x 85.31 + 0.769 x 104.64 = 100.18 dB.
    """
    assert radio.los_probability(100.0) == pytest.approx(0.2310, abs=1e-4)
    assert radio.path_loss_db(100.0, 3.5, 10.0, 1.5) == pytest.approx(100.18, abs=0.01)


def test_path_loss_is_the_formula_of_the_table():
    """The formulas in the shared table, evaluated as written, give the same numbers."""
    (table,) = mini_data.tables(mini_data.real_folder(), "channel-constants")
    text = dict(zip(table["parameter"], table["value"], strict=True))
    for d2d in (12.0, 18.0, 65.0, 300.0):
        names = {"log10": math.log10, "exp": math.exp, "max": max, "fc": 3.5, "hUT": 1.5}
        names |= {"d2D": d2d, "d3D": math.hypot(d2d, 8.5)}
        los = names["PL_LOS"] = eval(text["umi_pl_los"], {}, names)
        nlos = eval(text["umi_pl_nlos"], {}, names)
        p = eval(text["umi_p_los"], {}, names)
        expected = p * los + (1 - p) * nlos
        assert radio.path_loss_db(d2d, 3.5, 10.0, 1.5) == pytest.approx(expected)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.0, 2000.0), min_size=2, max_size=20))
def test_rates_fall_with_distance(distances):
    """Rates never rise with distance, start at the highest CQI and end out of coverage."""
    link = radio.Link(
        3.5, 18e6, 23.0, 8.0, 5.0, -174.0, 10.0, 1.5, 0.1,
        np.array([-6.7, 5.9, 22.7]), np.array([0.15, 1.5, 5.5]),
    )  # fmt: skip
    rates = radio.rate_bps(np.sort([0.0, *distances, 5000.0]), link)
    assert (np.diff(rates) <= 0).all()
    assert rates[0] == pytest.approx(5.5 * 18e6 * 0.9) and rates[-1] == 0.0


def test_ground_distance_of_a_milliradian():
    """0.001 degrees of latitude are 111.19 m; of longitude at 60 degrees north half of that."""
    d = radio.ground_distance_m([60.0], [10.0], [60.001, 60.0], [10.0, 10.001])
    assert d[0] == pytest.approx([111.19, 55.60], abs=0.01)


# ------------------------------------------------------------------ what a policy believes
def test_believed_output_is_the_mean_of_the_prompts_tenth():
    """Two bins split at the median prompt: (40 + 60)/2 and (20 + 80)/2 tokens."""
    believed = mean_output_by_prompt(np.array([1, 2, 3, 4]), np.array([40, 60, 20, 80]), 2)
    assert believed.tolist() == [50.0, 50.0, 50.0, 50.0]
    believed = mean_output_by_prompt(np.array([1, 2, 3, 4]), np.array([10, 30, 100, 200]), 2)
    assert believed.tolist() == [20.0, 20.0, 150.0, 150.0]


def test_equal_prompts_share_one_mean():
    """With one prompt length there is one non-empty bin, whatever the number of bins."""
    believed = mean_output_by_prompt(np.full(4, 7), np.array([1, 2, 3, 6]), 10)
    assert believed.tolist() == [3.0] * 4


def test_believed_times_are_those_of_the_mean_answer(folder):
    """With one bin every answer is believed to be of mean length, 74 tokens; uploads are known."""
    x = small(folder, length_bins=1)
    kinds = np.array(x.resource_kinds)[x.stage_resource]
    assert (x.believed_ns[kinds == "uplink"] == x.service_ns[kinds == "uplink"]).all()
    # On the cloud a token takes about the same time in every request: 74 / 40 for the first one.
    cloud = x.stage_ptr[x.options_of(0).stop] - 1
    fixed_s = 0.06 + 100 * 144e9 / (4 * 1000e12 * 1.0242621e14 / 200e12)
    ratio = (x.believed_ns[cloud] * 1e-9 - fixed_s) / (x.service_ns[cloud] * 1e-9 - fixed_s)
    assert ratio == pytest.approx(74 / 40, rel=1e-3)


# ------------------------------------------------------------------ the instance
def test_service_times_by_hand(folder):
    """First request (100 prompt, 40 output tokens) in the cloud and on a 7B site.

    Cloud: 4 H100 at the efficiency of Thor. Upload 100 x 4 x 8 bit at 5.5 x 18e6 x 0.9 bit/s
    (user 0 stands 0 m, user 1 44 m from the nearest site: best CQI) = 35.9 us.
    """
    x = small(folder)
    tables = {name: t for name in trace_parameters.TABLES for t in mini_data.tables(folder, name)}
    hosts = make_hosts(tables, trace_parameters.parameters(**SMALL))
    context = 550.0 + 74.0 / 2  # mean of prompt + output / 2 over the trace
    cloud = x.options_of(0)[-1]
    first, last = x.stage_ptr[cloud], x.stage_ptr[cloud + 1]
    upload_ns, serve_ns = x.service_ns[first:last]
    assert upload_ns == pytest.approx(100 * 4 * 8 / (5.5 * 18e6 * 0.9) * 1e9, abs=1)
    flop = 100 * 144e9 + 100**2 * 2000
    speed = 4 * 1000e12 * 1.0242621e14 / 200e12
    step_bytes = 144e9 + 3e5 * ((100 + 20) + 15 * context)
    bandwidth = 4 * 3000e9 * 1.5346e11 / 250e9
    expected_s = 0.06 + flop / speed + 40 * step_bytes / bandwidth
    assert serve_ns * 1e-9 == pytest.approx(expected_s, rel=1e-6)
    # 7B on Thor: an eighth of the compute, eight caches; 14e9 x 0.28125 B of weights.
    (seven,) = hosts.sites[0]
    flop = 8 * (100 * 14e9 + 100**2 * 2000)
    step_bytes = 14e9 * 0.28125 + 4e4 * ((100 + 20) + 7 * context)
    expected_s = flop / 1.0242621e14 + 40 * step_bytes / 1.5346e11
    at = [o for o in x.options_of(0) if x.labels[x.option_label[o]].endswith("Qwen2.5-7B")]
    assert x.service_ns[x.stage_ptr[at[0]] + 1] * 1e-9 == pytest.approx(expected_s, rel=1e-6)
    assert seven.fixed_cost_s == pytest.approx(10 * (1 - 0.75))


def test_fixed_costs_are_accuracy_and_the_fee(folder):
    """w_a = 10 s: 1.5B 50 % 5 s, 3B 60 % 4 s, 7B 75 % 2.5 s, 72B 90 % 1 s plus the fee of 4 s."""
    x = small(folder)
    models = [x.labels[i].split(": ")[1] for i in x.option_label]
    cost = dict(zip(models, x.fixed_cost_ns * 1e-9, strict=True))
    assert cost == pytest.approx(
        {"Qwen2.5-1.5B": 5.0, "Qwen2.5-3B": 4.0, "Qwen2.5-7B": 2.5, "Qwen2.5-72B": 5.0}
    )


def test_resources_options_and_capacities(folder):
    """Two users, two GPU sites of 8 slots, an unlimited cloud; device first, cloud last."""
    x = small(folder)
    assert x.resource_names[:4] == ("uplink 0", "uplink 1", "device 0", "device 1")
    assert x.resource_kinds == ("uplink",) * 2 + ("device",) * 2 + ("server",) * 2 + ("cloud",)
    assert x.capacity.tolist() == [1, 1, 1, 1, 8, 8, UNLIMITED]
    for k in range(x.n_tasks):
        names = [x.option_name(k, i) for i in range(len(x.options_of(k)))]
        assert names[0] == "device: Qwen2.5-1.5B" and names[-1] == "cloud: Qwen2.5-72B"
        assert [n.split()[0] for n in names[1:-1]] == ["site", "site"]
    assert x.is_chain and set(x.deadline_ns) == {20 * 10**9} and set(x.drop_cost_ns) == {40 * 10**9}


def test_nearest_site_comes_first_and_uploads_are_no_slower(folder):
    """Per request, the uploads of the site options get longer (or stay) with rank."""
    x = small(folder, gpu_sites=4, max_sites=4)
    for k in range(x.n_tasks):
        uploads = [x.service_ns[x.stage_ptr[o]] for o in x.options_of(k)[1:-1]]
        assert len(uploads) == 4 and uploads == sorted(uploads)


def test_radius_limits_the_sites(folder):
    """Sites are 88 m apart: within 60 m, user 0 (at site A) reaches A only, user 1 C and D."""
    x = small(folder, gpu_sites=4, max_sites=4, radius_m=60.0)
    for k in range(x.n_tasks):
        names = {x.option_name(k, i).split(":")[0] for i in range(len(x.options_of(k)))}
        sites = {"site A"} if x.owner_names[x.owner[k]] == "user 0" else {"site C", "site D"}
        assert names == {"device", "cloud"} | sites
    assert [n for n in x.resource_names if n.startswith("site")] == ["site A", "site C", "site D"]


def test_slots_serve_in_parallel_and_the_ninth_waits(folder, tmp_path):
    """Nine equal requests at once on one site of 8 slots: eight start at once, one waits."""
    own = tmp_path / "nine.csv"
    own.write_text("arrival_s,context_tokens,generated_tokens\n" + "0,100,50\n" * 9)
    x = small(folder, trace=str(own), gpu_sites=1, max_sites=1)
    schedule = replay(x, np.ones(9, dtype=int))
    line = schedule.timeline()
    line = line[line["kind"] == "server"]
    waits = np.sort((line["start_s"] - line["arrival_s"]).to_numpy())
    service = (line["finish_s"] - line["start_s"]).iloc[0]
    assert waits[:8] == pytest.approx(0.0, abs=1e-9)
    assert waits[8] == pytest.approx(service, rel=0.01)


def test_long_prompts_are_offered_only_to_models_that_hold_them(folder):
    """9000 prompt tokens do not fit the 4096 of the 1.5B and 3B models; releases are jittered."""
    x = small(folder, trace="mooncake-conversation")
    longest = max(range(x.n_tasks), key=lambda k: x.service_ns[x.stage_ptr[x.options_of(k)[-1]]])
    names = [x.option_name(longest, i) for i in range(len(x.options_of(longest)))]
    assert [n.split(": ")[1] for n in names] == ["Qwen2.5-7B", "Qwen2.5-72B"]
    assert len(set(x.release_ns.tolist())) == 5 and (x.release_ns <= 9 * 10**9).all()


def test_a_window_is_a_piece_of_the_trace(folder):
    """[4, 9) s holds requests 3, 4, 5; releases count from 4 s; owners and times are the same."""
    whole, part = small(folder), small(folder, window=(4.0, 9.0))
    assert part.release_ns.tolist() == [0, 2 * 10**9, 4 * 10**9]
    for i, k in enumerate((3, 4, 5)):
        assert part.owner_names[part.owner[i]] == whole.owner_names[whole.owner[k]]
        here, there = part.options_of(i), whole.options_of(k)
        a = part.service_ns[part.stage_ptr[here.start] : part.stage_ptr[here.stop]]
        b = whole.service_ns[whole.stage_ptr[there.start] : whole.stage_ptr[there.stop]]
        assert a.tolist() == b.tolist()


def test_equal_seeds_give_equal_instances(folder):
    """The seed places GPUs, draws devices and owners; meta says what was read."""
    assert small(folder).content_hash == small(folder).content_hash
    assert small(folder).content_hash != small(folder, seed=1).content_hash
    meta = small(folder).meta
    assert meta["scenario"] == "traces" and meta["window"] == [0.0, 100.0]
    assert set(meta["parameters"]) == set(meta["tags"])
    assert len(meta["files"]) == 10 and all(len(h) == 64 for h in meta["files"].values())


def test_task_seed_changes_requests_and_nothing_else(folder):
    """Look-ahead policies need futures over the same resources, owners and option labels."""
    base = small(folder, window=(0.0, 15.0))
    futures = [small(folder, window=(0.0, 15.0), task_seed=s) for s in range(20)]
    for x in futures:
        assert x.resource_names == base.resource_names and x.owner_names == base.owner_names
        assert x.resource_kinds == base.resource_kinds and x.labels == base.labels
        assert x.capacity.tolist() == base.capacity.tolist()
        assert (x.release_ns < 15 * 10**9).all()
    assert len({x.content_hash for x in futures}) == 20
    assert len({x.n_tasks for x in futures}) > 1


def test_futures_are_never_empty(folder):
    """A window of 0.1 s has mostly no arrival elsewhere in the trace; one request is put there."""
    futures = [small(folder, window=(4.0, 4.1), task_seed=s) for s in range(10)]
    assert all(x.n_tasks >= 1 for x in futures)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    gpu_sites=st.integers(1, 4),
    max_sites=st.integers(1, 4),
    slots=st.integers(1, 8),
)
def test_random_settings_replay(folder, seed, gpu_sites, max_sites, slots):
    """Every setting gives a valid instance whose rollout the replay confirms, costs >= 0."""
    x = small(folder, seed=seed, gpu_sites=gpu_sites, max_sites=max_sites, slots=slots)
    schedule = rollout(x, OneStepOracleDrop())
    assert (schedule.cost_s >= 0).all() and schedule.objective > 0
    assert replay(x, schedule.choice).objective == schedule.objective
    assert (x.fixed_cost_ns >= 0).all()


# ------------------------------------------------------------------ errors
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"gpus": 3}, "parameters: unknown 'gpus'"),
        ({"slots": 0}, "slots = 0 must be >= 1"),
        ({"radius_m": 0.0}, "radius_m = 0.0 must be > 0"),
        ({"cloud_fee_s": -1.0}, "cloud_fee_s = -1.0 must be >= 0"),
        ({"gpu_sites": 5}, "gpu_sites = 5: .*edge_servers.csv.gz has 4 sites"),
        ({"user_devices": (("NVIDIA L4", 0.5),)}, r"user_devices: shares \[0.5\]"),
        ({"site_gpus": (("NVIDIA L4", ()),)}, "site_gpus: every GPU needs"),
        ({"device_model": "GPT"}, "column 'model': no row 'GPT'"),
        ({"cloud_device": "TPU"}, "column 'device': no row 'TPU'"),
        ({"cloud_gpus": 1}, r"'H100 SXM 80GB' x 1: 144.0 GB of weights \(Qwen2.5-72B\), has 80"),
        ({"accuracy_benchmark": "HumanEval"}, "no HumanEval score of 'Qwen2.5-1.5B'"),
        ({"bandwidth_mhz": 7}, "bandwidth_mhz = 7 with scs_khz = 30: no row"),
        ({"trace": "azure"}, "trace: unknown 'azure', one of azure-conv"),
        ({"window": (4.2, 5.0)}, r"window = \[4.2, 5\) s: azure-conv has no arrival there"),
        ({"window": (5.0, 5.0)}, "must be .start, end. with 0 <= start < end"),
        ({"seed": -1}, "seed = -1"),
        ({"task_seed": -1}, "task_seed = -1"),
    ],
)
def test_bad_arguments_are_refused_by_name(folder, changes, says):
    """The message has the name and the value."""
    with pytest.raises(ValueError, match=says):
        small(folder, **changes)


def test_a_request_that_nothing_can_serve_is_refused(folder, tmp_path):
    """200,000 prompt tokens exceed every context."""
    own = tmp_path / "long.csv"
    own.write_text("arrival_s,context_tokens,generated_tokens\n0,200000,1\n")
    with pytest.raises(ValueError, match=r"request 0 of user . \(200000 prompt tokens\): no model"):
        small(folder, trace=str(own))


def test_malformed_own_trace_is_refused_without_advice_to_download(folder, tmp_path):
    """Your own file is named, with line and column."""
    own = tmp_path / "mine.csv"
    own.write_text("arrival_s,context_tokens,generated_tokens\n0,5,1\n-1,5,1\n")
    with pytest.raises(ValueError, match=r"mine.csv, line 3, column 'arrival_s': '-1' .* sorted$"):
        small(folder, trace=str(own))


def test_times_of_an_own_trace_count_from_its_first_request(folder, tmp_path):
    """The miniature trace under its name, as a file, and with stamps 1.7e9 s later: the same."""
    own, later = tmp_path / "own.csv", tmp_path / "later.csv"
    own.write_text(mini_data.AZURE)
    head, *rows = mini_data.AZURE.splitlines()
    shifted = [f"{1_700_000_000 + int(r[: r.index('.')])}{r[r.index('.') :]}" for r in rows]
    later.write_text("\n".join([head, *shifted]))
    hashes = {small(folder, trace=t).content_hash for t in ("azure-conv", str(own), str(later))}
    assert len(hashes) == 1


def test_failed_requests_are_left_out_and_said(folder, tmp_path):
    """One of two has no output: one task, and a note that `solve` and `bench` print."""
    own = tmp_path / "burst.csv"
    own.write_text(
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
        "5,ChatGPT,472,18,490,Conversation log\n45,GPT-4,1087,0,1087,API log\n"
    )
    x = small(folder, trace=str(own))
    assert x.n_tasks == 1 and x.release_ns.tolist() == [0]
    assert x.meta["notes"] == [
        f"{own}: 1 of 2 requests have no output; they failed and are left out"
    ]


def test_missing_folder_is_reported_with_the_source(tmp_path):
    """Nothing is guessed when the data are not there."""
    with pytest.raises(
        FileNotFoundError, match="swinedge/eua-dataset.*mecopt data fetch eua-sites"
    ):
        traces.generate(data_dir=tmp_path)


def test_accuracy_takes_one_protocol(folder):
    """Base models, other benchmarks and other publications are not mixed in."""
    (scores,) = mini_data.tables(folder, "model-accuracy")
    assert accuracy(scores, "Qwen2.5-7B", "MMLU-redux") == 0.75
    assert accuracy(scores, "Qwen2.5-7B", "GSM8K") == 0.02


# ------------------------------------------------------------------ real data
def test_ten_real_minutes_congest_the_sites():
    """Every GPU site works, the busiest above 80 %; the oracle uses edge and cloud, few drops."""
    x = traces.generate("azure-conv", (0.0, 600.0), data_dir=mini_data.real_folder())
    schedule = rollout(x, OneStepOracleDrop())
    busy = mini_data.utilisation(schedule, "server")
    assert len(busy) == 5 and min(busy.values()) > 0.2 and 0.8 < max(busy.values()) < 1.0
    assert 0 < schedule.drop_rate < 0.02
    share = {name.split()[0].strip(":") for name in schedule.tasks()["option"]}
    assert {"site", "cloud"} <= share


def test_knowing_the_output_lengths_helps():
    """The same oracle with realised instead of believed times costs less on the real trace."""
    x = traces.generate("azure-conv", (0.0, 600.0), data_dir=mini_data.real_folder())
    knowing = replace(x, believed_ns=x.service_ns)
    blind, clear = (rollout(y, OneStepOracleDrop()).objective for y in (x, knowing))
    assert clear < blind


def test_the_real_hour_is_complete():
    """All 19,366 requests of the conversation hour, about five options each."""
    x = traces.generate("azure-conv", (0.0, 3600.0), data_dir=mini_data.real_folder())
    assert x.n_tasks == 19_366 and len(x.owner_names) == 816
    assert 4 * x.n_tasks < x.n_options < 8 * x.n_tasks


@pytest.mark.parametrize("trace", ["azure-code", "mooncake-conversation"])
def test_other_real_traces_make_instances(trace):
    """Both roll out; every request has a cloud option, as all contexts fit 131,072 tokens."""
    x = traces.generate(trace, (0.0, 600.0), data_dir=mini_data.real_folder())
    last = x.option_label[x.option_ptr[1:] - 1]
    assert {x.labels[i] for i in last} == {"cloud: Qwen2.5-72B"}
    assert rollout(x, OneStepOracleDrop()).drop_rate < 0.5
