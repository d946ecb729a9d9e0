"""Figures behind the tables: policies on independent states and on whole episodes.

`learning.offloading.evaluation.tables` puts them together; every figure keeps what it was measured
on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from learning.offloading import zoo
from learning.offloading.evaluation import independent_states as protocol
from learning.offloading.evaluation.independent_states import Answers, Sample
from learning.offloading.prompts import perturbations
from learning.offloading.prompts.perturbations import Perturbed
from learning.offloading.states.batch_rollout import rollout_batch
from mecopt.bench import run as benchmark
from mecopt.bench.paper_tables.table import Figure
from mecopt.bench.scorecard import scorecard
from mecopt.bench.suite import Suite
from mecopt.checkpoints import Checkpoint
from mecopt.offloading.policies import by_name as policies
from mecopt.offloading.policies.protocol import Policy
from mecopt.offloading.scenarios import comllm
from mecopt.statistics import bootstrap_interval, paired_difference

#: Rules of the core in every table.
RULES = ("one-step-oracle", "one-step-oracle-drop", "priced", "lookahead", "random")


@dataclass(frozen=True)
class Request:
    """What to make a table from.

    Parameters
    ----------
    out : Path
        Folder for episodes (run folders that resume) and results.
    policies : tuple of str
        Names; `default_policies` unless given.
    checkpoints : tuple of Checkpoint
    preset : str
    states, seed : int
        Size and seed of the sample of states.
    seeds : (first, end)
        Episodes.
    jobs : int or None
        Episodes at a time; one per core unless said.
    on_part : callable
        Called with (what, done, all) as episodes end.
    """

    out: Path
    policies: tuple[str, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    preset: str = "paper"
    states: int = 1000
    seed: int = 0
    seeds: tuple[int, int] = (0, 8)
    jobs: int | None = None
    on_part: Callable[[str, int, int], None] = field(
        default=lambda what, done, total: None, compare=False
    )

    def facts(self) -> dict[str, Any]:
        """What a table was made from, JSON-able."""
        return {
            "preset": self.preset,
            "states": self.states,
            "seed": self.seed,
            "episode_seeds": list(range(*self.seeds)),
            "policies": list(self.policies),
            "checkpoints": {c.name: c.digest for c in self.checkpoints},
        }

    def ask(
        self, asked: Mapping[str, Policy] | None = None, **changes: Any
    ) -> tuple[Sample, dict[str, Answers]]:
        """Answers of policies, its own unless given, in its sample of states."""
        policies = load(self) if asked is None else asked
        return protocol.ask(
            policies, preset=self.preset, count=self.states, seed=self.seed, **changes
        )


def default_policies(checkpoints: tuple[Checkpoint, ...] = ()) -> tuple[str, ...]:
    """Rules of the core, trained policies that are shipped, and checkpoints given."""
    shipped = [name for name in zoo.NAMES if zoo.shipped(name)]
    return tuple(dict.fromkeys([*RULES, *shipped, *(c.name for c in checkpoints)]))


def load(request: Request) -> dict[str, Policy]:
    """The policies of a request, by name."""
    folders = {c.name: c.folder for c in request.checkpoints}
    return {
        name: policies.make(name, preset=request.preset, checkpoint=folders.get(name))
        for name in request.policies
    }


def state_figures(
    sample: Sample, answers: Mapping[str, Answers], setting: str, *quantities: str
) -> list[Figure]:
    """Figures of independent states, in per cent where the name says so."""
    least = sample.cost_slots.min(axis=1)
    out = []
    for name, found in answers.items():
        cost = sample.cost_slots[np.arange(len(sample)), found.option]
        raw = protocol.figures(sample, found)
        interval = {
            "cost_slots": bootstrap_interval(cost),
            "pr_percent": _ratio_interval(least, cost),
        }
        for quantity in quantities:
            column, scale = _COLUMNS[quantity]
            low, high = interval.get(quantity, (float("nan"), float("nan")))
            ours = scale * raw[column]
            out.append(Figure("states", name, setting, quantity, ours, low, high))
    return out


#: Quantity of a table -> column of a scorecard or of a record of states, and its factor.
_COLUMNS = {
    "gap_percent": ("gap_to_bound", 100.0),
    "cost_slots": ("mean_cost_slots", 1.0),
    "pr_percent": ("pr", 100.0),
    "agreement_percent": ("agreement", 100.0),
    "drop_percent": ("drop_rate", 100.0),
    "parsed_percent": ("parse_rate", 100.0),
    "backlog_fairness": ("backlog_fairness", 1.0),
    "assignment_fairness": ("assignment_fairness", 1.0),
}


def _ratio_interval(
    over: NDArray[np.float64], under: NDArray[np.float64], seed: int = 0
) -> tuple[float, float]:
    """95 % bootstrap interval over states of 100 x mean / mean."""
    rng = np.random.default_rng(seed)
    pick = rng.integers(len(over), size=(2000, len(over)))
    ratio = 100 * over[pick].mean(axis=1) / under[pick].mean(axis=1)
    return float(np.quantile(ratio, 0.025)), float(np.quantile(ratio, 0.975))


def play(request: Request, what: str, **changes: Any) -> dict[str, pd.DataFrame]:
    """Tables of the episodes of a request, from a run folder named after them that resumes."""
    names = request.policies
    trained = tuple(c for c in request.checkpoints if c.name in names)
    suite = Suite(
        "comllm", (request.preset,), request.seeds, names, checkpoints=trained, options=changes
    )
    folder = benchmark.run(
        suite,
        request.out / f"episodes-{suite.digest}",
        jobs=request.jobs,
        on_part=lambda done, total: request.on_part(f"episodes, {what}", done, total),
    )
    return folder.read()[1]


def episode_figures(
    request: Request, setting: str, *quantities: str, **changes: Any
) -> list[Figure]:
    """Figures of whole episodes; `changes` are parameters in place of the preset's."""
    tables = play(request, setting or request.preset, **changes)
    card = scorecard(tables["results"], "offloading").set_index("policy")
    out = []
    for name in request.policies:
        row: Any = card.loc[name]
        for quantity in quantities:
            column, scale = _COLUMNS[quantity]
            ours, low, high = (scale * float(row[column + end]) for end in ("", "_low", "_high"))
            out.append(Figure("episodes", name, setting, quantity, ours, low, high))
    return out


# ------------------------------------------------------------------------------------- perturbed
def perturbed_states(request: Request, asked: Mapping[str, Policy]) -> list[Figure]:
    """Change of the mean cost in slots under every perturbation, state by state."""
    sample, plain = request.ask(asked)
    instance = protocol.episodes(request.preset, 1, request.seed)[0]
    rows, out = np.arange(len(sample)), []
    for name, policy in asked.items():
        before = sample.cost_slots[rows, plain[name].option]
        for change in perturbations.of(policy):
            told = Perturbed(policy, change)
            told.reset(instance)
            after = sample.cost_slots[rows, protocol.decide(told, sample.states).option]
            moved = paired_difference(after, before)
            out.append(Figure("states", name, change.name, "change_slots", *moved))
    return out


def perturbed_episodes(request: Request, asked: Mapping[str, Policy]) -> list[Figure]:
    """Change of the gap to the bound, in points, when every prompt of an episode is perturbed."""
    tables = play(request, "unperturbed")
    results, bound = tables["results"], tables["instances"].set_index("seed")["bound_s"]
    seeds = list(range(*request.seeds))
    instances = [comllm.generate(request.preset, seed) for seed in seeds]
    known = bound.loc[seeds].to_numpy()
    out = []
    for name, policy in asked.items():
        mine = results[results["policy"] == name].set_index("seed")
        before = 100 * mine.loc[seeds, "gap_to_bound"].to_numpy()
        for i, change in enumerate(perturbations.of(policy)):
            request.on_part(f"{name}, {change.name}", i, len(perturbations.of(policy)))
            schedules = rollout_batch(instances, Perturbed(policy, change))
            cost = np.array([s.mean_cost_s for s in schedules])
            moved = paired_difference(100 * (cost / known - 1), before)
            out.append(Figure("episodes", name, change.name, "gap_change_percent", *moved))
    return out
