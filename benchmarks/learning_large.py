"""SFT, then GRPO of a language model in a folder, with LoRA on one GPU: one row of a table.

    python -m benchmarks.learning_large FOLDER                   # within 12 minutes on one GPU
    python -m benchmarks.learning_large --random 50 --seconds 60   # 50 million random parameters

The published sizes are Qwen 1.5B and 7B (COMLLM, arXiv 2604.07148); any causal model that
`transformers` reads will do. ``--random`` makes a Llama of about so many million parameters with a
tokenizer trained on prompts instead, which shows that everything runs, not how good a model is.

Every stage times a few of its updates first and then does as many as fit into its share of the
time, so the counts belong to the machine; they are part of the result. Measured on test seeds, by
generated answers, before training, after SFT and after GRPO: independent states (PR, agreement,
parse rate), and after training gaps of whole episodes to the certified bound. Writes
``results/learning_large/NAME.json`` and prints the row.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import write
from benchmarks.learning.evaluate import EPISODE_SEEDS, bounds
from learning.language import pretrained_models
from learning.offloading.evaluation import independent_states as protocol
from learning.offloading.policies.pretrained import PretrainedPolicy, load
from learning.offloading.prompts import forms_brief, forms_compact_natural
from learning.offloading.states import decision_states
from learning.offloading.states.batch_rollout import rollout_batch
from learning.offloading.training import pretrained
from mecopt.offloading.scenarios import comllm

RUNS = Path("runs/learning_large")
#: Shares of the time: SFT, GRPO, and the three measurements; what is left is loading
#: and whole episodes.
SHARES = {"sft": 0.27, "grpo": 0.27, "measure": 0.05}
#: Updates that are timed before the length of a stage is set.
PROBE = 3
STATES_SEED = 1
PRESETS = ("paper", "busy", "large")


# ------------------------------------------------------------------------------- a random model
def random_model(millions: float) -> Path:
    """A random Llama of about so many million parameters, with a tokenizer of prompts."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder = RUNS / f"random-{millions:g}M"
    if (folder / "config.json").exists():
        return folder
    found = decision_states.collect([comllm.generate("paper", 10_000)])
    form = forms_brief.form_named("brief")
    naming = forms_compact_natural.in_order(found)
    texts = [form.instructions("slots", 0) + t for t in form.texts(found, naming, "slots", 0)]
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    inner.decoder = decoders.ByteLevel()
    inner.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=600,
            special_tokens=["<end>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    layers = 8
    hidden = 64 * max(1, round((millions * 1e6 / (layers * 12)) ** 0.5 / 64))
    config = LlamaConfig(
        vocab_size=inner.get_vocab_size(),
        hidden_size=hidden,
        intermediate_size=8 * hidden // 3,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>").save_pretrained(folder)
    return folder


# ---------------------------------------------------------------------------------------- stages
def fitted(settings: pretrained.Settings, seconds: float, seed: int) -> pretrained.Settings:
    """The settings with as many updates as `seconds` hold, by the time of a few."""
    folder = RUNS / f"probe-{time.time_ns()}"
    begins: list[float] = []

    def tick(step: int, steps: int, figures: Mapping[str, float]) -> None:
        begins.append(time.monotonic())

    probe = replace(settings, steps=PROBE + 1, states=(PROBE + 1) * settings.batch, save_steps=1000)
    pretrained.train(probe, folder, seed=seed, on_progress=tick)
    one = (begins[-1] - begins[0]) / PROBE  # the first update warms up
    steps = max(1, int(seconds / one))
    print(f"{settings.method}: {one:.2f} s an update, {steps} updates", flush=True)
    return replace(settings, steps=steps, states=min(steps * settings.batch, settings.states))


def measured(policy: PretrainedPolicy, seconds: float, episodes: int) -> dict[str, Any]:
    """Figures of as many test states as `seconds` hold (32 at least), and of whole episodes."""
    policy.batch = 32
    begin = time.monotonic()
    row = on_states(policy, 32)
    count = min(1000, int(32 * seconds / (time.monotonic() - begin)))
    if count > 32:
        row = on_states(policy, count)
    known = bounds()
    names = [(preset, seed) for preset in PRESETS for seed in EPISODE_SEEDS[:episodes]]
    schedules = rollout_batch([comllm.generate(*name) for name in names], policy)
    gaps: dict[str, list[float]] = {}
    for (preset, _), schedule in zip(names, schedules, strict=True):
        bound = known[schedule.instance.content_hash]["bound_s"]
        gaps.setdefault(preset, []).append(100 * (schedule.objective / bound - 1))
    return row | {"gap_percent": gaps}


def on_states(policy: PretrainedPolicy, count: int) -> dict[str, Any]:
    """Figures of independent test states."""
    drawn, answers = protocol.ask({"it": policy}, count=count, seed=STATES_SEED)
    return {"states": len(drawn), **protocol.figures(drawn, answers["it"])}


def main() -> None:
    """Train, measure, write the row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", help="folder, or a name that transformers knows")
    parser.add_argument("--random", type=float, metavar="MILLIONS", help="a random model instead")
    parser.add_argument("--seconds", type=float, default=690.0, help="for everything")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=16, help="states of an update")
    parser.add_argument("--episodes", type=int, default=4, help="of each preset, after training")
    parser.add_argument("--accumulation", type=int, default=1)
    parser.add_argument("--quantise", default="", choices=pretrained_models.QUANTISED)
    asked = parser.parse_args()
    if (asked.model is None) == (asked.random is None):
        parser.error("give a model, or --random MILLIONS")
    model = str(random_model(asked.random)) if asked.model is None else asked.model
    name = Path(model).name
    begin = time.monotonic()
    shared = {
        "model": model, "batch": asked.batch, "accumulation": asked.accumulation,
        "quantise": asked.quantise, "states": 8000,
    }  # fmt: skip
    body: dict[str, Any] = {"model": name, "seed": asked.seed, "stages": {}}
    share = {key: value * asked.seconds for key, value in SHARES.items()}
    start = ""
    folder = RUNS / f"{name}-{time.time_ns()}"
    for method in ("untrained", "sft", "grpo"):
        clock = time.monotonic()
        if method == "untrained":
            base = pretrained_models.load(model, "auto", quantise=asked.quantise)
            body["parameters"] = sum(p.numel() for p in base[0].parameters())
            policy = PretrainedPolicy(*base, mode="generate", form="brief", chat=True)
            stage: dict[str, Any] = {}
        else:
            settings = replace(RECIPES[method], **shared, start=start)  # type: ignore[arg-type]
            settings = fitted(settings, share[method], asked.seed)
            run = pretrained.train(settings, folder / method, seed=asked.seed)
            start, policy = str(run), load(run)
            stage = {"updates": settings.updates, "learning_rate": settings.rate}
        stage["seconds"] = time.monotonic() - clock
        body["stages"][method] = stage | measured(
            policy, share["measure"], asked.episodes if start else 0
        )
    body["seconds"] = time.monotonic() - begin
    body["device"] = str(policy.model.device)
    print(write(f"learning_large/{name}", body))
    print(row_of(body))


#: What each stage trains.
RECIPES = {"sft": pretrained.RECIPES["lora-sft"], "grpo": pretrained.RECIPES["lora-grpo"]}


def row_of(body: Mapping[str, Any]) -> str:
    """The row of the table, Markdown: model, then PR, parse rate and gaps of every stage."""
    cells = [f"{body['model']} ({body['parameters'] / 1e6:.0f} M)"]
    for stage in body["stages"].values():
        gaps = " / ".join(f"{np.mean(g):.1f}" for g in stage["gap_percent"].values()) or "-"
        cells.append(f"{100 * stage['pr']:.1f} | {100 * stage['parse_rate']:.1f} | {gaps}")
    return f"| {' | '.join(cells)} | {body['seconds'] / 60:.1f} |"


if __name__ == "__main__":
    main()
