"""Trained caching policies by name: what pyproject.toml declares as entry points."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch

from learning.caching.policy import PRESETS, LearnedPolicy, Shipped, load

Factory = Callable[..., LearnedPolicy | Shipped]


def _factory(name: str) -> Factory:
    def make(
        *,
        preset: str | None = None,
        seed: int = 0,
        data_dir: str | os.PathLike[str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> LearnedPolicy | Shipped:
        torch.set_num_threads(1)  # decisions are timed on one thread
        if checkpoint is None:
            return Shipped(name, preset if preset in PRESETS else None, seed)
        policy = load(checkpoint)
        policy.seed = seed
        return policy

    make.__doc__ = f"Trained policy `{name}`, shipped or from the folder `checkpoint`."
    return make


t2drl = _factory("t2drl")
ppo = _factory("ppo")
checkpoint = _factory("checkpoint")
