"""Decisions per second through the environments of offloading, one core.

    OMP_NUM_THREADS=1 nice -n -15 python -m benchmarks.learning.environment [--seconds 3]

COMLLM episodes of training seeds (paper, busy and large, six servers), random allowed actions; all
users' decisions or one user's. *single* is one `OffloadingEnv`, *vector* 64 places of
`OffloadingVectorEnv`, with the time in which actions are drawn and without. Writes
``results/learning_environment.json``; seconds are CPU seconds of this process, the best of three
tries.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from benchmarks.common import write
from learning.offloading.training.environment import make
from learning.offloading.training.environment_vector import make_vec

PLACES = 64


def single(seconds: float, **settings: Any) -> dict[str, float]:
    """Steps per second of one environment, resets included."""
    env, rng = make(**settings), np.random.default_rng(0)
    env.reset(seed=0)
    env.step(0)
    steps, over = 0, True
    begin = time.process_time()
    while time.process_time() - begin < seconds:
        if over:
            env.reset()
        action = int((rng.random(13) * env.action_masks()).argmax())
        _, _, over, _, _ = env.step(action)
        steps += 1
    return {"steps_per_second": steps / (time.process_time() - begin)}


def vector(seconds: float, **settings: Any) -> dict[str, float]:
    """Steps per second of all places together."""
    envs, rng = make_vec(PLACES, **settings), np.random.default_rng(0)
    envs.reset(seed=0)
    envs.step(envs.action_masks().argmax(axis=1))
    steps, inside = 0, 0.0
    begin = time.process_time()
    while time.process_time() - begin < seconds:
        masks = envs.action_masks()
        actions = (rng.random(masks.shape, dtype=np.float32) * masks).argmax(axis=1)
        before = time.process_time()
        envs.step(actions)
        inside += time.process_time() - before
        steps += PLACES
    spent = time.process_time() - begin
    return {"steps_per_second": steps / spent, "without_actions": steps / inside}


def main() -> None:
    """Measure both environments three times each, keep the best."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    asked = parser.parse_args()
    found: dict[str, Any] = {}
    for users, one in (("all users", False), ("one user", True)):
        for name, measure in (("single", single), ("vector", vector)):
            tries = [measure(asked.seconds, single_user=one) for _ in range(3)]
            best = max(tries, key=lambda of: of["steps_per_second"])
            found[f"{name}, {users}"] = best
            print(name, users, {k: round(v) for k, v in best.items()}, flush=True)
    print(write("learning_environment", {"places": PLACES, "decisions": found}))


if __name__ == "__main__":
    main()
