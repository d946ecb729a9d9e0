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
from learning.runs.folder import describe_checkpoint

#: Wavelengths of the number features, slots.
_WAVELENGTHS = tuple(float(w) for w in np.geomspace(0.25, 256.0, 16))
N_FEATURES = 2 * len(_WAVELENGTHS) + 1
#: Longest prompt and answer: 32 servers take 136 tokens.
CONTEXT = 160
HIDDEN, HEADS = 64, 4
_N_WORDS = len(vocabulary.WORDS)


class TinyConfig(LlamaConfig):
    """Configuration of `TinyForCausalLM`; `vocabulary_size` says which vocabulary it was made for.

    `vocab_size` counts the words it can answer with; prompts also hold quantities.
    """

    model_type = "mecopt-tiny"
    #: No remote code; TRL asks when it loads a reference model.
    auto_map: ClassVar[dict[str, str]] = {}

    def __init__(self, vocabulary_size: int = vocabulary.SIZE, **kwargs: Any) -> None:
        hidden = kwargs.get("hidden_size", HIDDEN)
        defaults: dict[str, Any] = {
            "vocab_size": len(vocabulary.WORDS),
            "hidden_size": hidden,
            "intermediate_size": 3 * hidden,
            "num_hidden_layers": 2,
            "num_attention_heads": HEADS,
            "num_key_value_heads": kwargs.get("num_attention_heads", HEADS),
            "max_position_embeddings": CONTEXT,
            "initializer_range": hidden**-0.5,
            "rope_parameters": {"rope_type": "default", "rope_theta": 100.0},
            "tie_word_embeddings": True,
            "pad_token_id": vocabulary.WORD_ID[vocabulary.PAD],
            "eos_token_id": vocabulary.WORD_ID[vocabulary.END],
            "bos_token_id": None,
        }
        self.vocabulary_size = vocabulary_size
        super().__init__(**(defaults | kwargs))


def number_features() -> Tensor:
    """(N_NUMBERS, N_FEATURES) features of every number of the grid."""
    value = torch.from_numpy(vocabulary.number_value(np.arange(vocabulary.N_NUMBERS)))
    angle = 2 * torch.pi * value[:, None] / torch.tensor(_WAVELENGTHS, dtype=torch.float64)
    features = [angle.sin(), angle.cos(), (value / 10.0)[:, None]]
    return torch.cat(features, dim=1).float()


def kinds() -> Tensor:
    """(SIZE,) position of every word: its key, then names, ``act``, and everything else."""
    kind = torch.full((vocabulary.SIZE,), len(vocabulary.KEYS) + 2)
    kind[vocabulary.FIRST_NAME : _N_WORDS] = len(vocabulary.KEYS)
    kind[vocabulary.WORD_ID[vocabulary.ACT]] = len(vocabulary.KEYS) + 1
    quantities = torch.arange(len(vocabulary.KEYS)).repeat_interleave(vocabulary.N_NUMBERS)
    kind[_N_WORDS:] = quantities
    return kind


class WordEmbedding(nn.Embedding):
    """A vector per word; key and number of a quantity; a name together with its line."""

    def __init__(self, hidden: int) -> None:
        super().__init__(_N_WORDS, hidden)
        self.keys = nn.Embedding(len(vocabulary.KEYS), hidden)
        self.number = nn.Linear(N_FEATURES, hidden, bias=False)
        self.line = nn.Linear(len(_LINE_KEYS) * hidden, hidden, bias=False)
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
        row, end = _line_ends(ids, torch.where(is_word, -1, key))
        before = range(-len(_LINE_KEYS), 0)
        line = torch.cat([embedded[row, end + i] for i in before], dim=-1)
        return embedded.index_put((row, end), embedded[row, end] + self.line(line))


#: Keys of a server line, in order.
_LINE_KEYS = tuple(vocabulary.KEYS.index(key) for key in vocabulary.SERVER_KEYS)


def _line_ends(ids: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and places of the names that end a server line (`key` is -1 for words)."""
    n = len(_LINE_KEYS)
    ends = (ids[:, n:] >= vocabulary.FIRST_NAME) & (ids[:, n:] < _N_WORDS)
    for i, wanted in enumerate(_LINE_KEYS):
        ends &= key[:, i : key.shape[1] - n + i] == wanted
    row, place = ends.nonzero(as_tuple=True)
    return row, place + n


class TinyModel(LlamaModel):
    """`LlamaModel` with `WordEmbedding`, and positions by kind of word."""

    config_class = TinyConfig

    def __init__(self, config: TinyConfig) -> None:
        super().__init__(config)
        self.embed_tokens = WordEmbedding(config.hidden_size)
        self._kinds = kinds()
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
            self._kinds = kinds().to(input_ids.device)
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


def save(model: TinyForCausalLM, folder: Path, **fields: Any) -> None:
    """Write a checkpoint that `from_pretrained`, `load` and the policy read.

    `fields` are further ones of its description.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    CompactTokenizer().save_pretrained(folder)
    describe_checkpoint(folder, "language", prompts="compact", **fields)


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
    words = len(vocabulary.WORDS)
    if (config.vocabulary_size, config.vocab_size) != (vocabulary.SIZE, words):
        raise ValueError(
            f"{folder}: {kind} of another vocabulary ({config.vocab_size} words, "
            f"{config.vocabulary_size} in all; this mecopt has {words} and {vocabulary.SIZE})"
        )
    try:
        return TinyForCausalLM.from_pretrained(folder, use_safetensors=True).eval()
    except (OSError, SafetensorError) as error:
        raise _none_here(folder, error) from None


def _none_here(folder: str | Path, error: Exception) -> ValueError:
    return ValueError(f"{folder}: no model here ({str(error).splitlines()[0]})")
