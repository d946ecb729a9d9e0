"""The embedded language model: Llama-style, 0.12 M parameters, numbers embedded by their value.

A stock `transformers.LlamaForCausalLM` (its layers, caches, `generate`) but for three things,
without which a model this small needs far more training:

* **Numbers by value.** A word such as ``t2.53`` is embedded as its key plus a linear map of Fourier
  features of its number, so near numbers are near from the start.
* **Lines.** The name that ends a server line is embedded together with the three quantities before
  it: what belongs to which server need not be found out by attention.
* **Positions by kind.** Every word has the position of its kind (``u`` 0, ``c`` 1, ..., ``t`` 7,
  ..., names 10), the same on every line. A prompt with more servers holds no position that a
  shorter one does not, and the order of servers means nothing but for the causal mask.

The head is tied to the words an answer can be. `initializer_range` is hidden**-0.5: with the usual
0.02 a model this small stays stuck for minutes.

Importing this module registers the classes, so `AutoModelForCausalLM.from_pretrained` and
`AutoTokenizer.from_pretrained` read its checkpoints.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaModel,
)
from transformers.cache_utils import Cache
from transformers.modeling_outputs import BaseModelOutputWithPast
from transformers.utils import logging

from learning.language import vocabulary
from learning.language.tokenizer import CompactTokenizer
from learning.language.vocabulary import COMLLM, GRAMMARS, OPTIONS, Grammar
from learning.runs.folder import describe_checkpoint

#: Wavelengths of the number features, slots.
_WAVELENGTHS = tuple(float(w) for w in np.geomspace(0.25, 256.0, 16))
N_FEATURES = 2 * len(_WAVELENGTHS) + 1
#: Longest prompt and answer: 32 servers take 136 tokens.
CONTEXT = 160
HIDDEN, HEADS = 64, 4
_N_WORDS = len(vocabulary.WORDS)
#: What checkpoints call the prompts of a grammar.
_PROMPTS = {COMLLM.name: "compact", OPTIONS.name: "options"}


class TinyConfig(LlamaConfig):
    """Configuration of `TinyForCausalLM`; `vocabulary_size` says which vocabulary it was made for.

    `vocab_size` counts the words it can answer with; prompts also hold quantities.
    """

    model_type = "mecopt-tiny"
    #: No remote code; TRL asks when it loads a reference model.
    auto_map: ClassVar[dict[str, str]] = {}

    def __init__(
        self, vocabulary_size: int | None = None, grammar: str = COMLLM.name, **kwargs: Any
    ) -> None:
        hidden = kwargs.get("hidden_size", HIDDEN)
        known = GRAMMARS.get(grammar, COMLLM)  # `load` refuses others
        defaults: dict[str, Any] = {
            "vocab_size": len(vocabulary.WORDS),
            "hidden_size": hidden,
            "intermediate_size": 3 * hidden,
            "num_hidden_layers": 2,
            "num_attention_heads": HEADS,
            "num_key_value_heads": kwargs.get("num_attention_heads", HEADS),
            "max_position_embeddings": max(CONTEXT, known.longest + 1),
            "initializer_range": hidden**-0.5,
            "rope_parameters": {"rope_type": "default", "rope_theta": 100.0},
            "tie_word_embeddings": True,
            "pad_token_id": vocabulary.WORD_ID[vocabulary.PAD],
            "eos_token_id": vocabulary.WORD_ID[vocabulary.END],
            "bos_token_id": None,
        }
        self.vocabulary_size = vocabulary_size or known.size
        self.grammar = grammar
        super().__init__(**(defaults | kwargs))


def number_features() -> Tensor:
    """(N_NUMBERS, N_FEATURES) features of every number of the grid."""
    value = torch.from_numpy(vocabulary.number_value(np.arange(vocabulary.N_NUMBERS)))
    angle = 2 * torch.pi * value[:, None] / torch.tensor(_WAVELENGTHS, dtype=torch.float64)
    features = [angle.sin(), angle.cos(), (value / 10.0)[:, None]]
    return torch.cat(features, dim=1).float()


def kinds(grammar: Grammar = COMLLM) -> Tensor:
    """(size,) position of every word: its key, then names, ``act``, and everything else."""
    n_keys = len(grammar.keys)
    kind = torch.full((grammar.size,), n_keys + 2)
    kind[vocabulary.FIRST_NAME : _N_WORDS] = n_keys
    kind[vocabulary.WORD_ID[vocabulary.ACT]] = n_keys + 1
    quantities = torch.arange(n_keys).repeat_interleave(vocabulary.N_NUMBERS)
    kind[_N_WORDS:] = quantities
    return kind


class WordEmbedding(nn.Embedding):
    """A vector per word; key and number of a quantity; a name together with its line."""

    def __init__(self, hidden: int, grammar: Grammar = COMLLM) -> None:
        super().__init__(_N_WORDS, hidden)
        self._line_keys = tuple(grammar.keys.index(key) for key in grammar.line_keys)
        self.keys = nn.Embedding(len(grammar.keys), hidden)
        self.number = nn.Linear(N_FEATURES, hidden, bias=False)
        self.line = nn.Linear(len(self._line_keys) * hidden, hidden, bias=False)
        self._features: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def _table(self) -> Tensor:
        weight = self.number.weight
        place = (weight.device, weight.dtype)
        if place not in self._features:
            self._features[place] = number_features().to(*place)
        return self._features[place]

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) tokens -> (B, T, hidden)."""
        quantity = (ids - _N_WORDS).clamp(min=0)
        key = torch.div(quantity, vocabulary.N_NUMBERS, rounding_mode="floor")
        number = self._table()[quantity - key * vocabulary.N_NUMBERS]
        quantities = self.keys(key) + self.number(number)
        words = super().forward(ids.clamp(max=_N_WORDS - 1))
        is_word = ids < _N_WORDS
        embedded = torch.where(is_word[..., None], words, quantities)
        row, end = _line_ends(ids, torch.where(is_word, -1, key), self._line_keys)
        before = range(-len(self._line_keys), 0)
        line = torch.cat([embedded[row, end + i] for i in before], dim=-1)
        return embedded.index_put((row, end), embedded[row, end] + self.line(line))


def _line_ends(ids: Tensor, key: Tensor, line_keys: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Rows and places of the names that end a line (`key` is -1 for words)."""
    n = len(line_keys)
    ends = (ids[:, n:] >= vocabulary.FIRST_NAME) & (ids[:, n:] < _N_WORDS)
    for i, wanted in enumerate(line_keys):
        ends &= key[:, i : key.shape[1] - n + i] == wanted
    row, place = ends.nonzero(as_tuple=True)
    return row, place + n


class TinyModel(LlamaModel):
    """`LlamaModel` with `WordEmbedding`, and positions by kind of word."""

    config_class = TinyConfig

    def __init__(self, config: TinyConfig) -> None:
        super().__init__(config)
        self._grammar = GRAMMARS[config.grammar]
        self.embed_tokens = WordEmbedding(config.hidden_size, self._grammar)
        self._kinds = kinds(self._grammar)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """As `LlamaModel.forward`; `position_ids` are ignored, the words give them."""
        if attention_mask is None and past_key_values is None:
            # Without a mask, positions that repeat would be taken for packed sequences.
            attention_mask = torch.ones_like(input_ids)
        if self._kinds.device != input_ids.device:
            self._kinds = kinds(self._grammar).to(input_ids.device)
        return super().forward(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=self._kinds[input_ids],
            past_key_values=past_key_values,
            **kwargs,
        )


class TinyForCausalLM(LlamaForCausalLM):
    """Llama over `TinyModel`; it answers with one of `vocabulary.WORDS`."""

    config_class = TinyConfig

    def __init__(self, config: TinyConfig) -> None:
        super().__init__(config)
        self.model = TinyModel(config)
        self.post_init()


AutoConfig.register(TinyConfig.model_type, TinyConfig)
AutoModelForCausalLM.register(TinyConfig, TinyForCausalLM)
AutoTokenizer.register(TinyConfig, CompactTokenizer)


def check_size(hidden: int, heads: int = HEADS) -> None:
    """Refuse sizes that the attention cannot have.

    Raises
    ------
    ValueError
        If the heads do not divide the hidden size into even parts (positions turn pairs).
    """
    if hidden < 1 or hidden % (2 * heads):
        raise ValueError(f"hidden = {hidden} must be a multiple of {2 * heads} (2 x {heads} heads)")


def create(seed: int, **config: Any) -> TinyForCausalLM:
    """A new model with random weights; `config` overrides fields of `TinyConfig`.

    Raises
    ------
    ValueError
        See `check_size`.
    """
    check_size(config.get("hidden_size", HIDDEN), config.get("num_attention_heads", HEADS))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return TinyForCausalLM(TinyConfig(**config))


def save(model: TinyForCausalLM, folder: Path, *, marker: str = "language", **fields: Any) -> None:
    """Write a checkpoint that `from_pretrained`, `load` and the policy read.

    `marker` is the kind of policy that reads it, `fields` are further ones of its description.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    CompactTokenizer(grammar=model.config.grammar).save_pretrained(folder)
    described = {"prompts": _PROMPTS[model.config.grammar]} | fields
    describe_checkpoint(folder, marker, **described)


def load(folder: str | Path) -> TinyForCausalLM:
    """The model of a checkpoint folder.

    Raises
    ------
    ValueError
        If the folder holds no such model, or one of another vocabulary.
    """
    logging.disable_progress_bar()  # a line per model otherwise
    try:
        config = TinyConfig.from_pretrained(folder)
        kind = config.model_type if (Path(folder) / "config.json").exists() else None
    except OSError as error:
        raise _none_here(folder, error) from None
    if config.grammar not in GRAMMARS:
        raise ValueError(
            f"{folder}: {kind} of another grammar ({config.grammar!r}; this mecopt has "
            f"{', '.join(GRAMMARS)})"
        )
    words, size = len(vocabulary.WORDS), GRAMMARS[config.grammar].size
    if (config.vocabulary_size, config.vocab_size) != (size, words):
        raise ValueError(
            f"{folder}: {kind} of another vocabulary ({config.vocab_size} words, "
            f"{config.vocabulary_size} in all; this mecopt has {words} and {size})"
        )
    try:
        return TinyForCausalLM.from_pretrained(folder, use_safetensors=True).eval()
    except (OSError, SafetensorError) as error:
        raise _none_here(folder, error) from None


def _none_here(folder: str | Path, error: Exception) -> ValueError:
    return ValueError(f"{folder}: no model here ({str(error).splitlines()[0]})")
