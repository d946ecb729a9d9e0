"""TRL's GRPO trainer for answers of one word: one forward pass samples, one scores a whole group.

`trl.GRPOTrainer` samples with `generate`, and then runs every prompt of a group through the model
once per answer. When an answer is one token both are waste: the logits at the end of the prompt
give the whole distribution, and the answers of a group share them. `OneWordGRPOTrainer` changes
just that (TRL's rollout hook, and the method that scores tokens); sampling, rewards, advantages,
clipping, KL and logging stay TRL's.

Sampled groups are the published form (DeepSeekMath, arXiv 2402.03300). As all options of a state
are costed anyway, *exact* groups are an option: the group enumerates the options and the advantage
of option a is weighted with its probability, so that the gradient is that of the expectation

.. math::

    \\nabla \\sum_a \\pi(a)\\, (r(a) - r_0), \\qquad r_0 = \\text{reward of no option},

without sampling noise; it is divided by the standard deviation of the reward under the policy. With
an entropy bonus of coefficient :math:`\\tau` the gradient is, undivided, that of

.. math:: \\sum_a \\pi(a)\\, (r(a) - r_0 - \\tau \\log \\pi(a)),

whose best policy is softmax(r / tau): no option is ever forgotten.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from trl import GRPOTrainer


class Options(NamedTuple):
    """Tokens of the options of a prompt, and the reward of an answer that is none of them."""

    ids: list[int]
    none_reward: float


class OneWordGRPOTrainer(GRPOTrainer):
    """GRPO over one-token answers.

    Parameters
    ----------
    prompt_ids : dict from str to list of int
        Tokens of every prompt, without padding.
    exact : dict from str to Options, optional
        Options of every prompt: groups are exact then. A prompt with fewer options than the group
        is large repeats the last one; repetitions get no weight.
    entropy_slots : float
        Coefficient of the entropy bonus with exact groups, slots per nat.
    **kwargs
        Of `trl.GRPOTrainer`.
    """

    def __init__(
        self,
        *args: Any,
        prompt_ids: dict[str, list[int]],
        exact: dict[str, Options] | None = None,
        entropy_slots: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self._prompt_ids, self._exact, self._entropy = prompt_ids, exact, entropy_slots
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the hook is experimental; TRL is pinned
            super().__init__(*args, rollout_func=self._rollout, **kwargs)

    def get_train_dataloader(self) -> Any:
        """TRL's; on a CPU without the walk over every cell of a batch that moves tensors."""
        loader = super().get_train_dataloader()
        if self.accelerator.device.type == "cpu":
            loader.device = None  # a fifth of a step went into it: rows are texts and costs
        return loader

    def _rollout(self, prompts: list[str], trainer: GRPOTrainer) -> dict[str, Any]:
        """Answers to a list of prompts in which the members of a group stand side by side."""
        size = self.num_generations if self.model.training else self.num_generations_eval
        groups = prompts[::size]
        ids = [self._prompt_ids[text] for text in groups]
        with torch.no_grad():
            logps = self._next_word(self.model, self._padded(ids))
        if self._exact is None:
            # (groups, size) draws from the policy
            drawn = torch.multinomial(logps.exp(), size, replacement=True)
        else:
            drawn = torch.tensor([_filled(self._exact[text].ids, size) for text in groups])
        chosen = logps.gather(1, drawn).reshape(-1, 1)
        return {
            "prompt_ids": [row for row in ids for _ in range(size)],
            "completion_ids": drawn.reshape(-1, 1).tolist(),
            "logprobs": chosen.tolist(),
        }

    def _padded(self, ids: list[list[int]]) -> Tensor:
        """(B, T) tokens padded on the left."""
        width = max(map(len, ids))
        pad = self.processing_class.pad_token_id
        return torch.tensor([[pad] * (width - len(row)) + row for row in ids])

    def _next_word(self, model: Any, ids: Tensor) -> Tensor:
        """(B, words) log-probabilities of the word after each prompt, temperature applied."""
        mask = (ids != self.processing_class.pad_token_id).long()
        logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=1).logits[:, -1]
        return (logits / self.temperature).log_softmax(dim=-1)

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None, None]:
        """(B, T) log-probabilities and entropies of answers, 0 where there is none (`_answers`)."""
        logps, answer, placed = self._answers(model, input_ids, attention_mask, logits_to_keep)
        entropy = None
        if compute_entropy:
            entropy = placed(-(logps.exp() * logps).sum(dim=-1).detach())
        return placed(logps.gather(1, answer)[:, 0]), entropy, None

    def _answers(
        self, model: Any, input_ids: Tensor, attention_mask: Tensor, logits_to_keep: int
    ) -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]:
        """Score the answers of a batch; rows with one prompt share a forward pass.

        Returns
        -------
        logps : (N, words) Tensor
            Log-probabilities of the word after the prompt of each answer.
        answer : (N, 1) Tensor
        placed : callable
            (N,) numbers of the answers -> (B, T) numbers of the words that TRL asks for.
        """
        if logits_to_keep != 1:
            raise ValueError(f"answers must be one token, got {logits_to_keep}")
        ids, where = torch.unique(input_ids[:, :-1], dim=0, return_inverse=True)
        return self._next_word(model, ids)[where], input_ids[:, -1:], lambda value: value[:, None]

    # ------------------------------------------------------------------------------ exact groups
    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> Tensor:
        self._rewards = super()._calculate_rewards(*args, **kwargs)
        return self._rewards

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if self._exact is not None and self.model.training:
            size = self.num_generations
            nothing = [self._exact[row["prompt"]].none_reward for row in inputs[::size]]
            answer = output["completion_ids"].reshape(-1, size)
            share = output["sampling_per_token_logps"].reshape(-1, size).exp()
            share = share * _first_of_equals(answer)
            reward = self._rewards.sum(dim=1).reshape(-1, size)
            output["advantages"] = exact_advantages(
                reward,
                share,
                torch.tensor(nothing, dtype=reward.dtype),
                entropy_slots=self._entropy,
            ).reshape(-1)
        return output


def exact_advantages(
    reward: Tensor, share: Tensor, none_reward: Tensor, *, entropy_slots: float = 0.0
) -> Tensor:
    """(groups, options) advantages whose mean over a group is the exact policy gradient.

    Parameters
    ----------
    reward : (groups, options) Tensor
        Slots.
    share : (groups, options) Tensor
        Probability of each option; what is missing to 1 goes to answers that are no option. 0
        leaves a column out.
    none_reward : (groups,) Tensor
        Reward of those, slots.
    entropy_slots : float
        Coefficient of the entropy bonus, slots per nat; above 0 advantages are slots, not scaled.
    """
    above = reward - none_reward[:, None]
    if entropy_slots > 0:
        # d(-pi log pi) = -(1 + log pi) d pi
        return reward.shape[1] * share * (above - entropy_slots * (1 + share.clamp(1e-9).log()))
    mean = (share * above).sum(dim=1, keepdim=True)
    rest = (1 - share.sum(dim=1, keepdim=True)).clamp(min=0)
    variance = (share * (above - mean) ** 2).sum(dim=1, keepdim=True) + rest * mean**2
    return reward.shape[1] * share * above / (variance.sqrt() + 1e-4)


def _filled(options: list[int], size: int) -> list[int]:
    """Options repeated up to the size of a group."""
    if len(options) > size:
        raise ValueError(f"group = {size} is smaller than the {len(options)} options of a state")
    return options + options[-1:] * (size - len(options))


def _first_of_equals(answer: Tensor) -> Tensor:
    """(groups, size) 1 where the answer does not stand further left already."""
    same = answer[:, :, None] == answer[:, None, :]
    earlier = torch.ones_like(same).tril(diagonal=-1)
    return (~(same & earlier).any(dim=2)).float()
