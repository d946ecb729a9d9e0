"""The small planner: a Llama-style model from scratch, with words as tokens.

It reads requests and writes plans; numbers are words, too. Expected tokens lie on a grid of 5 %
steps from 20 to 2000, and difficulties on a grid of 0.02 from 0 to 1.3 (D): rounding errs by 1.2 %
and 0.005 on average, where the teacher errs by 8 % and 0.015. What is written is the text of a plan
as it stands, so that `mecopt.task_graphs.plan_text.parse_plan` judges it like that of any other
model.

The tokenizer is stock, its words are in its file; the model is a stock
`transformers.LlamaForCausalLM`: nothing of mecopt is needed to load either.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from learning.language import tiny_model
from mecopt.task_graphs.plan import MOST_SUBTASKS, ROLES, TaskPlan
from mecopt.task_graphs.scenarios import requests

PAD, END, UNKNOWN = "<pad>", "<end>", "<unknown>"
#: Ends a request, and a line of a plan.
BREAK = "\n"
_TOKENS, _RATIO = (20, 2000), 1.05
_DIFFICULTY, _STEP = 1.3, 0.02
#: Longest request and plan.
CONTEXT = 192


def _token_grid() -> tuple[int, ...]:
    found = [_TOKENS[0]]
    while found[-1] < _TOKENS[1]:
        found.append(max(found[-1] + 1, round(found[-1] * _RATIO)))
    return tuple(found)


TOKEN_GRID = _token_grid()
_EDGES = np.log([a * b for a, b in pairwise(TOKEN_GRID)]) / 2
N_DIFFICULTIES = round(_DIFFICULTY / _STEP) + 1
WORDS = (
    PAD,
    END,
    UNKNOWN,
    BREAK,
    ";",
    "using",
    "after",
    *(str(i + 1) for i in range(MOST_SUBTASKS)),
    *ROLES,
    *requests.TOPICS,
    *requests.LENGTHS,
    *requests.HARDNESS,
    *map(str, TOKEN_GRID),
    *(f"{i * _STEP:.2f}" for i in range(N_DIFFICULTIES)),
)


def on_grid(plan: TaskPlan) -> TaskPlan:
    """A plan with its numbers rounded to what there are words for."""
    tokens = [max(s.output_tokens, 1.0) for s in plan.subtasks]
    difficulty = [min(max(s.difficulty, 0.0), _DIFFICULTY) for s in plan.subtasks]
    return plan.with_values(
        output_tokens=[TOKEN_GRID[i] for i in np.searchsorted(_EDGES, np.log(tokens))],
        difficulty=[round(d / _STEP) * _STEP for d in difficulty],
    )


def prompt(request: str) -> str:
    """What the small planner reads before it writes."""
    return request + BREAK


def tokenizer() -> PreTrainedTokenizerFast:
    """One token a word; line breaks are words, blanks are not."""
    made = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token=UNKNOWN))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(BREAK), "isolated"),
            pre_tokenizers.Split(Regex(" +"), "removed"),
        ]
    )
    made.decoder = decoders.Sequence(
        [
            decoders.WordPiece(prefix="##", cleanup=False),  # a blank before every further word
            decoders.Fuse(),
            decoders.Replace(f" {BREAK} ", BREAK),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def create(seed: int, *, hidden: int, layers: int) -> LlamaForCausalLM:
    """A new model with random weights.

    Raises
    ------
    ValueError
        See `learning.language.tiny_model.check_size`.
    """
    tiny_model.check_size(hidden)
    config: dict[str, Any] = {
        "vocab_size": len(WORDS),
        "hidden_size": hidden,
        "intermediate_size": 3 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": tiny_model.HEADS,
        "num_key_value_heads": tiny_model.HEADS,
        "max_position_embeddings": CONTEXT,
        "initializer_range": hidden**-0.5,
        "rope_parameters": {"rope_type": "default", "rope_theta": 100.0},
        "tie_word_embeddings": True,
        "pad_token_id": WORDS.index(PAD),
        "eos_token_id": WORDS.index(END),
        "bos_token_id": None,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlamaForCausalLM(LlamaConfig(**config))
