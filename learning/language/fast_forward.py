"""The forward pass of small Llama-style models where a decision needs it.

Same weights, same mathematics as the model's own forward pass, and tested to give the same logits;
faster at batch 1 because nothing is looked up, checked or kept for later, and at any batch because
the last layer is evaluated only where the answer is read (keys and values excepted).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from transformers import LlamaForCausalLM

from learning.language import vocabulary
from learning.language.tiny_model import TinyForCausalLM, kinds
from learning.language.vocabulary import GRAMMARS


class Layers:
    """The layers of a `transformers.LlamaForCausalLM` with as many heads of keys as of queries.

    Parameters
    ----------
    model : LlamaForCausalLM
        Its weights are read once; later changes are not seen.
    """

    @torch.inference_mode()
    def __init__(self, model: LlamaForCausalLM) -> None:
        config, base = model.config, model.model
        self._heads = config.num_attention_heads
        self._width = config.hidden_size // self._heads
        self._epsilon = config.rms_norm_eps
        self._norm = base.norm.weight.detach().clone()
        self._layers = []
        for layer in base.layers:
            attention, mlp = layer.self_attn, layer.mlp
            qkv = [attention.q_proj, attention.k_proj, attention.v_proj]
            self._layers.append(
                (
                    layer.input_layernorm.weight.detach().clone(),
                    torch.cat([p.weight.detach() for p in qkv]),
                    attention.o_proj.weight.detach().clone(),
                    layer.post_attention_layernorm.weight.detach().clone(),
                    torch.cat([mlp.gate_proj.weight.detach(), mlp.up_proj.weight.detach()]),
                    mlp.down_proj.weight.detach().clone(),
                )
            )

    @torch.inference_mode()
    def __call__(
        self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None, places: int = 1
    ) -> Tensor:
        """Normed output of the last layer at the last places.

        Parameters
        ----------
        x : (B, T, H)
            Embedded words.
        cos, sin : (B or 1, 1, T, width)
            Rotations of their positions.
        mask : (B, 1, T, T) bool, optional
            What each place may attend to; all before it unless given.
        places : int
            How many of the last ones are read.

        Returns
        -------
        (B, places, H) Tensor
        """
        batch, length, hidden = x.shape
        norm = (hidden,)
        if mask is None and places > 1:
            ends = torch.ones(length, length, dtype=torch.bool).tril()[-places:]
        else:
            ends = None if mask is None else mask[:, :, -places:]
        for i, (before, qkv, out, after, up, down) in enumerate(self._layers):
            last = i == len(self._layers) - 1
            h = F.rms_norm(x, norm, before, self._epsilon)
            heads = F.linear(h, qkv).view(batch, length, 3 * self._heads, self._width)
            turned, v = heads.transpose(1, 2).split([2 * self._heads, self._heads], dim=1)
            turned = turned * cos + _half_turn(turned) * sin
            q, k = turned.chunk(2, dim=1)
            if last:
                x, q = x[:, -places:], q[:, :, -places:]
            attended = F.scaled_dot_product_attention(
                q,
                k,
                v,
                attn_mask=ends if last else mask,
                is_causal=mask is None and not last,
            )
            x = x + F.linear(attended.transpose(1, 2).reshape(batch, -1, hidden), out)
            h = F.rms_norm(x, norm, after, self._epsilon)
            gate, value = F.linear(h, up).chunk(2, dim=-1)
            x = x + F.linear(F.silu(gate) * value, down)
        return F.rms_norm(x, norm, self._norm, self._epsilon)


class AnswerLogits:
    """Logits of the word after each prompt.

    Parameters
    ----------
    model : TinyForCausalLM
        Its weights are read once; later changes are not seen.
    """

    @torch.inference_mode()
    def __init__(self, model: TinyForCausalLM) -> None:
        config, base = model.config, model.model
        self._layers = Layers(model)
        embedding = base.embed_tokens
        words = embedding.weight.detach()
        # Vectors of all words and quantities, and what a quantity adds to the name of its line.
        grammar = self._grammar = GRAMMARS[config.grammar]
        every = torch.arange(grammar.size)[None]
        self._vectors = embedding(every)[0].clone()  # (SIZE, H)
        hidden = config.hidden_size
        lines = []
        for i, key in enumerate(grammar.line_keys):
            start = grammar.key_id[key]
            vectors = self._vectors[start : start + vocabulary.N_NUMBERS]
            lines.append(vectors @ embedding.line.weight[:, i * hidden : (i + 1) * hidden].T)
        self._in_line = torch.cat(lines)  # (keys x N_NUMBERS, H)
        self._line_first = grammar.key_id[next(iter(grammar.line_keys))]
        self._head = words.clone()
        kind = kinds(grammar)
        places = torch.arange(int(kind.max()) + 1)
        cos, sin = base.rotary_emb(words, places[None])
        self._cos, self._sin = cos[0][kind], sin[0][kind]  # (SIZE, head width)

    @torch.inference_mode()
    def __call__(self, ids: NDArray[np.int64], after: int = 0) -> NDArray[np.float32]:
        """(B, T) prompts of ``compact_ids``, and so many words after them -> (B, words) logits."""
        tokens = torch.from_numpy(ids)
        x = self._embed(tokens, after)
        cos, sin = self._cos[tokens][:, None], self._sin[tokens][:, None]
        mask = self._mask(tokens)
        answer = self._layers(x, cos, sin, mask)[:, 0]
        logits: NDArray[np.float32] = F.linear(answer, self._head).numpy()
        return logits

    def _embed(self, tokens: Tensor, after: int) -> Tensor:
        """(B, T, H); prompts end with whole lines and one word, so lines have fixed places."""
        last = tokens.shape[1] - 1 - after
        x = self._vectors[tokens]
        n_keys = len(self._grammar.state_keys)
        line = self._grammar.line
        # (B, lines, keys) quantities before each name; in padding there are none.
        numbers = tokens[:, n_keys:last].unflatten(1, (-1, line))[..., :-1] - self._line_first
        named = numbers[..., :1] >= 0
        added = self._in_line[numbers.clamp(min=0)].sum(dim=2)
        x[:, n_keys + line - 1 : last : line] += added * named
        return x

    def _mask(self, tokens: Tensor) -> Tensor | None:
        """(B, 1, T, T) what each place may attend to; None when there is no padding."""
        there = tokens != vocabulary.WORD_ID[vocabulary.PAD]
        if bool(there.all()):
            return None
        length = tokens.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool).tril()
        # A place of padding attends to itself: its row must not be empty.
        return (there[:, None, None] & causal) | torch.eye(length, dtype=torch.bool)


def _half_turn(x: Tensor) -> Tensor:
    """Rotation by a quarter, in the layout of `transformers`' Llama."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([-second, first], dim=-1)
