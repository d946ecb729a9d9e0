"""Nodes that go wrong more often than rules are told."""

import numpy as np
import pytest

from mecopt.bench.collaboration.bounds import rates_only
from mecopt.collaboration.drift import Drift
from mecopt.collaboration.expected import expected, worth
from mecopt.collaboration.network import Network
from mecopt.collaboration.scenarios import ledrl

SMALL = {"nodes": 4, "slots": 12}


def test_without_drift_an_episode_is_what_it_always_was():
    """The hash of seed 3 before there was such a thing."""
    x = ledrl.generate("paper", 3, **SMALL)
    assert x.content_hash[:16] == "5f60749edffa533a"
    assert "drift" not in x.meta and Drift.of(x) == Drift()


def test_only_later_tasks_on_such_nodes_are_damaged_more():
    """12 slots of 0.5 s: tasks released from 3 s on; everything but damage stays."""
    x = ledrl.generate("paper", 3, **SMALL)
    y = ledrl.generate("paper", 3, drift_nodes=2, drift_factor=50.0, **SMALL)
    drift = Drift.of(y)
    assert len(drift.nodes) == 2 and drift.from_s == 3.0 and Network.of(x) == Network.of(y)
    option = x.option_of_stage[np.flatnonzero(x.service_ns != y.service_ns)]
    assert len(option)
    assert (x.release_ns[x.task_of_option[option]] >= 3 * 10**9).all()
    assert np.isin(x.stage_resource[x.stage_ptr[option + 1] - 2], drift.nodes).all()
    assert (y.service_ns >= x.service_ns).all() and np.array_equal(x.believed_ns, y.believed_ns)


def test_rules_are_not_told_and_the_bound_is():
    """Executions of t s at rate r survive with exp(-r t); from 3 s on with exp(-3 r t), three
    times in a row."""
    y = ledrl.generate("paper", 3, drift_nodes=4, drift_factor=3.0, **SMALL)
    x = ledrl.generate("paper", 3, **SMALL)
    assert np.array_equal(expected(y).fixed_cost_ns, expected(x).fixed_cost_ns)
    o = int(y.option_ptr[-2])  # the last task stays
    node = int(y.stage_resource[y.stage_ptr[o]])
    rate = Network.of(y).nodes[node].execution_failure_per_s
    seconds = y.believed_ns[y.stage_ptr[o]] * 1e-9
    told, true = worth(y)[o], worth(y, drift=Drift.of(y))[o]
    assert true == pytest.approx(told * np.exp(-2 * rate * seconds)) and true < told
    assert rates_only(y, time_limit=1).bound < rates_only(x, time_limit=1).bound


def test_bad_drifts_are_refused():
    with pytest.raises(ValueError, match="drift_nodes = 5 must be at most nodes = 4"):
        ledrl.generate("paper", 0, drift_nodes=5, **SMALL)
    with pytest.raises(ValueError, match=r"drift_factor = 0.5 must be >= 1"):
        ledrl.generate("paper", 0, drift_factor=0.5, **SMALL)
