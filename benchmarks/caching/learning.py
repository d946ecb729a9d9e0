"""T2DRL: three training seeds, baselines, ablations and shifted tests, one part at a time.

    python -m benchmarks.caching.learning --list
    python -m benchmarks.caching.learning --part t2drl:ten:0 [--part ppo:ten:0 ...]
    python -m benchmarks.caching.learning                 # every missing part, then the page
    python -m benchmarks.caching.learning --page          # the page from the parts there are
    python -m benchmarks.caching.learning --ship 0        # checkpoints of a seed into the package

A part is one policy, preset and training seed (trained into ``runs/caching-learning``, resumed when
interrupted), or ``rules:PRESET`` (policies without learning, bounds and schedules), ``shift`` (the
trained policies where testing differs from training), ``shift-noaverages`` (those that observe no
averages of the requests) or ``eta`` (the step of the fast weights).
Each writes ``results/caching_learning/PART.json`` and its records; a part that is there is not done
again. Tests are on seeds 0..., five servers each; training and tuning seeds lie elsewhere.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.caching.parts import PARTS, PRESETS, SEEDS
from benchmarks.common import exists, read, write
from learning.caching import policy as policies
from learning.caching import train as training
from learning.caching.train import Settings
from learning.runs import folder as training_run
from mecopt.caching.policies import by_name as rules
from mecopt.caching.rollout import rollout
from mecopt.caching.scenarios import t2drl as caching

RUNS = Path("runs/caching-learning")
#: What a part is: its summary, and tables of records by name.
Part = tuple[dict[str, Any], dict[str, pd.DataFrame]]
#: Test instances, and those of them with a solver's bound and schedule (seconds each).
TESTS, SOLVED = {"ten": 40, "sticky": 16}, {"ten": (8, 12.0), "sticky": (8, 30.0)}
#: What differs from the shipped recipe of `ten`.
RECIPES: dict[str, dict[str, Any]] = {"ten": {}, "sticky": {"servers": 48}}
VARIANTS: dict[str, dict[str, Any]] = {
    "t2drl": {"test_time": True},
    "ppo": {"test_time": False},
    "t2drl-nolayer": {"test_time": True, "layer": False},
    "t2drl-noaverages": {"test_time": True, "averages": False},
    "ppo-noaverages": {"test_time": False, "averages": False},
}
#: Test distributions that the policies of `ten` were not trained on.
SHIFTS: dict[str, dict[str, Any]] = {
    "as trained": {},
    "steep popularity": {"zipf": 1.5},
    "short bursts": {"burst_slots": 5.0},
    "long bursts": {"burst_slots": 50.0},
    "sharp bursts": {"burst_factors": (0.05, 4.0)},
    "fast thoughts": {"zeta": 1.0},
    "dear switching": {"switch_per_mb": 5e-4},
}
SHIFT_TESTS = 8
ETAS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 2.0)


def parts() -> list[str]:
    trained = [f"{name}:{preset}:{seed}" for seed in SEEDS for preset in PRESETS
               for name in ("t2drl", "ppo")]  # fmt: skip
    ablations = ("t2drl-nolayer", "t2drl-noaverages", "ppo-noaverages")
    trained += [f"{name}:ten:{seed}" for seed in SEEDS for name in ablations]
    return [*trained, *(f"rules:{p}" for p in PRESETS), "eta", "shift", "shift-noaverages"]


def settings(name: str, preset: str) -> Settings:
    return replace(Settings(), preset=preset, **RECIPES[preset], **VARIANTS[name])


def trained(name: str, preset: str, seed: int) -> Path:
    """The finished training of a policy."""

    def show(step: int, steps: int, figures: Mapping[str, float]) -> None:
        if step % 5 == 0:
            text = ", ".join(f"{k} {v:.4g}" for k, v in figures.items())
            print(f"{name}:{preset}:{seed} {step}/{steps} {text}", flush=True)

    folder = RUNS / f"{preset}-{name}-{seed}"
    if (folder / "run.json").exists():
        return folder
    wanted = settings(name, preset)
    return training.train(wanted, folder, seed=seed, resume=True, on_progress=show)


def finished(name: str, seed: int) -> bool:
    return (RUNS / f"ten-{name}-{seed}" / "run.json").exists()


def costs(
    policy: Any, instances: list[caching.CachingInstance], **named: str
) -> list[dict[str, Any]]:
    """Cost and edge share of one policy on each instance; `named` columns say which it is."""
    rows = []
    for seed, instance in enumerate(instances):
        plan = rollout(instance, policy)
        cloud = float((instance.requests * instance.cloud_cost[None, :, None]).sum())
        row = {**named, "seed": seed, "cost": plan.objective, "cloud": cloud}
        row |= {"edge_share": plan.edge_share}
        rows.append({**row, **{f"part_{k}": v for k, v in plan.cost_split.items()}})
    return rows


def tests(preset: str, count: int, **changes: Any) -> list[caching.CachingInstance]:
    return [caching.generate(preset, seed, **changes) for seed in range(count)]


def policy_part(name: str, preset: str, seed: int) -> Part:
    folder = trained(name, preset, seed)
    parameters, manifest, progress = training_run.read(folder)
    learned = policies.load(folder)
    body = {
        "seed": seed,
        "settings": parameters["settings"],
        "cpu_seconds": manifest["cpu_seconds"],
        "tuning_cost": manifest["tuning_cost"],
        "tuning_cost_first_guess": manifest["tuning_cost_first_guess"],
    }
    rows = costs(learned, tests(preset, TESTS[preset]), fast_weights="learn")
    if learned.agent.layer is not None:
        learned.learns = False
        rows += costs(learned, tests(preset, TESTS[preset]), fast_weights="still")
    shown = progress[["step", "cost_over_cloud", "tuning_cost"]]
    return body, {"records": pd.DataFrame(rows), "progress": shown}


def rules_part(preset: str) -> Part:
    """Policies that need no learning; bounds and schedules of the first seeds."""
    instances = tests(preset, TESTS[preset])
    online = {"first-guess": policies.first_guess()}
    online |= {name: rules.make(name, preset=preset) for name in rules.NAMES}
    solved = solutions(preset, instances)
    rows = [row for name, rule in online.items() for row in costs(rule, instances, policy=name)]
    return {"solved": solved}, {"records": pd.DataFrame(rows)}


def solutions(preset: str, instances: list[caching.CachingInstance]) -> list[dict[str, Any]]:
    """Bound and schedule of the first test instances, from `caching_gaps` where it has them."""
    import formulations

    measured = f"caching_gaps_{preset}"
    known = read(measured)["rows"] if exists(measured) else []
    by_hash = {row["instance_hash"]: row for row in known}
    count, limit = SOLVED[preset]
    out = []
    for seed, instance in enumerate(instances[:count]):
        row = by_hash.get(instance.content_hash)
        if row is None:
            result = formulations.solve(instance, time_limit=limit)
            row = {"objective": result.objective, "bound": result.bound}
            print(f"{preset}: solved {seed}, gap {100 * result.gap:.3f} %", flush=True)
        out.append({"seed": seed, "objective": row["objective"], "bound": row["bound"]})
    return out


def shift_part(suffix: str = "") -> Part:
    """Finished policies of `ten`, tested elsewhere; every test paired."""
    rows: list[dict[str, Any]] = []
    both = {name: name + suffix for name in ("t2drl", "ppo")}
    ready = [seed for seed in SEEDS if all(finished(name, seed) for name in both.values())]
    if not ready:
        raise SystemExit(f"shift: train {both['t2drl']}:ten:0 and {both['ppo']}:ten:0 first")
    for label, changes in SHIFTS.items():
        instances = tests("ten", SHIFT_TESTS, **changes)
        asked: dict[str, Any] = {name: rules.make(name, preset="ten")
                                 for name in ("myopic", "rolling")}  # fmt: skip
        asked["first-guess"] = policies.first_guess(averages=not suffix)
        for name, policy in asked.items():
            rows += costs(policy, instances, shift=label, policy=name)
        for seed in ready:
            for name, variant in both.items():
                learned = policies.load(trained(variant, "ten", seed))
                rows += costs(learned, instances, shift=label, policy=f"{name}:{seed}")
                if name == "t2drl":
                    learned.learns = False
                    still = f"t2drl-still:{seed}"
                    rows += costs(learned, instances, shift=label, policy=still)
        print(f"shift: {label}", flush=True)
    return {"shifts": SHIFTS, "training_seeds": ready}, {"records": pd.DataFrame(rows)}


def eta_part() -> Part:
    """Restoring error and cost by step, on tuning seeds: the trained t2drl:ten:0, other steps."""
    instances = [caching.generate("ten", training.TUNING_SEED + s) for s in range(8)]
    rows = []
    for eta in ETAS:
        learned = policies.load(trained("t2drl", "ten", 0))
        assert learned.agent.layer is not None
        learned.agent.layer.eta = eta
        total, loss = 0.0, []
        for instance in instances:
            total += rollout(instance, learned).objective
            loss.append(np.stack(learned.restore_loss).mean(axis=1))
        each = np.stack(loss)
        late = float(each[:, -20:].mean())
        rows.append({"eta": eta, "cost": total, "loss": float(each.mean()), "loss_late": late})
    return {"rows": rows}, {}


def make(part: str) -> None:
    target = f"{PARTS}/{part.replace(':', '-')}"
    if exists(target):
        return
    kind, *rest = part.split(":")
    if kind in VARIANTS:
        body, tables = policy_part(kind, rest[0], int(rest[1]))
    else:
        makers = {"rules": rules_part, "shift": shift_part, "eta": eta_part}
        makers["shift-noaverages"] = lambda: shift_part("-noaverages")
        body, tables = makers[kind](*rest)
    print(write(target, {"part": part, **body}, **tables), flush=True)


def ship(seed: int) -> None:
    """Copy the checkpoints of a training seed into the package."""
    home = Path(policies.__file__).parent / "checkpoints"
    for preset in PRESETS:
        for name in ("t2drl", "ppo"):
            source = trained(name, preset, seed) / "checkpoint"
            shutil.copytree(source, home / preset / name, dirs_exist_ok=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--part", action="append", choices=parts())
    arguments.add_argument("--list", action="store_true")
    arguments.add_argument("--page", action="store_true")
    arguments.add_argument("--ship", type=int)
    asked = arguments.parse_args()
    if asked.list:
        print("\n".join(parts()))
        return
    if asked.ship is not None:
        ship(asked.ship)
        return
    if not asked.page:
        for part in asked.part or parts():
            make(part)
    if asked.page or not asked.part:
        from benchmarks.caching import learning_page as caching_learning_page

        caching_learning_page.main()


if __name__ == "__main__":
    main()
