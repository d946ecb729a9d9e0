"""Language models that give strategies, by checkpoint, and the policies made of them.

A checkpoint is a folder whose ``mecopt.json`` is of kind ``strategist`` and says whose answers it
stands for: ``"source": "embedded"`` (the small model lies beside it; one is shipped), ``"causal"``
(any causal model of Hugging Face, ``"model"``: known name, folder or name) or ``"endpoint"``
(``"url"`` and ``"model"`` of a served one, as `learning.collaboration.endpoint.Endpoint` takes
them). `describe` writes the last two.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learning import zoo as checkpoints

if TYPE_CHECKING:
    from learning.collaboration.cache import Model
    from mecopt.offloading.policies.protocol import Policy

#: Policies with a strategist alone, and whether their prompts hold what became of earlier tasks.
EVALUATES = {"reflexion": True, "reflexion-no-evaluator": False}
#: Names of these policies.
NAMES = tuple(EVALUATES)
SOURCES = ("embedded", "causal", "endpoint")
#: Kind of such a checkpoint.
KIND = "strategist"


def model(checkpoint: str | os.PathLike[str] | None = None) -> Model:
    """A language model: that of the shipped checkpoint, or of a folder (`learning.zoo.load`).

    Raises
    ------
    ValueError
        If the folder holds none that can be loaded.
    """
    folder = checkpoints.shipped("collaboration", "prior") if checkpoint is None else checkpoint
    assert folder is not None, "comes with the package"
    found: Model = checkpoints.load("collaboration", KIND, folder)
    return found


def load(folder: Path) -> Model:
    """The language model of a checkpoint.

    Raises
    ------
    ValueError
        If there is no such checkpoint, or what it names cannot be used.
    """
    from learning.runs.folder import checkpoint_description
    from mecopt import checkpoints as folders

    found, described = folders.find(folder), checkpoint_description(folder)
    source = described.get("source")
    if source == "embedded":
        return _embedded(found)
    if source == "causal":
        from learning.collaboration.pretrained import CausalModel
        from learning.language import pretrained_models

        name, dtype = described["model"], described.get("dtype", "float32")
        return CausalModel(*pretrained_models.load(name, dtype))
    if source == "endpoint":
        from learning.collaboration.endpoint import Endpoint

        envelope = ("schema", "version", "kind", "source", "seeds")
        return Endpoint(**{k: v for k, v in described.items() if k not in envelope})
    raise ValueError(f"{folder}: source is {source!r}, one of {', '.join(SOURCES)}")


def _embedded(folder: Path) -> Model:
    from learning.collaboration import small_model, words
    from learning.collaboration.embedded import EmbeddedModel
    from learning.language import pretrained_models

    small, tokenizer = pretrained_models.load(str(folder))
    if not isinstance(small, small_model.StrategistForCausalLM):
        raise ValueError(
            f"{folder}: no strategist, its model is of type {small.config.model_type!r}"
        )
    if tokenizer.get_vocab() != words.ID:
        raise ValueError(f"{folder}: trained with other words than this mecopt has")
    return EmbeddedModel(small)


def describe(folder: str | os.PathLike[str], source: str, **fields: Any) -> Path:
    """Write a checkpoint that names a language model elsewhere; returns its folder.

    Parameters
    ----------
    folder : path
    source : {"causal", "endpoint"}
    **fields
        ``model`` and ``dtype``; or those of `learning.collaboration.endpoint.Endpoint`.

    Raises
    ------
    ValueError
        If the source is unknown.
    """
    from learning.runs.folder import describe_checkpoint

    if source not in SOURCES[1:]:
        raise ValueError(f"source: unknown {source!r}, one of {', '.join(SOURCES[1:])}")
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    describe_checkpoint(path, KIND, source=source, **fields)
    return path


def _policy(
    name: str, *, seed: int = 0, checkpoint: str | os.PathLike[str] | None = None, **_: Any
) -> Policy:
    from learning.collaboration.reflexion import Reflexion
    from learning.collaboration.strategist import Strategist

    asked = Strategist(model(checkpoint))
    return Reflexion(asked, seed=seed, evaluator=EVALUATES[name], name=name)


def __getattr__(attribute: str) -> Callable[..., Policy]:
    """The factory that an entry point names."""
    name = attribute.replace("_", "-")
    if name in NAMES:
        return partial(_policy, name)
    raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
