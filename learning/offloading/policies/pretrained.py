"""A pretrained language model as a policy: answers scored or generated.

The prompt ends with ``Answer:``; an answer is a blank and the name of an option, or its name alone
within a chat template (`learning.language.chat`). *Scored*: the
probability of every option's name, so every answer is valid; keys and values of the state are
computed once for all of them. *Generated*: greedy decoding, read by the strict parser; an answer
that names no option drops the task and counts against `parse_rate`. The fixed instructions come
first, and their keys and values are computed once and reused for every state.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning.language import parsing, pretrained_models
from learning.language.chat import Frame, frame_of
from learning.language.greedy import end_tokens
from learning.offloading.prompts import forms_compact_natural as prompts
from learning.offloading.prompts.forms_brief import form_named
from learning.offloading.states.decision_states import OneByOne, States
from learning.runs.folder import checkpoint_description
from mecopt import checkpoints
from mecopt.offloading.instance import OffloadingInstance

MODES = ("score", "generate")
#: Tokens a generated answer may have.
ANSWER_TOKENS = 6


class _Read(NamedTuple):
    """Prompts that a model has read.

    Parameters
    ----------
    first : (B, words) Tensor
        Logits of the first token of the answer.
    cache
        Keys and values of the prompts.
    mask : (B, T) Tensor
    end : (B,) Tensor
        Position of the first token of the answer.
    """

    first: Tensor
    cache: Any
    mask: Tensor
    end: Tensor


class PretrainedPolicy(OneByOne):
    """Decides with a causal language model.

    Parameters
    ----------
    model, tokenizer
        A `transformers` causal model and its tokenizer (padding on the left).
    mode : {"score", "generate"}
    form : str
        One of `learning.offloading.prompts.forms_brief.FORMS`.
    batch : int
        States per forward pass.
    chat : bool
        Ask within the tokenizer's chat template, where it has one.
    device : str, optional
        Where the model computes; the GPU where there is one unless given. A model that is spread
        over devices already, or quantised, stays where it is.

    Raises
    ------
    ValueError
        Unknown mode or form.
    """

    name = "pretrained"

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        mode: str = "score",
        form: str = "natural",
        batch: int = 4,
        chat: bool = False,
        device: str | None = None,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode: unknown {mode!r}, one of {', '.join(MODES)}")
        self.form = form_named(form)
        self.frame = frame_of(tokenizer) if chat else Frame()
        if not (getattr(model, "hf_device_map", None) or getattr(model, "is_quantized", False)):
            model = model.to(device or pretrained_models.device())
        self.model, self.tokenizer, self.mode, self.batch = model.eval(), tokenizer, mode, batch
        self._prefix: dict[tuple[str, int], tuple[int, Any]] = {}
        self._parsed: list[parsing.Parsed] = []

    @property
    def reads_words(self) -> bool:
        """Whether other wording (`prompts.perturbations`) is something that it can meet."""
        return self.form.wordings > 1

    @property
    def parse_rate(self) -> float:
        """Share of generated answers since `reset` that named a valid option; 1 when scored."""
        return parsing.parse_rate(self._parsed) if self.mode == "generate" else 1.0

    def reset(self, instance: OffloadingInstance) -> None:
        """Forget the answers counted so far."""
        self._parsed = []

    def decide(self, found: States) -> NDArray[np.int64]:
        """(B,) option index of each state."""
        naming = prompts.in_order(found)
        if self.mode == "score":
            return np.asarray(self.scores(found, naming).argmax(axis=1))
        drop = found.n_servers + 1
        read = [
            parsing.parse(answer, self.form.option_names(naming, i))
            for i, answer in enumerate(self.generate(found, naming))
        ]
        self._parsed += read
        return np.array([drop if p.option is None else p.option for p in read])

    # ------------------------------------------------------------------------------- generated
    @torch.inference_mode()
    def generate(self, found: States, naming: prompts.Naming) -> list[str]:
        """What the model writes after each prompt, greedily."""
        out: list[str] = []
        for texts, _ in self._batches(found, naming, "slots", 0):
            tokens = self._write(self._read(texts, "slots", 0))
            # An instruction-tuned model may go on after a line break; its answer is the first line.
            written = self.tokenizer.batch_decode(tokens, skip_special_tokens=True)
            out += [text.lstrip().split("\n")[0] for text in written]
        return out

    def _write(self, read: _Read) -> Tensor:
        """(B, T) likeliest tokens one after the other."""
        mask, device, stop = read.mask, self.model.device, self.tokenizer.pad_token_id
        ends = torch.tensor(end_tokens(self.model, self.tokenizer))
        token = read.first.argmax(dim=-1)
        written, ended = [token], torch.isin(token, ends)
        while len(written) < ANSWER_TOKENS and not ended.all():
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
            output = self.model(
                input_ids=token[:, None].to(device),
                attention_mask=mask.to(device),
                position_ids=(read.end + len(written) - 1)[:, None].to(device),
                past_key_values=read.cache,
            )
            token = output.logits[:, -1].argmax(dim=-1).cpu().masked_fill(ended, stop)
            written.append(token)
            ended |= torch.isin(token, ends)
        return torch.stack(written, dim=1)

    # ---------------------------------------------------------------------------------- scored
    @torch.inference_mode()
    def scores(
        self, found: States, naming: prompts.Naming, *, units: str = "slots", wording: int = 0
    ) -> NDArray[np.float64]:
        """(B, J + 2) log-probability of every option's name, -inf where there is no option.

        `units` and `wording` are those of `learning.offloading.prompts.forms_brief.Form`.
        """
        parts = []
        for texts, names in self._batches(found, naming, units, wording):
            parts.append(self._score_options(self._read(texts, units, wording), names))
        return np.concatenate(parts)

    # ------------------------------------------------------------------------------------ both
    def _batches(
        self, found: States, naming: prompts.Naming, units: str, wording: int
    ) -> Iterator[tuple[list[str], list[list[str]]]]:
        """Texts and answers of the options, `batch` states at a time."""
        after = self.frame.after
        texts = [text + after for text in self.form.texts(found, naming, units, wording)]
        names = [
            [self.frame.answer(name) for name in self.form.option_names(naming, i)]
            for i in range(len(found))
        ]
        for i in range(0, len(texts), self.batch):
            yield texts[i : i + self.batch], names[i : i + self.batch]

    def _instructions(self, units: str, wording: int) -> tuple[int, Any]:
        """Length of the fixed instructions in tokens, and their keys and values."""
        if (units, wording) not in self._prefix:
            text = self.frame.before + self.form.instructions(units, wording)
            ids = self.tokenizer(text, return_tensors="pt")["input_ids"]
            output = self.model(ids.to(self.model.device), use_cache=True, logits_to_keep=1)
            self._prefix[units, wording] = ids.shape[1], output.past_key_values
        return self._prefix[units, wording]

    def _read(self, texts: list[str], units: str, wording: int) -> _Read:
        """Read prompts of which the instructions are known."""
        length, prefix = self._instructions(units, wording)
        device = self.model.device
        given = self.tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        ids, real = given["input_ids"], given["attention_mask"]
        self._refuse_long(length + ids.shape[1])
        mask = torch.cat([torch.ones(len(texts), length, dtype=torch.long), real], dim=1)
        position = length + (real.cumsum(dim=1) - 1).clamp(min=0)
        cache = copy.deepcopy(prefix)
        cache.batch_repeat_interleave(len(texts))
        output = self.model(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            position_ids=position.to(device),
            past_key_values=cache,
            logits_to_keep=1,
        )
        first = output.logits[:, -1].cpu()
        return _Read(first, output.past_key_values, mask, length + real.sum(1))

    def _score_options(self, read: _Read, names: list[list[str]]) -> NDArray[np.float64]:
        """(B, J + 2) log-probabilities of the names after prompts that were read."""
        first = read.first.float().log_softmax(dim=-1)
        width = len(names[0])
        flat = [name or names[0][0] for row in names for name in row]
        words = [self.tokenizer(name, add_special_tokens=False)["input_ids"] for name in flat]
        longest = max(map(len, words))
        pad = self.tokenizer.pad_token_id
        ids = torch.tensor([row + [pad] * (longest - len(row)) for row in words])
        known = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in words])
        total = first.repeat_interleave(width, dim=0).gather(1, ids[:, :1])[:, 0]
        if longest > 1:
            read.cache.batch_repeat_interleave(width)
            device = self.model.device
            before = read.mask.repeat_interleave(width, dim=0)
            position = read.end.repeat_interleave(width)[:, None] + torch.arange(longest - 1)
            output = self.model(
                input_ids=ids[:, :-1].to(device),
                attention_mask=torch.cat([before, known[:, :-1]], dim=1).to(device),
                position_ids=position.to(device),
                past_key_values=read.cache,
            )
            logps = output.logits.float().log_softmax(dim=-1).cpu()
            later = logps.gather(2, ids[:, 1:, None])[..., 0]
            total = total + (later * known[:, 1:]).sum(dim=1)
        score = total.double().reshape(-1, width).numpy()
        absent = np.array([[not name for name in row] for row in names])
        return np.where(absent, -np.inf, score)

    def _refuse_long(self, tokens: int) -> None:
        context = getattr(self.model.config, "max_position_embeddings", None)
        if context is not None and tokens + ANSWER_TOKENS > context:
            raise ValueError(f"prompt: {tokens} tokens, the model's context holds {context}")


def load(folder: Path) -> PretrainedPolicy:
    """The policy of a checkpoint of `learning.offloading.training.pretrained`.

    Raises
    ------
    ValueError
        If there is no such checkpoint, or its base model cannot be found, has another vocabulary
        or does not fit the adapter.
    """
    found, described = checkpoints.find(folder), checkpoint_description(folder)
    model, tokenizer = pretrained_models.load_adapted(found, described["base"], described["dtype"])
    return PretrainedPolicy(
        model,
        tokenizer,
        mode=described.get("mode", "score"),
        form=described.get("form", "natural"),
        chat=described.get("chat", False),
    )
