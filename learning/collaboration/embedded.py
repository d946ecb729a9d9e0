"""Answers of the small strategist: both questions in one pass, from its tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from learning.collaboration import words
from learning.collaboration.answers import Answers, from_tokens
from learning.collaboration.sight import LETTERS, Seen
from learning.language.fast_forward import Layers

#: Prompts of one forward pass.
BATCH = 512


class EmbeddedModel:
    """The small strategist.

    Parameters
    ----------
    model : StrategistForCausalLM
        Its weights are read once, but for the embedding.
    """

    name = "embedded"

    @torch.inference_mode()
    def __init__(self, model: Any) -> None:
        self._layers = Layers(model)
        self._embedding = model.get_input_embeddings()
        self._words = self._embedding.weight.detach().clone()
        places = torch.arange(words.CONTEXT)
        self._cos, self._sin = (x[0] for x in model.model.rotary_emb(self._words, places[None]))

    @torch.inference_mode()
    def logits(self, ids: torch.Tensor) -> torch.Tensor:
        """(B, 2, words) logits of what follows ``risk`` and ``act``."""
        n = ids.shape[1]
        cos, sin = self._cos[None, None, :n], self._sin[None, None, :n]
        last = self._layers(self._embedding(ids), cos, sin, None, places=2)
        return last @ self._words.T

    def answer(self, seen: Seen) -> Answers:
        """Strategy and risk of every row."""
        wide = seen.up.shape[1]
        letters = np.zeros((len(seen), wide))
        risk = np.zeros((len(seen), 2))
        choices = [words.ID[letter] for letter in LETTERS[:wide]]
        tags = [words.ID[words.LOW], words.ID[words.HIGH]]
        for which, ids in words.prompts(seen):
            for first in range(0, len(which), BATCH):
                rows = which[first : first + BATCH]
                found = self.logits(torch.from_numpy(ids[first : first + BATCH])).softmax(dim=-1)
                risk[rows] = found[:, 0, tags].numpy()
                letters[rows] = found[:, 1, choices].numpy()
        return from_tokens(letters, risk, seen.count)
