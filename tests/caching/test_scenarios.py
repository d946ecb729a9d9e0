"""Caching scenarios: seeded presets with the paper's numbers, and demand from data."""

from collections import Counter

import numpy as np
import pytest

from mecopt import data
from mecopt.caching.scenarios import (
    demand as caching_demand,
)
from mecopt.caching.scenarios import presets
from mecopt.caching.scenarios import (
    t2drl as caching,
)
from mecopt.caching.scenarios import (
    trace as caching_trace,
)
from tests.support import mini_data


# ------------------------------------------------------------------ presets
@pytest.mark.parametrize(
    ("preset", "shape"),
    [
        ("base", (5, 25, 100)),
        ("ten", (5, 10, 100)),
        ("sticky", (5, 25, 100)),
        ("fast", (5, 25, 100)),
        ("big", (1, 50, 200)),
        ("backhaul", (5, 10, 100)),
        ("base-forwarding", (5, 25, 100)),
    ],
)
def test_presets_have_the_published_sizes(preset, shape):
    assert caching.generate(preset, 0).requests.shape == shape


def test_equal_seeds_give_equal_instances_and_others_do_not():
    one, two, other = (caching.generate("ten", s) for s in (5, 5, 6))
    assert one.content_hash == two.content_hash != other.content_hash


def test_constants_of_the_paper():
    """80 GB, 300 W over 10 s = 3000 J; thoughts and vanishing in their ranges; cloud per token."""
    x = caching.generate("base", 1)
    assert set(x.capacity_mb) == {80_000} and set(x.energy_budget_10j) == {300}
    # zeta J = 0.25 x 5..20 = 1.25..5, rounded half to even: 1..5
    assert x.thoughts.min() >= 1 and x.thoughts.max() <= 5
    assert x.vanish.min() >= 1 and x.vanish.max() <= 4
    tokens = x.edge_cost / 1e-4
    assert tokens.min() >= 100 - 1e-3 and tokens.max() <= 200 + 1e-3
    factor = x.cloud_cost / (7.5e-3 * tokens)
    assert set(np.round(factor, 4)) <= {0.7, 0.9, 1.3, 2.0}
    assert set(x.memory_mb) <= {6_000, 10_000, 22_000, 42_000}
    assert x.switch_cost == pytest.approx(1e-4 * x.memory_mb)


def test_accuracy_is_linear_between_the_columns_of_the_table():
    """LaMDA on GSM8K: 21 % at 5 paths, 24 % at 10; so 22.2 % at 7."""
    found = caching.accuracy(["LaMDA-137B", "PaLM-540B"], np.array([0, 2]), np.array([7, 20]))
    assert found == pytest.approx([0.222, 0.85])


def test_presets_differ_where_they_say():
    base, sticky, fast = (caching.generate(p, 2) for p in ("base", "sticky", "fast"))
    assert np.array_equal(base.requests, sticky.requests)
    assert sticky.switch_cost == pytest.approx(5 * base.switch_cost)
    assert (fast.thoughts >= base.thoughts).all() and fast.thoughts.max() > 5
    assert caching.generate("backhaul", 2).coupling.overflow_cost == pytest.approx(0.02)
    ten, near = caching.generate("ten", 2), caching.generate("forwarding", 2)
    assert near.coupling.hop_cost == pytest.approx(0.05 * ten.cloud_cost)


def test_backhaul_carries_its_share_of_the_mean_demand():
    x = caching.generate("base-backhaul", 0)
    demand = np.einsum("p,npt->t", x.coupling.tokens, x.requests).mean()
    assert x.coupling.capacity[0] == int(0.5 * demand)


def test_one_request_per_agent_server_and_slot_on_average():
    """Bursts included; 40 episodes of 5 x 10 x 100 numbers."""
    mean = np.mean([caching.generate("ten", s).requests.mean() for s in range(40)])
    assert mean == pytest.approx(1.0, abs=0.03)


def test_popularity_is_zipf_in_an_order_of_its_own():
    """Rates of a server in order are proportional to rank^-0.7; two servers order differently."""
    rates = np.mean(
        [
            caching.true_rates(caching.generate("ten", 0, request_seed=s, slots=200))
            for s in range(30)
        ],
        axis=(0, 3),
    )
    expected = np.arange(1, 11) ** -0.7
    expected *= 10 / expected.sum()
    assert np.sort(rates[0])[::-1] == pytest.approx(expected, rel=0.15)
    assert not np.array_equal(np.argsort(rates[0]), np.argsort(rates[1]))


def test_true_rates_are_those_that_drew_the_requests():
    """Requests minus rates has the variance of a Poisson law."""
    x = caching.generate("base", 4)
    rates = caching.true_rates(x)
    chi = ((x.requests - rates) ** 2 / rates).mean()
    assert chi == pytest.approx(1.0, abs=0.05)


def test_true_rates_follow_request_seed_and_changes():
    x = caching.generate("ten", 1, request_seed=3, slots=30, burst_factors=(0.5, 1.5))
    rates = caching.true_rates(x)
    assert rates.shape == x.requests.shape
    ratio = rates.max(axis=2) / rates.min(axis=2)
    assert ratio.max() == pytest.approx(3.0)


def test_other_requests_for_the_same_agents():
    one, two = (caching.generate("ten", 0, request_seed=s) for s in (1, 2))
    assert np.array_equal(one.memory_mb, two.memory_mb)
    assert not np.array_equal(one.requests, two.requests)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: caching.generate("huge"), "preset: unknown 'huge', one of base, ten"),
        (lambda: caching.generate("ten", -1), "seed = -1 must be a whole number >= 0"),
        (lambda: caching.generate("ten", 0, agent=3), "parameters: unknown 'agent'"),
        (lambda: caching.generate("ten", 0, slots=0), "there are zero slots"),
        (lambda: caching.generate("ten", 0, kappa_max=1, zeta=1.0), "below the thoughts of one"),
        (lambda: presets.make("huge"), "preset: unknown 'huge'"),
        (lambda: caching_trace.generate(0, workloads="x"), "parameters: unknown 'workloads'"),
        (lambda: caching_trace.generate(-1), "seed = -1 must be a whole number >= 0"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_every_parameter_has_a_tag():
    assert set(caching.TAGS) >= set(vars(caching.PRESETS["base"]))
    assert set(caching_trace.TAGS) == set(vars(caching_trace.Parameters()))


# ------------------------------------------------------------------ demand from data
RATES = """workload,client,window_start_s,rate_rps,iat_cv,iat_family,iat_param1,iat_param2
chat,7,0,2.0,1.0,Gamma,0.25,1
chat,7,600,4.0,1.0,Gamma,4.0,1
chat,8,0,1.0,1.0,Weibull,0.5,1
chat,8,600,1.0,1.0,,,
chat,9,600,0.1,1.0,,,
code,1,0,5.0,1.0,,,
"""
TOKENS = """workload,client,window_start_s,field,mean
chat,7,0,input_tokens,100
chat,7,21600,input_tokens,300
chat,8,0,input_tokens,50
chat,7,0,output_tokens,10
"""


def rates_table(tmp_path):
    spec = data.find("servegen-rates")
    mini_data.write_file(tmp_path, spec, RATES)
    return data.read(spec, tmp_path)


def test_busiest_clients_of_a_stretch(tmp_path):
    """Two windows exist, so the stretch is all of them; client 9 is the least busy."""
    d = caching_demand.demand(rates_table(tmp_path), "chat", 2, 2, np.random.default_rng(0))
    assert d.clients.tolist() == [7, 8] and d.start_s == 0.0
    assert d.rate.tolist() == [[2.0, 4.0], [1.0, 1.0]]
    assert d.family.tolist() == [["Gamma", "Gamma"], ["Weibull", ""]]
    assert d.shape.tolist() == [[0.25, 4.0], [0.5, 1.0]]


@pytest.mark.parametrize(
    ("workload", "clients", "windows", "message"),
    [
        ("talk", 1, 1, "no workload 'talk'; it has chat, code"),
        ("chat", 4, 2, "'chat' has 3 clients from 0 s on, asked for 4"),
        ("chat", 1, 3, "'chat' has 2 windows, asked for 3"),
    ],
)
def test_demand_that_the_data_do_not_have(tmp_path, workload, clients, windows, message):
    with pytest.raises(ValueError, match=message):
        caching_demand.demand(
            rates_table(tmp_path), workload, clients, windows, np.random.default_rng(0)
        )


def test_arrivals_follow_rates_and_burstiness(tmp_path):
    """Client 7 doubles its rate in the second window, and is burstier in the first (Gamma 1/4)."""
    d = caching_demand.demand(rates_table(tmp_path), "chat", 2, 2, np.random.default_rng(0))
    x = caching_demand.arrivals(
        d, servers=1, slots=4000, slots_per_window=2000, mean_requests=1.0,
        rng=np.random.default_rng(1),
    )  # fmt: skip
    # Mean rates 2, 4 and 1, 1 of 2 on average: 1, 2 and 0.5, 0.5 requests a slot.
    first, second = x[0, 0, :2000], x[0, 0, 2000:]
    assert first.mean() == pytest.approx(1.0, rel=0.15)
    assert second.mean() == pytest.approx(2.0, rel=0.1)
    assert x[0, 1].mean() == pytest.approx(0.5, rel=0.15)
    assert first.var() / first.mean() > 1.5 > second.var() / second.mean()


def test_requests_of_a_client_are_shared_among_servers(tmp_path):
    d = caching_demand.demand(rates_table(tmp_path), "chat", 2, 2, np.random.default_rng(0))
    x = caching_demand.arrivals(
        d, servers=3, slots=2000, slots_per_window=1000, mean_requests=1.0,
        rng=np.random.default_rng(1),
    )  # fmt: skip
    assert x.shape == (3, 2, 2000) and x.mean() == pytest.approx(1.0, rel=0.1)


def test_token_means_per_client(tmp_path):
    """Client 7: (100 + 300) / 2. Client 9 is not in the table: mean over all rows, 150."""
    spec = data.find("servegen-tokens")
    mini_data.write_file(tmp_path, spec, TOKENS)
    found = caching_demand.mean_tokens(data.read(spec, tmp_path), "chat", np.array([7, 9]))
    assert found["input_tokens"].tolist() == [200.0, 150.0]
    with pytest.raises(ValueError, match="no input_tokens of workload 'code'"):
        caching_demand.mean_tokens(data.read(spec, tmp_path), "code", np.array([7]))


def test_context_reuse_of_conversations(tmp_path):
    """Sessions {0 1} (3 requests), {0 2 3}, {0 4}; all are dealt to the one agent.

    New blocks that are used again: 0 and 1 of the first request; 2 of 5 requests would count 3.
    Block 1 is used at 0, 3 and 6 s.
    """
    spec = caching_demand.block_file()
    mini_data.write_file(tmp_path, spec, mini_data.MOONCAKE)
    trace = data.read(spec, tmp_path)
    new, reuse_s = caching_demand.contexts(trace, 1, np.random.default_rng(0))
    assert new.tolist() == [2 / 5]
    assert reuse_s.tolist() == [3.0]


def test_trace_episodes_of_the_real_data():
    """Sizes, grids and means of an episode."""
    x = presets.make("trace", 1, mini_data.real_folder())
    assert x.requests.shape == (5, 20, 100)
    assert x.requests.mean() == pytest.approx(1.0, abs=0.3)
    assert x.requests.mean(axis=(0, 2)).min() > 0
    sizes = Counter(zip(x.model_names, x.memory_mb.tolist(), strict=True))
    assert len(sizes) == len(set(x.model_names))  # one size per model
    # 8.03e9 x 2 bytes x 0.28125 = 4.5 GB of weights, 40 x 512 x 131072 bytes = 2.7 GB of cache
    assert dict(sizes.keys())["8B"] == pytest.approx(7200, abs=10)
    assert (x.edge_cost / 1e-4).mean() == pytest.approx(150.0)
    assert 1 <= x.thoughts.min() <= x.thoughts.max() <= 40 and x.vanish.min() >= 1
    with pytest.raises(ValueError, match="preset 'trace'.* has no known rates"):
        caching.true_rates(x)


def test_missing_data_say_where_they_come_from(tmp_path):
    with pytest.raises(FileNotFoundError, match="servegen_client_rates.csv.gz.*alibaba/ServeGen"):
        presets.make("trace", 0, tmp_path)
