"""Decision time of the embedded model: CPU per decision on one thread, serialisation included.

    python -m benchmarks.learning.decision_time

Three things per batch size: the *decision* (from an observation at batch 1, from states at larger
batches), the *forward pass* it contains (`learning.language.fast_forward`), and the *bare* forward
pass of the model as `transformers` runs it. Times are medians, taken in turns so that a busy
machine slows all of them; the quotients are medians of the quotients of each turn.
"""

from __future__ import annotations

from collections.abc import Callable
from time import thread_time
from typing import Any

import numpy as np
import torch

from benchmarks.common import write
from learning.offloading import zoo
from learning.offloading.policies import language as language_policy
from learning.offloading.prompts import forms_compact_natural as prompts
from learning.offloading.states import decision_states as states
from mecopt.offloading.observation import Observation
from mecopt.offloading.scenarios import comllm

BATCHES = (1, 8, 64, 256)
TURNS = 200


def seconds(function: Callable[[], Any]) -> float:
    """CPU seconds of one call on this thread."""
    begin = thread_time()
    function()
    return thread_time() - begin


def observations(count: int) -> list[Observation]:
    """Observations that stay valid: each the last of a rollout of its own."""
    out = []
    for seed in range(count):
        seen = states.visit([comllm.generate("paper", seed, slots=30)])
        out.append(list(seen)[-1])
    return out


def measure(policy: language_policy.LanguagePolicy, batch: int) -> dict[str, float]:
    """Times of one batch size, ms per decision."""
    seen = observations(20)
    given = states.collect([comllm.generate("paper", i) for i in range(3)])
    rows = []
    for turn in range(TURNS if batch < 64 else TURNS // 10):
        part = given[np.arange(batch) + turn]
        ids = prompts.compact_ids(part, prompts.in_order(part))
        tokens = torch.from_numpy(ids)
        mask = torch.ones_like(tokens)
        observation = seen[turn % len(seen)]
        # What an observation works out once is forgotten, so that every turn pays for it.
        observation.__dict__.pop("completion_ns", None)

        def decide(part: states.States = part, observation: Observation = observation) -> None:
            if batch == 1:
                policy.act(observation)
            else:
                policy.decide(part)

        def bare(tokens: torch.Tensor = tokens, mask: torch.Tensor = mask) -> None:
            with torch.inference_mode():
                policy.model(tokens, attention_mask=mask, logits_to_keep=1, use_cache=False)

        def forward(ids: np.ndarray = ids) -> None:
            policy.forward(ids)

        rows.append([seconds(decide), seconds(forward), seconds(bare)])
    ms = 1e3 * np.array(rows[len(rows) // 10 :]) / batch
    decision, fast, model = np.median(ms, axis=0)
    return {
        "batch": batch,
        "decision_ms": float(decision),
        "decision_p99_ms": float(np.quantile(ms[:, 0], 0.99)),
        "forward_ms": float(fast),
        "bare_ms": float(model),
        "decision_over_bare": float(np.median(ms[:, 0] / ms[:, 2])),
        "decision_over_forward": float(np.median(ms[:, 0] / ms[:, 1])),
    }


def main() -> None:
    """Measure and write results/learning_decision_time.json."""
    torch.set_num_threads(1)
    policy = zoo.load("sft")
    assert isinstance(policy, language_policy.LanguagePolicy)
    rows = []
    for batch in BATCHES:
        rows.append(measure(policy, batch))
        print({k: round(v, 3) for k, v in rows[-1].items()}, flush=True)
    parameters = sum(p.numel() for p in policy.model.parameters())
    print(write("learning_decision_time", {"parameters": parameters, "rows": rows}))


if __name__ == "__main__":
    main()
