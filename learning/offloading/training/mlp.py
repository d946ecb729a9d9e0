"""Fixed multilayer perceptron over six servers, trained on cost vectors: the plain baseline.

    >>> from pathlib import Path
    >>> from learning import mlp
    >>> folder = mlp.train(mlp.Settings(), Path("run"), seed=0)  # doctest: +SKIP
    >>> policy = mlp.load(folder)  # doctest: +SKIP

Network: `learning.offloading.policies.networks.FixedNet`, which says what happens with other
numbers of servers. Training: `learning.offloading.training.cost_vectors`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from learning.offloading.policies import networks
from learning.offloading.policies.networks import FixedNet, NetworkPolicy
from learning.offloading.training import cost_vectors as cost_training
from learning.runs.folder import OnProgress


@dataclass(frozen=True)
class Settings(cost_training.Settings):
    """Settings of `cost_training`, with a wider network."""

    servers: tuple[int, ...] = (3, 4, 5, 6, 6, 6)
    episodes: int = 15
    hidden: int = 96
    steps: int = 8000


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
        "mlp",
        lambda: FixedNet(max(settings.servers), settings.hidden),
        settings,
        out,
        seed=seed,
        resume=resume,
        on_progress=on_progress,
    )


def load(folder: str | os.PathLike[str]) -> NetworkPolicy:
    """The policy of a checkpoint or run folder; raises ValueError when there is none."""
    return networks.load(folder)
