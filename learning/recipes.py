"""Every training by name: which module does it, with which settings.

A trainer is a module with a frozen dataclass ``Settings`` and a function
``train(settings, out, *, seed, resume, on_progress) -> Path``; where one module trains several
policies, its dictionary ``RECIPES`` has their settings by name. A further trainer is one more line
here. Equal settings and seeds give equal policies. The function leaves a training folder
(`learning.runs.folder`) at `out` and returns it; `resume` takes an interrupted training up, and
`on_progress` is called with (step, steps in all, figures) at every row of progress.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import fields, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from mecopt import extras

if TYPE_CHECKING:
    from learning.runs.folder import OnProgress


class Trainer(NamedTuple):
    """Module that trains a policy, and the extra that training needs.

    Parameters
    ----------
    module, extra : str
    scenario : str
        Scenario of ``mecopt bench`` that the policy is for; empty for a rule of an auction.
    family : str
        Family of problems that it decides.
    policy : str, optional
        Name under which the trained policy is declared as an entry point: the trainer's own
        unless given, none when empty.
    length : str
        Setting that says how long to train, which ``steps`` stands for.
    """

    module: str
    extra: str
    scenario: str = "comllm"
    family: str = "offloading"
    policy: str | None = None
    length: str = "steps"


#: Trainers by name; `t2drl-ppo` is plain PPO on caches, `ppo` that of offloading.
MODULES = {
    "sft": Trainer("learning.offloading.training.sft", "learning"),
    "sft-lookahead": Trainer("learning.offloading.training.sft", "learning"),
    "sft-values": Trainer("learning.offloading.training.sft", "learning", policy=""),
    "grpo": Trainer("learning.offloading.training.grpo", "learning"),
    "grpo-lambda0": Trainer("learning.offloading.training.grpo", "learning"),
    "grpo-lookahead": Trainer("learning.offloading.training.grpo", "learning"),
    "dqn": Trainer("learning.offloading.training.dqn", "drl"),
    "ppo": Trainer("learning.offloading.training.ppo", "drl"),
    "equivariant": Trainer("learning.offloading.training.cost_vectors", "learning"),
    "equivariant-values": Trainer("learning.offloading.training.cost_vectors", "learning"),
    "mlp": Trainer("learning.offloading.training.cost_vectors", "learning"),
    "smollm2": Trainer("learning.offloading.training.pretrained", "learning,smollm", policy=""),
    "lora-sft": Trainer("learning.offloading.training.pretrained", "learning", policy=""),
    "lora-grpo": Trainer("learning.offloading.training.pretrained", "learning", policy=""),
    "grpo-multi-turn": Trainer("learning.offloading.training.multi_turn", "learning", policy=""),
    "tool-calls": Trainer("learning.offloading.training.tool_calls", "learning", policy=""),
    "t2drl": Trainer("learning.caching.train", "drl", "caching", "caching", length="rollouts"),
    "t2drl-ppo": Trainer(
        "learning.caching.train", "drl", "caching", "caching", "ppo", length="rollouts"
    ),
    "ledrl-prior": Trainer(
        "learning.collaboration.train", "learning", "ledrl", "collaboration", "reflexion"
    ),
    "planner": Trainer(
        "learning.task_graphs.train", "learning", "wifi", "task_graphs", "graph-greedy-distilled"
    ),
    "planner-lora": Trainer(
        "learning.task_graphs.train", "learning", "wifi", "task_graphs", "graph-greedy-distilled"
    ),
    "auctioneer": Trainer("learning.market.train", "learning", "", "market", "dda-learned"),
    **{
        name: Trainer(
            f"learning.collaboration.training.{module}",
            "drl",
            "ledrl",
            "collaboration",
            length="decisions",
        )  # fmt: skip
        for name, module in (
            *(("mappo", "mappo"), ("ledrl", "mappo")),
            *(("vdn", "vdn"), ("masac", "masac")),
        )
    },
}
#: What ``mecopt train`` takes.
NAMES = tuple(MODULES)


def policies(family: str) -> tuple[str, ...]:
    """Names under which the trained policies of a family are declared as entry points."""
    return tuple(
        name if trainer.policy is None else trainer.policy
        for name, trainer in MODULES.items()
        if trainer.family == family and trainer.policy != ""
    )


def module(name: str) -> ModuleType:
    """The module that trains a policy.

    Raises
    ------
    ValueError
        If the name is unknown, or the extra is not installed.
    """
    if name not in MODULES:
        raise ValueError(f"train: unknown {name!r}, one of {', '.join(MODULES)}")
    with _needed(name):
        return import_module(MODULES[name].module)


def _needed(name: str) -> AbstractContextManager[None]:
    return extras.needed(f"train: {name!r}", MODULES[name].extra)


def settings(name: str, changes: Mapping[str, Any] | None = None) -> Any:
    """Settings of a policy, with changes.

    Parameters
    ----------
    name : str
    changes : mapping, optional
        Field -> value; text is read as the field's own type (``"1,2"`` as a tuple). ``trl.FIELD``
        is a field of TRL's configuration (`learning.runs.trl_fields`).

    Raises
    ------
    ValueError
        Unknown fields, unreadable values, and what the settings themselves refuse.
    """
    code = module(name)
    chosen = getattr(code, "RECIPES", {}).get(name) or code.Settings()
    known = {f.name: getattr(chosen, f.name) for f in fields(chosen)}
    new: dict[str, Any] = {}
    for field, value in (changes or {}).items():
        head, dot, inner = field.partition(".")
        if dot and isinstance(known.get(head), Mapping):  # trl.gradient_accumulation_steps=8
            new[head] = {**new.get(head, known[head]), inner: value}
            continue
        if field == "steps":
            field = MODULES[name].length
        if field == "start" and field not in known:
            raise ValueError(f"start: {name} begins with new weights and takes no checkpoint")
        if field not in known:
            raise ValueError(f"{field}: {name} has no such setting, one of {', '.join(known)}")
        new[field] = _read(field, value, known[field]) if isinstance(value, str) else value
    return replace(chosen, **new)


def train(
    name: str,
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    changes: Mapping[str, Any] | None = None,
    on_progress: OnProgress | None = None,
) -> Path:
    """Train a policy, or go on with an interrupted training of the same parameters.

    Returns
    -------
    Path
        The training folder.

    Raises
    ------
    ValueError
        See `settings`; or `out` holds something else, or an extra is not installed.
    OSError
        If it cannot be written.
    """
    wanted = settings(name, changes)
    with _needed(name):
        folder: Path = module(name).train(
            wanted, Path(out), seed=seed, resume=True, on_progress=on_progress
        )
    return folder


def _read(field: str, text: str, now: Any) -> Any:
    """Text as the type of the present value."""
    try:
        if isinstance(now, bool):
            return {"true": True, "false": False}[text.lower()]
        if isinstance(now, tuple):
            kind = type(now[0]) if now else str
            return tuple(kind(part) for part in text.split(","))
        return text if now is None else type(now)(text)
    except (KeyError, ValueError):
        raise ValueError(
            f"{field}: {text!r} cannot be read as {type(now).__name__} (now {now!r})"
        ) from None
