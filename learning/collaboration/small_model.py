"""The small strategist: a stock Llama but for its words, which it embeds by number and by line.

* **Numbers in order.** A new model's quantities are a vector of their key plus features of their
  number, so near numbers are near from the start.
* **Lines.** The letter that ends a line is embedded together with the words of its line: what
  belongs to which candidate need not be found out by attention (as in
  `learning.language.tiny_model`).

Importing this module registers the classes with the Auto classes of `transformers`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaModel,
)

from learning.collaboration import words
from learning.collaboration.memory import CAUSES
from learning.language import tiny_model

#: Words of the longest line, its letter left out.
_PLACES = words.LINE + words.SENTENCE


class StrategistConfig(LlamaConfig):
    """Configuration of `StrategistForCausalLM`."""

    model_type = "mecopt-strategist"
    #: No remote code.
    auto_map: ClassVar[dict[str, str]] = {}


class LineEmbedding(nn.Embedding):
    """A vector per word; a letter together with its line."""

    def __init__(self, hidden: int) -> None:
        super().__init__(len(words.WORDS), hidden)
        self.line = nn.Linear(_PLACES * hidden, hidden, bias=False)
        self._kinds: dict[torch.device, Tensor] = {}

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) tokens -> (B, T, hidden)."""
        embedded = super().forward(ids)
        if ids.device not in self._kinds:
            self._kinds[ids.device] = kinds().to(ids.device)
        row, end, places, there = line_words(self._kinds[ids.device][ids])
        line = (embedded[row[:, None], places] * there[..., None]).flatten(1)
        return embedded.index_put((row, end), embedded[row, end] + self.line(line))


#: Kinds of words that tell lines apart.
_OTHER, _LETTER, _UP, _LAST, _CAUSE, _SHARE = range(6)


def kinds() -> Tensor:
    """(words,) kind of every word: where lines end is seen from these."""
    kind = torch.full((len(words.WORDS),), _OTHER)
    for i, word in enumerate(words.WORDS):
        if word in words.LETTERS:
            kind[i] = _LETTER
        elif word in (words.UP, words.AWAY):
            kind[i] = _UP
        elif word in CAUSES:
            kind[i] = _CAUSE
    for key, of in (("g", _LAST), ("s", _SHARE)):
        first = words.FIRST[key]
        kind[first : first + len(words.VALUES[key])] = of
    return kind


def line_words(kind: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Letters that end a line, and where the words of each line stand.

    Parameters
    ----------
    kind : (B, T) int
        Of each word.

    Returns
    -------
    row, end : (n,) int
        Of the letters.
    places : (n, 11) int
        Of the words of a neighbour's line, in their order, and of a sentence.
    there : (n, 11) bool
        Which of these there are: the node itself has no link.
    """
    row, end = (kind == _LETTER).nonzero(as_tuple=True)

    def at(back: Tensor | int) -> Tensor:
        return kind[row, (end - back).clamp(min=0)]

    said = (at(1) == _SHARE) & (at(2) == _CAUSE)
    shift = 1 + words.SENTENCE * said.long()
    neighbour, own = at(shift) == _LAST, at(shift) == _UP
    count = torch.where(neighbour, words.LINE, words.OWN_LINE)
    step = torch.arange(words.LINE, device=kind.device)
    line = end[:, None] - shift[:, None] + 1 - count[:, None] + step
    sentence = end[:, None] - words.SENTENCE + torch.arange(words.SENTENCE, device=kind.device)
    places = torch.cat([line, sentence], dim=1)
    known = (step < count[:, None]) & (neighbour | own)[:, None]
    there = torch.cat([known, said[:, None].expand(-1, words.SENTENCE)], dim=1)
    there &= (places >= 0) & (places < end[:, None])
    return row, end, places.clamp(min=0, max=kind.shape[1] - 1), there


class StrategistModel(LlamaModel):
    """`LlamaModel` with `LineEmbedding`."""

    config_class = StrategistConfig

    def __init__(self, config: StrategistConfig) -> None:
        super().__init__(config)
        self.embed_tokens = LineEmbedding(config.hidden_size)
        self.post_init()


class StrategistForCausalLM(LlamaForCausalLM):
    """Llama over `StrategistModel`."""

    config_class = StrategistConfig

    def __init__(self, config: StrategistConfig) -> None:
        super().__init__(config)
        self.model = StrategistModel(config)
        self.post_init()


AutoConfig.register(StrategistConfig.model_type, StrategistConfig)
AutoModelForCausalLM.register(StrategistConfig, StrategistForCausalLM)


def create(seed: int, *, hidden: int, layers: int) -> StrategistForCausalLM:
    """A new model with random weights, its numbers in order.

    Raises
    ------
    ValueError
        See `learning.language.tiny_model.check_size`.
    """
    tiny_model.check_size(hidden)
    config: dict[str, Any] = {
        "vocab_size": len(words.WORDS),
        "hidden_size": hidden,
        "intermediate_size": 3 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": tiny_model.HEADS,
        "num_key_value_heads": tiny_model.HEADS,
        "max_position_embeddings": words.CONTEXT,
        "initializer_range": hidden**-0.5,
        "rope_parameters": {"rope_type": "default", "rope_theta": 100.0},
        "tie_word_embeddings": True,
        "pad_token_id": words.ID[words.PAD],
        "eos_token_id": words.ID[words.END],
        "bos_token_id": None,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = StrategistForCausalLM(StrategistConfig(**config))
        with torch.no_grad():
            _order_numbers(model.model.embed_tokens.weight)
        return model


def _order_numbers(vectors: Tensor) -> None:
    """Give quantities a vector of their key plus one of their number, in place."""
    hidden = vectors.shape[1]
    waves = torch.tensor([0.5, 1.0, 2.0, 4.0])
    for key, values in words.VALUES.items():
        place = torch.linspace(0.0, 1.0, len(values))[:, None]
        angle = torch.pi * place * waves
        features = torch.cat([angle.sin(), angle.cos(), 2 * place - 1], dim=1)
        first = words.FIRST[key]
        spread = torch.randn(features.shape[1], hidden) * (hidden * features.shape[1]) ** -0.5
        vectors[first : first + len(values)] = vectors[first] + 2 * features @ spread
