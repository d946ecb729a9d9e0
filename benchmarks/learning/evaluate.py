"""What one policy is worth: independent states, other sizes, whole episodes, decision time.

Called by `benchmarks.learning.train` for every trained checkpoint and for every rule. Test seeds
only (0:1000); bounds of the episodes are solved once and kept as the records of
``results/learning_bounds.json``.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from time import thread_time
from typing import Any

import numpy as np
import pandas as pd

import formulations
from benchmarks.common import exists, records, write
from learning.offloading.evaluation import independent_states as protocol
from learning.offloading.evaluation.independent_states import Sample
from learning.offloading.prompts import perturbations
from learning.offloading.states.batch_rollout import rollout_batch
from learning.offloading.states.decision_states import States
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.metrics import run_policy
from mecopt.offloading.policies.protocol import Policy
from mecopt.offloading.scenarios import comllm
from mecopt.offloading.schedule import Schedule

BOUNDS = "learning_bounds"
#: Where samples of states are kept between parts (they take longer than asking a network).
SAMPLES = Path("runs/learning/samples")
STATES, SEED = 1000, 1
#: None of them was looked at while settings were chosen (0:10 were).
EPISODE_SEEDS, MORE_SEEDS = range(200, 220), range(200, 240)
#: Preset and servers of the episodes, and their seeds: trained on the first three, the others not.
EPISODES = {
    ("paper", 6): MORE_SEEDS,
    ("busy", 6): MORE_SEEDS,
    ("large", 6): MORE_SEEDS,
    ("slow-servers", 6): EPISODE_SEEDS,
    ("uneven-links", 6): EPISODE_SEEDS,
    ("paper", 3): EPISODE_SEEDS,
    ("paper", 11): EPISODE_SEEDS,
}
#: Preset, servers and task size (Mbit, None: as it comes) of the samples of states.
SAMPLED = (
    *((preset, 6, None) for preset in ("paper", "busy", "large")),
    *(("paper", servers, None) for servers in (*range(3, 6), *range(7, 12), 20, 30)),
    ("paper", 6, 10.0),
)
#: The perturbation of episodes whose prompts are as they come.
UNCHANGED = "none"
SLOT_S = 0.1


# ------------------------------------------------------------------------------------------ bounds
def episodes(preset: str, servers: int) -> list[OffloadingInstance]:
    """The test episodes of one setting."""
    return [comllm.generate(preset, s, servers=servers) for s in EPISODES[preset, servers]]


def bounds() -> dict[str, Any]:
    """Certified bounds by instance hash; what is missing is solved and kept."""
    known = known_bounds()
    for (preset, servers), seeds in EPISODES.items():
        for seed, x in zip(seeds, episodes(preset, servers), strict=True):
            if x.content_hash in known:
                continue
            result = formulations.solve(x, time_limit=15.0, gap=1e-4, seed=seed)
            known[x.content_hash] = {
                "preset": preset,
                "servers": servers,
                "seed": seed,
                "tasks": x.n_tasks,
                "bound_s": result.bound,
                "incumbent_s": result.objective,
                "bound_kind": str(result.bound_kind),
                "gap": result.gap,
            }
            print(f"bound {preset} {servers} {seed}: gap {100 * result.gap:.4f} %", flush=True)
            rows = [{"instance_hash": key, **row} for key, row in known.items()]
            write(BOUNDS, {"instances": len(rows)}, records=pd.DataFrame(rows))
    return known


def known_bounds() -> dict[str, Any]:
    """The bounds that were solved before, by instance hash."""
    if not exists(BOUNDS):
        return {}
    return records(BOUNDS).set_index("instance_hash").to_dict("index")


# ------------------------------------------------------------------------------------------ states
def sample(preset: str, servers: int, size_mbit: float | None) -> Sample:
    """A sample of test states, from disk when it was drawn before."""
    path = SAMPLES / f"{preset}-{servers}-{size_mbit}-{STATES}-{SEED}.npz"
    if path.exists():
        return _read(path)
    drawn, _ = protocol.ask(
        {}, preset=preset, count=STATES, servers=servers, seed=SEED, size_mbit=size_mbit
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {f.name: getattr(drawn, f.name) for f in fields(Sample) if f.name != "states"}
    np.savez(path, **columns, **{f.name: getattr(drawn.states, f.name) for f in fields(States)})
    return drawn


def _read(path: Path) -> Sample:
    """A sample that was kept before."""
    with np.load(path, allow_pickle=False) as kept:
        columns = {f.name: kept[f.name] for f in fields(Sample) if f.name != "states"}
        states: dict[str, Any] = {f.name: kept[f.name] for f in fields(States)}
    return Sample(States(**states | {"preset": tuple(states["preset"].tolist())}), **columns)


def on_states(policy: Any) -> list[dict[str, Any]]:
    """One record per sample."""
    rows = []
    for preset, servers, size_mbit in SAMPLED:
        where = {"preset": preset, "servers": servers, "size_mbit": size_mbit}
        if hasattr(policy, "decide"):
            drawn = sample(preset, servers, size_mbit)
            policy.reset(comllm.generate(preset, 0, servers=servers))
            found = protocol.decide(policy, drawn.states)
        else:
            drawn, answers = protocol.ask(
                {"it": policy}, preset=preset, count=STATES, servers=servers, seed=SEED,
                size_mbit=size_mbit,
            )  # fmt: skip
            found = answers["it"]
        rows.append({**where, **protocol.figures(drawn, found)})
    return rows


# ---------------------------------------------------------------------------------------- episodes
def play(instances: list[OffloadingInstance], policy: Any) -> list[Schedule]:
    """Schedules of a policy, in a batch where it can."""
    if hasattr(policy, "decide"):
        return rollout_batch(instances, policy)
    return [run_policy(x, policy)[0] for x in instances]


def on_episodes(policy: Any, known: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per episode: cost, drops, gap to bound and to the best known schedule."""
    rows = []
    for (preset, servers), seeds in EPISODES.items():
        instances = episodes(preset, servers)
        for seed, schedule in zip(seeds, play(instances, policy), strict=True):
            rows.append(
                {
                    "preset": preset,
                    "servers": servers,
                    "seed": seed,
                    "perturbation": UNCHANGED,
                    **worth(schedule, known),
                }
            )
    return rows


def worth(schedule: Schedule, known: dict[str, Any]) -> dict[str, float]:
    """Figures of a schedule against the bound of its instance.

    Raises
    ------
    RuntimeError
        If it costs less than the bound: then one of the two is wrong.
    """
    best = known[schedule.instance.content_hash]
    cost, bound = schedule.objective, best["bound_s"]
    if cost < bound * (1 - 1e-9):
        raise RuntimeError(f"{best}: a schedule costs {cost!r} s, less than the bound")
    return {
        "cost_slots": schedule.mean_cost_s / SLOT_S,
        "drop_rate": schedule.drop_rate,
        "gap": cost / bound - 1,
        "gap_to_incumbent": cost / min(cost, best["incumbent_s"]) - 1,
    }


def perturbed(
    policy: Any, known: dict[str, Any]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Under each perturbation that the policy can meet: figures on states, rows of episodes."""
    if not perturbations.of(policy):
        return [], []
    setting = ("paper", 6)
    drawn, instances = sample(*setting, None), episodes(*setting)
    rows, played = [], []
    for change in perturbations.of(policy):
        asked = perturbations.Perturbed(policy, change)
        asked.reset(instances[0])
        found = protocol.decide(asked, drawn.states)
        rows.append({"perturbation": change.name, **protocol.figures(drawn, found)})
        where = {"preset": setting[0], "servers": setting[1], "perturbation": change.name}
        schedules = rollout_batch(instances, asked)
        for seed, schedule in zip(EPISODES[setting], schedules, strict=True):
            played.append({**where, "seed": seed, **worth(schedule, known)})
    return rows, played


# ------------------------------------------------------------------------------------ decision time
def decision_times(policy: Any) -> dict[str, float]:
    """CPU ms per decision on one thread: one at a time (median), and in batches of 64."""
    x = comllm.generate("paper", 0, slots=40)
    run_policy(x, policy)  # compile and warm up
    _, figures = run_policy(x, policy)
    out = {
        "batch_1_ms": 1e3 * figures["decision_seconds_p50"],
        "batch_1_p99_ms": 1e3 * figures["decision_seconds_p99"],
    }
    if hasattr(policy, "decide"):
        states = sample("paper", 6, None).states[:64]
        policy.decide(states)
        begin = thread_time()
        for _ in range(10):
            policy.decide(states)
        out["batch_64_ms"] = 1e3 * (thread_time() - begin) / 640
    return out


def evaluate(policy: Policy) -> tuple[dict[str, Any], pd.DataFrame]:
    """Everything above for one policy: the summary, and one record per episode."""
    known = bounds()
    changed, played = perturbed(policy, known)
    summary = {
        "states": on_states(policy),
        "perturbed": changed,
        "decision": decision_times(policy),
    }
    return summary, pd.DataFrame(on_episodes(policy, known) + played)
