"""The embedded language model: Llama-style, 0.1 M parameters, numbers embedded by their value.

A word such as ``t2.53`` is embedded as its key plus a linear map of Fourier features of its
number, so near numbers are near in the model from the start (with one free vector per number, or
digits as tokens, training takes far longer). Everything else is a stock
`transformers.LlamaForCausalLM`, with its forward pass, caches and `generate`; the head is tied to
the words an answer can be. `initializer_range` is hidden**-0.5: with the usual 0.02 a model this
small stays stuck for minutes.

Importing this module registers the classes, so `AutoModelForCausalLM.from_pretrained` and
`AutoTokenizer.from_pretrained` read its checkpoints.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
)

from learning import vocabulary
from learning.tokenizer import CompactTokenizer

#: Wavelengths of the number features, slots.
_WAVELENGTHS = tuple(float(w) for w in np.geomspace(0.25, 256.0, 16))
N_FEATURES = 2 * len(_WAVELENGTHS) + 1
#: Longest prompt: 30 servers take 128 tokens; position gaps of training stay below this too.
CONTEXT = 160


class TinyConfig(LlamaConfig):
    """Configuration of `TinyForCausalLM`; `vocabulary_size` says which vocabulary it was made for.

    `vocab_size` counts the words it can answer with; prompts also hold quantities.
    """

    model_type = "mecopt-tiny"
    auto_map = {}  # no remote code; TRL asks when it loads a reference model

    def __init__(self, vocabulary_size: int = vocabulary.SIZE, **kwargs: Any) -> None:
        hidden = kwargs.get("hidden_size", 64)
        defaults: dict[str, Any] = {
            "vocab_size": len(vocabulary.WORDS),
            "hidden_size": hidden,
            "intermediate_size": 3 * hidden,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": kwargs.get("num_attention_heads", 4),
            "max_position_embeddings": CONTEXT,
            "initializer_range": hidden**-0.5,
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


class WordEmbedding(nn.Embedding):
    """A vector per word; a quantity is its key plus a linear map of its number's features."""

    def __init__(self, hidden: int) -> None:
        super().__init__(len(vocabulary.WORDS), hidden)
        self.keys = nn.Embedding(len(vocabulary.KEYS), hidden)
        self.number = nn.Linear(N_FEATURES, hidden, bias=False)
        self._features: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def _table(self) -> Tensor:
        weight = self.number.weight
        place = (weight.device, weight.dtype)
        if place not in self._features:
            self._features[place] = number_features().to(*place)
        return self._features[place]

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) tokens -> (B, T, hidden)."""
        n_words = len(vocabulary.WORDS)
        quantity = (ids - n_words).clamp(min=0)
        key = torch.div(quantity, vocabulary.N_NUMBERS, rounding_mode="floor")
        number = self._table()[quantity - key * vocabulary.N_NUMBERS]
        quantities = self.keys(key) + self.number(number)
        words = super().forward(ids.clamp(max=n_words - 1))
        return torch.where((ids < n_words)[..., None], words, quantities)


class TinyForCausalLM(LlamaForCausalLM):
    """Llama with `WordEmbedding`; answers are words of `learning.vocabulary.WORDS`."""

    config_class = TinyConfig

    def __init__(self, config: TinyConfig) -> None:
        super().__init__(config)
        self.model.embed_tokens = WordEmbedding(config.hidden_size)
        self.post_init()


AutoConfig.register(TinyConfig.model_type, TinyConfig)
AutoModelForCausalLM.register(TinyConfig, TinyForCausalLM)
AutoTokenizer.register(TinyConfig, CompactTokenizer)


def create(seed: int, **config: Any) -> TinyForCausalLM:
    """A new model with random weights; `config` overrides fields of `TinyConfig`."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return TinyForCausalLM(TinyConfig(**config))


def load(folder: str | Path) -> TinyForCausalLM:
    """The model of a checkpoint folder.

    Raises
    ------
    ValueError
        If the folder holds no such model, or one of another vocabulary.
    """
    try:
        config = TinyConfig.from_pretrained(folder)
        kind = config.model_type if (Path(folder) / "config.json").exists() else None
    except OSError as error:
        raise ValueError(f"{folder}: no model here ({str(error).splitlines()[0]})") from None
    words = len(vocabulary.WORDS)
    if (config.vocabulary_size, config.vocab_size) != (vocabulary.SIZE, words):
        raise ValueError(
            f"{folder}: {kind} of another vocabulary ({config.vocab_size} words, "
            f"{config.vocabulary_size} in all; this mecopt has {words} and {vocabulary.SIZE})"
        )
    return TinyForCausalLM.from_pretrained(folder).eval()
