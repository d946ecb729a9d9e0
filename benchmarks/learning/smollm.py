"""SmolLM2-135M with a LoRA adapter, trained on one CPU core: its row of docs/learning_measured.md.

    python -m benchmarks.learning.smollm                     # about an hour and a half on one core
    python -m benchmarks.learning.smollm --states 300 --episodes 1     # measures less

One training seed, with the settings of `mecopt train smollm2 --set dtype=bfloat16`, into
``runs/learning/smollm2-0`` (resumed when interrupted). Measured on test seeds: independent states,
where the model *generates* its answers and the strict parser reads them; the same states with the
options scored; the model before training beside it; whole episodes with the gap to the bound; CPU
time of a decision. Writes ``results/learning/smollm2.json`` in the form of the other rows
(`benchmarks.learning.train`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from time import thread_time
from typing import Any

import numpy as np
import pandas as pd

import formulations
from benchmarks.common import write
from benchmarks.learning import evaluate as learning_evaluate
from benchmarks.learning.train import PARTS, RUNS
from learning import recipes as trainers
from learning.language import pretrained_models
from learning.offloading.evaluation import independent_states as protocol
from learning.offloading.policies.pretrained import PretrainedPolicy, load
from learning.offloading.states.batch_rollout import rollout_batch
from learning.runs import folder as training_run
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.scenarios import comllm

SEED = 0
#: A processor that multiplies bfloat16 trains 1.4 times as fast with it.
DTYPE = "bfloat16"
#: States asked at a time.
BATCH = 16
PRESETS = ("paper", "busy", "large")
#: Largest sample of the presets but the first, of scored answers, and of the untrained model.
SMALLER = 200


def train() -> Path:
    """The finished training."""

    def show(step: int, steps: int, figures: Any) -> None:
        if step % 10 == 0:
            print(f"{step}/{steps} loss {figures['loss']:.3f}", flush=True)

    folder = RUNS / f"smollm2-{SEED}"
    return trainers.train("smollm2", folder, seed=SEED, changes={"dtype": DTYPE}, on_progress=show)


def on_states(policy: PretrainedPolicy, preset: str, count: int) -> dict[str, Any]:
    """Figures of a sample of test states."""
    drawn, answers = protocol.ask(
        {"it": policy}, preset=preset, count=count, servers=6, seed=learning_evaluate.SEED
    )
    found = protocol.figures(drawn, answers["it"])
    row = {"preset": preset, "servers": 6, "size_mbit": None, "states": len(drawn), **found}
    print({"mode": policy.mode, **row}, flush=True)
    return row


def on_episodes(policy: PretrainedPolicy, count: int) -> list[dict[str, Any]]:
    """One row per episode, the first `count` test seeds of each preset, all played together."""
    names = [(preset, seed) for preset in PRESETS
             for seed in learning_evaluate.EPISODE_SEEDS[:count]]  # fmt: skip
    instances = [comllm.generate(*name, servers=6) for name in names]
    known = bounds(instances)
    schedules = rollout_batch(instances, policy)
    return [
        {"preset": preset, "servers": 6, "seed": seed, **learning_evaluate.worth(s, known)}
        for (preset, seed), s in zip(names, schedules, strict=True)
    ]


def bounds(instances: list[OffloadingInstance]) -> dict[str, Any]:
    """Certified bounds by instance hash; what `learning_evaluate` does not know is solved."""
    known = learning_evaluate.known_bounds()
    for x in instances:
        if x.content_hash not in known:
            result = formulations.solve(x, time_limit=15.0, gap=1e-4, seed=x.meta["seed"])
            known[x.content_hash] = {"bound_s": result.bound, "incumbent_s": result.objective}
    return known


def decision_times(policy: PretrainedPolicy) -> dict[str, float]:
    """CPU ms per decision on one thread: one at a time (median), and in batches."""
    states = learning_evaluate.sample("paper", 6, None).states

    def seconds(first: int, end: int) -> float:
        begin = thread_time()
        policy.decide(states[first:end])
        return thread_time() - begin

    one = [seconds(i, i + 1) for i in range(20)]
    many = [seconds(i * BATCH, (i + 1) * BATCH) / BATCH for i in range(3)]
    return {
        "batch_1_ms": 1e3 * float(np.median(one)),
        f"batch_{BATCH}_ms": 1e3 * float(np.median(many)),
    }


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--states", type=int, default=learning_evaluate.STATES)
    parser.add_argument("--episodes", type=int, default=3, help="of each preset")
    arguments = parser.parse_args()
    folder = train()
    parameters, manifest, progress = training_run.read(folder)
    settings = parameters["settings"]
    policy = load(folder)
    policy.batch = BATCH
    base = PretrainedPolicy(
        *pretrained_models.load(settings["model"], settings["dtype"]),
        mode="generate",
        form=settings["form"],
        chat=settings.get("chat", False),
        batch=BATCH,
    )
    fewer = min(SMALLER, arguments.states)
    counts = {preset: fewer for preset in PRESETS} | {PRESETS[0]: arguments.states}

    def scored(asked: PretrainedPolicy) -> PretrainedPolicy:
        return PretrainedPolicy(
            asked.model,
            asked.tokenizer,
            mode="score",
            form=settings["form"],
            chat=settings.get("chat", False),
            batch=BATCH,
        )

    stages: dict[str, Callable[[], Any]] = {
        "states": lambda: [on_states(policy, preset, counts[preset]) for preset in PRESETS],
        "untrained_states": lambda: [on_states(base, PRESETS[0], fewer)],
        "decision": lambda: decision_times(policy),
        "episodes": lambda: on_episodes(policy, arguments.episodes),
        "scored_states": lambda: [on_states(scored(policy), PRESETS[0], fewer)],
        "untrained_scored_states": lambda: [on_states(scored(base), PRESETS[0], fewer)],
    }
    body: dict[str, Any] = {
        "policy": "smollm2",
        "seed": SEED,
        "checkpoint_sha256": training_run.digest(folder),
        "training": {
            "cpu_seconds": manifest["cpu_seconds"],
            "states": manifest["states"],
            "settings": settings,
        },
        "perturbed": [],
    }
    for name, measure in stages.items():
        body[name] = kept(RUNS / f"smollm2-{SEED}-{name}.json", measure)
    episodes = pd.DataFrame(body.pop("episodes"))
    print(write(f"{PARTS}/smollm2", body, records=episodes, progress=progress))


def kept(path: Path, measure: Callable[[], Any]) -> Any:
    """What was measured before an interruption, or is measured now."""
    if not path.exists():
        path.write_text(json.dumps(measure()))
    return json.loads(path.read_text())


if __name__ == "__main__":
    main()
