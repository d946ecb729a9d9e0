"""Model cards of adapters: what was trained on what, written by the training itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What each setting of the second list stands in the card as; those that are empty are left out.
_SAID = ("reward", "loss", "form", "mode", "rank", "batch", "accumulation", "quantise", "start")


def adapter_card(settings: Any, seed: int, described: Mapping[str, Any]) -> str:
    """Markdown of the card of a LoRA adapter.

    Parameters
    ----------
    settings : learning.offloading.training.pretrained.Settings
    seed : int
    described : mapping
        What ``mecopt.json`` of the checkpoint says.
    """
    first, last = described["seeds"]["train"]
    chat = "the tokenizer's, around every prompt" if described["chat"] else "none"
    rows = {
        "base model": f"`{described['base']}`, {described['dtype']}",
        "trained by": f"{settings.method.upper()} with TRL, LoRA, training seed {seed}",
        "data": f"{settings.states} decision states of {', '.join(settings.presets)}, seeds "
        f"{first} to {last}",
        "training": f"{settings.updates} updates, learning rate {settings.rate:g}",
        "chat template": chat,
        **{name: str(value) for name in _SAID if (value := getattr(settings, name))},
        **{f"trl.{name}": str(value) for name, value in settings.trl.items()},
    }
    if settings.method == "grpo":
        rows.pop("loss")
        rows["reward"] = ", ".join(settings.reward_functions) or settings.reward
    table = "".join(f"| {name} | {text} |\n" for name, text in rows.items())
    return (
        f"# {settings.method} adapter\n\n"
        "Task offloading as text: the model reads the queues that a task meets and answers with "
        "the place that serves it (mecopt, `learning.offloading.training.pretrained`).\n\n"
        f"| | |\n|---|---|\n{table}\n"
        "Its seeds are training seeds: measure it on seeds below 1000 (`mecopt bench comllm "
        "--policies checkpoint --checkpoint checkpoint=FOLDER`). Figures hold for the weights they "
        "were measured on; repeat a training with several seeds before comparing.\n"
    )
