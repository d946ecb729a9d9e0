"""No training reads tuning or test seeds: every collection refuses them."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from learning import seeds
from learning.offloading.training import (
    cost_vectors as cost_training,
)
from learning.offloading.training import (
    grpo,
    multi_turn,
)
from learning.offloading.training import (
    pretrained_rows as pretrained_data,
)


def test_parts_share_no_seed():
    edges = sorted(seeds.PARTS.values())
    assert all(stop <= first for (_, stop), (first, _) in zip(edges, edges[1:], strict=False))
    seeds.check([10_000, 12_345], "train")
    with pytest.raises(ValueError, match=r"seed 9999 is not one of train \(10000"):
        seeds.check([10_000, 9_999], "train")
    with pytest.raises(ValueError, match="part: unknown 'exam'"):
        seeds.check([1], "exam")


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("grpo", 0),
        ("grpo", 1_000),
        ("multi-turn", 0),
        ("pretrained", 1_000),
        ("networks", -(10**6)),
    ],
)
def test_a_collection_that_reads_other_seeds_is_refused(name, first, monkeypatch):
    """With the first training seed moved below the training part, nothing is collected.

    Networks draw their seeds among a million from the first one on.
    """
    monkeypatch.setattr(seeds, "FIRST_TRAINING", first)
    monkeypatch.setattr(multi_turn, "FIRST_SEED", first)
    small = grpo.Settings(
        reward="lacs-lambda0", presets=("paper",), episodes=1, drawn_episodes=0,
        behaviours=("one-step-oracle",),
    )  # fmt: skip
    collections = {
        "grpo": lambda: grpo.collect(small, seed=0),
        "multi-turn": lambda: multi_turn.episodes(multi_turn.Settings(steps=1), seed=0),
        "pretrained": lambda: pretrained_data.collect(4, ("paper",), "lacs-lambda0", seed=0),
        "networks": lambda: cost_training.collect(
            cost_training.EquivariantSettings(
                presets=("paper",), episodes=1, drawn=0, labels="user-values"
            ),
            0,
        ),
    }
    with pytest.raises(ValueError, match="is not one of train"):
        collections[name]()


def test_environments_draw_training_seeds_only():
    pytest.importorskip("gymnasium")
    from learning.offloading.training.environment import ComllmSampler

    with pytest.raises(ValueError, match="seed 0 is not one of train"):
        ComllmSampler(first_seed=0)
    with pytest.raises(ValueError, match="seeds = 0 must be >= 1"):
        ComllmSampler(seeds=0)
