"""Permutation-equivariant network trained on cost vectors: any number of servers, any order.

    >>> from pathlib import Path
    >>> from learning import equivariant
    >>> folder = equivariant.train(equivariant.Settings(), Path("run"), seed=0)  # doctest: +SKIP
    >>> policy = equivariant.load(folder)  # doctest: +SKIP

Network: `learning.offloading.policies.networks.EquivariantNet`. Training:
`learning.offloading.training.cost_vectors`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from learning.offloading.policies import networks
from learning.offloading.policies.networks import EquivariantNet, NetworkPolicy
from learning.offloading.training import cost_vectors as cost_training
from learning.runs.folder import OnProgress


@dataclass(frozen=True)
class Settings(cost_training.Settings):
    """Settings of `cost_training`; few and many servers beside the published six."""

    servers: tuple[int, ...] = (3, 6, 6, 11)
    episodes: int = 20


def train(
    settings: Settings,
    out: Path,
    *,
    seed: int,
    resume: bool = False,
    on_progress: OnProgress | None = None,
) -> Path:
    """Train into a run folder; arguments as in `cost_training.train`."""
    return cost_training.train(
        "equivariant",
        lambda: EquivariantNet(settings.hidden),
        settings,
        out,
        seed=seed,
        resume=resume,
        on_progress=on_progress,
    )


def load(folder: str | os.PathLike[str]) -> NetworkPolicy:
    """The policy of a checkpoint or run folder; raises ValueError when there is none."""
    return networks.load(folder)
