"""TRL's share of a supervised training: CPU time against a plain loop, on equal rows and batches.

    python -m benchmarks.learning.overhead

Both compute the same loss (`learning.language.soft_label_sft.cost_loss`) with the same optimiser
and schedule, in one process, in turns; the quotient of each turn is what counts. Loading, collating
and logging are included, building the trainer and its rows is shown apart.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path
from time import process_time

import numpy as np
import torch
from transformers import PrinterCallback

from benchmarks.common import write
from learning.language import soft_label_sft as cost_trainer
from learning.language import tiny_model
from learning.offloading.rewards.labels import Labelled
from learning.offloading.training import rows as datasets
from learning.offloading.training import sft
from learning.runs.folder import TrainingRun
from mecopt.statistics import bootstrap_interval

TURNS, STEPS = 5, 80
SETTINGS = replace(sft.RECIPES["sft"], states=5000, steps=STEPS, save_every=10 * STEPS)


def plain(data: Labelled) -> float:
    """A loop that does what the trainer does; CPU seconds of the loop."""
    s = SETTINGS
    model = tiny_model.create(0).train()
    rows = datasets.training_rows(data, s.steps * s.batch, seed=0)
    begin = process_time()
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=s.learning_rate, betas=(0.9, 0.98), weight_decay=0.0
    )
    warm = min(100, s.steps // 10)
    for step in range(s.steps):
        share = min(step / warm, 0.5 * (1 + math.cos(math.pi * (step - warm) / (s.steps - warm))))
        for group in optimiser.param_groups:
            group["lr"] = s.learning_rate * share
        part = rows[step * s.batch : (step + 1) * s.batch]
        loss = cost_trainer.cost_loss(
            model,
            torch.from_numpy(np.array(part["input_ids"], dtype=np.int64)),
            torch.from_numpy(np.array(part["cost_slots"], dtype=np.float32)),
            temperature_slots=s.temperature_slots,
            lines_weight=s.lines_weight,
        )
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    return process_time() - begin


def with_trl(data: Labelled, folder: Path) -> tuple[float, float]:
    """The trainer; CPU seconds of training, and to build it."""
    begin = process_time()
    run = TrainingRun.open(folder, "sft", SETTINGS, seed=0, resume=False)
    trainer = sft.make_trainer(SETTINGS, tiny_model.create(0), data, run, seed=0)
    trainer.remove_callback(PrinterCallback)
    built = process_time()
    trainer.train()
    return process_time() - built, built - begin


def main() -> None:
    """Measure and write results/learning_overhead.json."""
    torch.set_num_threads(1)
    data = sft.collect(SETTINGS, 0)
    plain(data[:200])
    turns = []
    with tempfile.TemporaryDirectory() as folder:
        for i in range(TURNS):
            loop = plain(data)
            trl, build = with_trl(data, Path(folder) / str(i))
            turns.append({"plain_s": loop, "trl_s": trl, "build_s": build, "quotient": trl / loop})
            print({k: round(v, 3) for k, v in turns[-1].items()}, flush=True)
    quotients = [t["quotient"] for t in turns]
    body = {
        "steps": STEPS,
        "batch": SETTINGS.batch,
        "turns": turns,
        "quotient": float(np.mean(quotients)),
        "quotient_95": bootstrap_interval(quotients),
    }
    print(write("learning_overhead", body), body["quotient"], body["quotient_95"])


if __name__ == "__main__":
    main()
