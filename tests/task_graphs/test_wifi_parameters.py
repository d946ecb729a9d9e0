"""Parameters of WiFi episodes: what cannot be is refused by name, what just can be is made."""

import numpy as np
import pytest

import mecopt
from mecopt.task_graphs.scenarios import wifi


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"aps": 10**20}, "aps = 100000000000000000000 must be at most 1000"),
        ({"ues": 1_001}, "ues = 1001 must be at most 1000"),
        ({"ap_slots": 10**12}, "ap_slots = 1000000000000 must be at most 1000000"),
        ({"arrivals_per_ue_s": 1e9}, r"arrivals_per_ue_s = 1e\+09: 5 users make more than 100000"),
        ({"ap_tflops": (1.0, np.inf)}, r"ap_tflops = \(1.0, inf\) must be 0 < low <= high"),
        ({"prompt_tokens": (800, 200)}, "prompt_tokens = .* must be whole numbers"),
        ({"prompt_tokens": (-5, 10)}, "prompt_tokens = .* must be whole numbers"),
        ({"prompt_tokens": (1.5, 3.5)}, "prompt_tokens = .* must be whole numbers"),
        ({"prompt_tokens": (1, 2, 3)}, "prompt_tokens = .* must be two numbers"),
        ({"prompt_tokens": 5}, "prompt_tokens = 5 must be two numbers"),
        ({"ap_params_b": ()}, "ap_params_b = .* must be numbers > 0"),
        ({"ap_params_b": (7.0, -1.0)}, "ap_params_b = .* must be numbers > 0"),
        ({"ue_params_b": 32.0}, "ue_params_b = 32.0 must be > 0 and below the largest"),
        ({"ue_params_b": -1.0}, "ue_params_b = -1.0 must be > 0 and below the largest"),
        ({"most_subtasks": 7}, "most_subtasks = 7 must be at most 6"),
    ],
)
def test_what_cannot_be_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        wifi.parameters("paper", **change)


def test_rooms_too_small_to_count_are_refused():
    with pytest.raises(ValueError, match="is too far for rooms of 1e-300"):
        wifi.generate("paper", 0, room_m=1e-300)


@pytest.mark.parametrize(
    "change",
    [
        {"room_m": 2.0},  # everybody out of range
        {"aps": 1, "ues": 1},
        {"horizon_s": 0.0},
        {"most_subtasks": 1},
        {"prompt_tokens": (0, 0)},
        {"latency_weight_per_s": 0.0},
        {"accuracy_weight": 0.0},
    ],
)
def test_edges_of_what_can_be(change):
    """Every rule decides, and none costs less than the bound."""
    x = wifi.generate("paper", 3, **{"horizon_s": 8.0, **change})
    bound = mecopt.solve(x, time_limit=0.2).bound
    for name in ("whole-local", "nearest-edge", "graph-greedy", "graph-joint-raw"):
        assert mecopt.rollout(x, name).objective >= bound - 1e-9
