"""Trained policies by name: shipped checkpoints, and folders that `mecopt train` made.

Nothing here imports torch before a policy is asked for. The functions at the end are what
pyproject.toml declares as entry points (`mecopt.plugins`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module, resources
from pathlib import Path

from mecopt import checkpoints
from mecopt.offloading.policies.protocol import Policy

#: Module with ``load(folder) -> Policy`` for each kind of checkpoint, and the extra it needs.
KINDS = {
    "language": ("learning.offloading.policies.language", "learning"),
    "pretrained": ("learning.offloading.training.pretrained", "learning"),
    # Trained with stable-baselines3 or without, they decide as networks of our own.
    "dqn": ("learning.offloading.policies.networks", "learning"),
    "ppo": ("learning.offloading.policies.networks", "learning"),
    "equivariant": ("learning.offloading.policies.networks", "learning"),
    "mlp": ("learning.offloading.policies.networks", "learning"),
}

#: Names of trained policies (docs/learning.md says how each is trained).
NAMES = (
    "sft",
    "sft-lookahead",
    "grpo",
    "grpo-lambda0",
    "grpo-lookahead",
    "dqn",
    "ppo",
    "equivariant",
    "mlp",
)
#: Rules that labels and rewards of training follow; they need no checkpoint.
TEACHERS = (
    "user-values",
    "greedy-lacs",
    "greedy-lacs-lambda0",
    "greedy-lacs-mean",
    "greedy-rollout",
    "greedy-priced",
)


def shipped(name: str) -> Path | None:
    """Folder of the checkpoint that comes with the package; None when there is none."""
    folder = Path(str(resources.files("learning"))) / "offloading" / "checkpoints" / name
    return folder if (folder / checkpoints.MARKER).is_file() else None


def load(name: str, folder: str | os.PathLike[str] | None = None) -> Policy:
    """A trained policy, ready to act; torch computes on one thread from here on.

    Parameters
    ----------
    name : str
        What it is called in tables.
    folder : path, optional
        A checkpoint or a training folder; the shipped checkpoint without.

    Raises
    ------
    ValueError
        If there is no such checkpoint, it is damaged or of an unknown kind, or a package that it
        needs is not installed.
    """
    if folder is None:
        found = shipped(name)
        if found is None:
            raise ValueError(
                f"policy: no checkpoint of {name!r} is shipped; train one with `mecopt train "
                f"{name} --out FOLDER` and give --checkpoint {name}=FOLDER"
            )
    else:
        found = checkpoints.find(folder)
    marker = found / checkpoints.MARKER
    policy = _open(name, str(found), marker.stat().st_mtime_ns)
    policy.name = name
    return policy


@lru_cache(maxsize=32)
def _open(name: str, folder: str, changed_ns: int) -> Policy:
    """Load a checkpoint once per process and name (until its marker changes)."""
    marker = Path(folder) / checkpoints.MARKER
    try:
        kind = json.loads(marker.read_text(encoding="utf-8"))["kind"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{marker}: does not say which kind of policy it is ({error})") from None
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"{marker}: kind is {kind!r}, one of {', '.join(KINDS)}")
    module, extra = KINDS[kind]
    try:
        import torch

        torch.set_num_threads(1)  # decisions are timed on one thread
        if kind in ("language", "pretrained"):
            from transformers.utils import logging

            logging.disable_progress_bar()  # a line per checkpoint otherwise
        reader = import_module(module)
    except ImportError as error:
        raise ValueError(
            f"policy: {name!r} needs the {extra} extra: pip install 'mecopt[{extra}]' ({error})"
        ) from None
    from safetensors import SafetensorError

    try:
        policy: Policy = reader.load(Path(folder))
    except (SafetensorError, RuntimeError, KeyError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"checkpoint: {folder} cannot be loaded ({reason})") from None
    return policy


Factory = Callable[..., Policy]


def _trained(name: str) -> Factory:
    def make(
        *,
        preset: str | None = None,
        seed: int = 0,
        data_dir: str | os.PathLike[str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Policy:
        return load(name, checkpoint)

    make.__doc__ = f"Trained policy `{name}`, shipped or from the folder `checkpoint`."
    return make


def _greedy(reward: str) -> Factory:
    def make(
        *,
        preset: str | None = None,
        seed: int = 0,
        data_dir: str | os.PathLike[str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Policy:
        from learning.offloading.rewards.teachers import GreedyTeacher, make_reward

        _refuse(f"greedy-{reward}", checkpoint)
        return GreedyTeacher(make_reward(reward, seed=seed), f"greedy-{reward}")

    make.__doc__ = f"Greedy teacher of the reward `{reward}` (no training)."
    return make


def user_values(
    *,
    preset: str | None = None,
    seed: int = 0,
    data_dir: str | os.PathLike[str] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Policy:
    """Greedy on own cost plus the values of the user's own queues (no training)."""
    from learning.offloading.rewards.user_values import UserValues

    _refuse("user-values", checkpoint)
    return UserValues()


def _refuse(name: str, checkpoint: str | os.PathLike[str] | None) -> None:
    if checkpoint is not None:
        raise ValueError(f"checkpoint: {name!r} is a rule without parameters to load")


sft = _trained("sft")
sft_lookahead = _trained("sft-lookahead")
grpo = _trained("grpo")
grpo_lambda0 = _trained("grpo-lambda0")
grpo_lookahead = _trained("grpo-lookahead")
dqn = _trained("dqn")
ppo = _trained("ppo")
equivariant = _trained("equivariant")
mlp = _trained("mlp")
checkpoint = _trained("checkpoint")
greedy_lacs = _greedy("lacs")
greedy_lacs_lambda0 = _greedy("lacs-lambda0")
greedy_lacs_mean = _greedy("lacs-mean")
greedy_rollout = _greedy("rollout")
greedy_priced = _greedy("priced")
