"""Train every learned policy with three seeds and measure each: the figures of docs/learning.md.

    python -m benchmarks.learning.train --list
    python -m benchmarks.learning.train --part bounds
    python -m benchmarks.learning.train --part sft:0 [--part grpo:0 ...]
    python -m benchmarks.learning.train --part priced       # a rule: nothing to train
    python -m benchmarks.learning.train --part grpo         # the shipped checkpoint, as it is
    python -m benchmarks.learning.train                     # every part that is missing
    python -m benchmarks.learning.train --ship 0            # checkpoints of seed 0 into the package

A part is one policy and training seed. It trains with the settings that the trainer ships (into
``runs/learning/NAME-SEED``, resumed when interrupted), measures on test seeds, and writes
``results/learning/NAME-SEED.json`` and its records; a part that is there is not done again. Parts
may run at the same time. GRPO starts from the `sft` checkpoint of the same seed, which is trained
first when it is missing. `python -m benchmarks.learning.page` makes the page from the files.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from benchmarks.common import exists, write
from benchmarks.learning import evaluate as learning_evaluate
from learning import recipes as trainers
from learning.offloading import zoo
from learning.runs import folder as training_run
from mecopt.offloading.policies import by_name as policies

SEEDS = range(3)
#: Rows that are a trainer with other settings, or one without a shipped checkpoint: name ->
#: (trainer, changes).
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "sft-1000": ("sft", {"states": 1000, "steps": 1500}),
    "grpo-mean": ("grpo", {"reward": "lacs-mean"}),
    "grpo-multi-turn": ("grpo-multi-turn", {}),
}
RULES = (
    "one-step-oracle",
    "one-step-oracle-drop",
    "priced",
    "priced-duals",
    "lookahead",
    "random",
    *zoo.TEACHERS,
)
RUNS, PARTS = Path("runs/learning"), "learning"


def parts() -> list[str]:
    """Every part, in an order in which each finds what it starts from."""
    trained = sorted((*zoo.NAMES, *VARIANTS), key=lambda name: name.startswith("grpo"))
    return ["bounds", *RULES, *(f"{name}:{seed}" for seed in SEEDS for name in trained)]


def train(name: str, seed: int) -> Path:
    """The finished training of a policy."""
    folder = RUNS / f"{name}-{seed}"
    trainer, changes = VARIANTS.get(name, (name, {}))
    if trainer.startswith("grpo"):
        changes = {**changes, "start": str(train("sft", seed))}

    def show(step: int, steps: int, figures: Any) -> None:
        text = ", ".join(f"{k} {v:.4g}" for k, v in list(figures.items())[:4])
        print(f"{name}:{seed} {step}/{steps} {text}", flush=True)

    return trainers.train(trainer, folder, seed=seed, changes=changes, on_progress=show)


def do(part: str) -> None:
    """Do a part that is missing."""
    if part == "bounds":
        learning_evaluate.bounds()
        return
    target = f"{PARTS}/{part.replace(':', '-')}"
    if exists(target):
        return
    name, _, seed = part.partition(":")
    body: dict[str, Any] = {"policy": name, "seed": int(seed) if seed else None}
    tables = {}
    if seed:
        folder: Path | None = train(name, int(seed))
        parameters, manifest, progress = training_run.read(folder)
        body["training"] = {
            "cpu_seconds": manifest["cpu_seconds"],
            "settings": parameters["settings"],
        }
        tables["progress"] = progress
        policy = zoo.load(name, folder)
    else:
        # A shipped checkpoint, or a rule; the preset of each instance decides about its numbers.
        folder = zoo.shipped(name)
        policy = policies.make(name)
    if folder is not None:
        body["checkpoint_sha256"] = training_run.digest(folder)
    summary, episodes = learning_evaluate.evaluate(policy)
    write(target, body | summary, records=episodes, **tables)
    print(f"{part} done", flush=True)


def ship(seed: int) -> None:
    """Copy the checkpoints of one seed into the package (the seed is not chosen by its figures)."""
    for name in zoo.NAMES:
        folder = RUNS / f"{name}-{seed}"
        if not (folder / "run.json").exists():
            print(f"{name}: not trained with seed {seed}")
            continue
        target = Path(zoo.__file__).parent / "checkpoints" / name
        shutil.copytree(folder / "checkpoint", target, dirs_exist_ok=True)  # keeps the card
        print(f"{name}: {sum(p.stat().st_size for p in target.rglob('*')) / 1e6:.2f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", action="append", help="NAME, NAME:SEED or bounds")
    parser.add_argument("--list", action="store_true", help="name the parts and stop")
    parser.add_argument("--ship", type=int, metavar="SEED", help="put checkpoints into the package")
    arguments = parser.parse_args()
    known = parts()
    if arguments.list:
        print("\n".join(known))
    elif arguments.ship is not None:
        ship(arguments.ship)
    else:
        for part in arguments.part or known:
            if part not in (*known, *zoo.NAMES):
                parser.error(f"part: unknown {part!r}, see --list")
            do(part)


if __name__ == "__main__":
    main()
