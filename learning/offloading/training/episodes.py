"""Settings of training episodes that no preset has: drawn loads, links, speeds and sizes."""

from __future__ import annotations

from typing import Any

import numpy as np

from mecopt.offloading.scenarios import comllm

#: Settings drawn for one training, each with the same number of states.
DRAWN_SETTINGS = 24


#: Most upload work that users of a drawn setting offer, as a share of what their uplinks carry.
_MOST_LOAD = 1.5


def draw_parameters(rng: np.random.Generator) -> dict[str, Any]:
    """Changes to COMLLM's parameters: load, task sizes, links and server speeds (D).

    The ranges hold every preset but ``very-slow-servers``, and the stress sizes of Table III (2 to
    10 Mbit); arrivals are limited so that uplinks are not hopelessly behind.
    """
    smallest, slowest = rng.uniform(1.5, 5.0), rng.uniform(4.0, 13.0)
    largest, fastest = smallest + rng.uniform(1.0, 8.0), slowest + rng.uniform(4.0, 20.0)
    speed = np.exp(rng.uniform(np.log(0.12), 0.0))
    # Mbit that an uplink carries in a slot, over those of a task
    carried = (slowest + fastest) / (smallest + largest) * comllm.Parameters().slot_s
    return {
        "arrival_probability": float(min(rng.uniform(0.15, 0.55), _MOST_LOAD * carried)),
        "task_mbit": (float(smallest), float(largest)),
        "uplink_mbps": (float(slowest), float(fastest)),
        "server_ghz": (float(20.0 * speed), float(48.0 * speed)),
    }


def draw_sizes(rng: np.random.Generator) -> dict[str, Any]:
    """Numbers of users and servers of an episode (D): 1 to 20, and 3 to 30 with few more likely."""
    return {
        "users": int(rng.integers(1, 21)),
        "servers": int(np.rint(np.exp(rng.uniform(np.log(2.6), np.log(30.4))))),
    }
