"""Trainings that diverge: one check of weights and of what a network says, for every trainer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any


class TrainingDiverged(ValueError):
    """A logged number or a weight is not finite; the run keeps its last good state."""


def check(step: int, weights: Iterable[tuple[str, Any]], kept: str = "") -> None:
    """Refuse weights (name, tensor) that no training can go on from.

    Parameters
    ----------
    step : int
        After which they are as they are.
    weights : iterable of (str, Tensor)
    kept : str
        What is left to go on from, the end of the message.

    Raises
    ------
    TrainingDiverged
        If one is not finite.
    """
    for name, tensor in weights:
        if not bool(tensor.isfinite().all()):
            raise TrainingDiverged(f"weights are not finite after step {step} ({name}){kept}")


@contextmanager
def watch(
    networks: Iterable[Any], step: Callable[[], int], kept: Callable[[], str] = lambda: ""
) -> Iterator[None]:
    """Stop a training at the first output of its networks that is not finite.

    Libraries go on with such numbers until something else fails, far from the cause. Weights that
    are finite but beyond all measure do not give finite outputs either.

    Parameters
    ----------
    networks : iterable of torch.nn.Module
        Their outputs are tensors, or those of language models.
    step : callable
        The steps done so far.
    kept : callable
        The end of the message (`check`).

    Raises
    ------
    TrainingDiverged
        Within the block.
    """
    watched = list(networks)

    def look(network: Any, given: Any, output: Any) -> None:
        if not bool(_numbers(output).isfinite().all()):
            check(step(), network.named_parameters(), kept())
            raise TrainingDiverged(
                f"outputs are not finite after step {step()}, the weights are too large{kept()}"
            )

    with ExitStack() as hooks:
        for network in watched:
            hooks.callback(network.register_forward_hook(look).remove)
        yield


def _numbers(output: Any) -> Any:
    """The tensor of an output: itself, its logits, or the loss where TRL keeps no more."""
    found = (getattr(output, name, None) for name in ("logits", "loss"))
    return next((tensor for tensor in found if tensor is not None), output)
