"""Trained caching policies by name: what pyproject.toml declares as entry points."""

from __future__ import annotations

import os
from collections.abc import Callable

from learning.t2drl import policy

#: Presets with checkpoints of their own; every other preset uses those of the first.
TRAINED_ON = ("ten", "sticky")

Factory = Callable[..., policy.LearnedPolicy]


def _factory(name: str) -> Factory:
    def make(
        *,
        preset: str | None = None,
        seed: int = 0,
        data_dir: str | os.PathLike[str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> policy.LearnedPolicy:
        if checkpoint is not None:
            made = policy.load(checkpoint)
        else:
            made = policy.shipped(name, preset if preset in TRAINED_ON else TRAINED_ON[0])
        made.seed = seed
        return made

    make.__doc__ = f"Trained policy `{name}`, shipped or from the folder `checkpoint`."
    return make


t2drl = _factory("t2drl")
ppo = _factory("ppo")
checkpoint = _factory("checkpoint")
