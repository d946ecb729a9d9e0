"""Rules for task graphs by name, alone or with a planner: entry points of ``mecopt.policies``.

Alone, a rule sees the true plans: the best that planning can do. With a planner it sees what the
planner believes, and pays for its time: ``graph-greedy-teacher``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mecopt import checks, plugins
from mecopt.offloading.policies.lookahead import Lookahead
from mecopt.offloading.policies.protocol import Policy
from mecopt.offloading.policies.simple import OneStepOracle
from mecopt.task_graphs import planners
from mecopt.task_graphs.planners import Planner
from mecopt.task_graphs.policies.futures import wifi_futures
from mecopt.task_graphs.policies.greedy import GraphGreedy
from mecopt.task_graphs.policies.planned_rule import PlannedRule
from mecopt.task_graphs.policies.whole import NearestEdge, WholeLocal

#: Futures per decision, how far they are played (s), options tried, and options of sampled tasks.
#: From a sweep on preset `paper`, seeds 1000:1008; more of each changes the reward by less than
#: 0.0005.
SAMPLES, HORIZON_S, CANDIDATES, FUTURE_OPTIONS = 24, 20.0, 6, 5


def lookahead(seed: int = 0) -> Lookahead:
    """The look-ahead over sampled futures of WiFi episodes."""
    return Lookahead(
        SAMPLES,
        HORIZON_S,
        wifi_futures(seed, FUTURE_OPTIONS),
        name="graph-lookahead",
        candidates=CANDIDATES,
    )


#: Rules by name, each made from the seed of what it draws.
RULES: Mapping[str, Callable[[int], Policy]] = {
    "whole-local": lambda seed: WholeLocal(),
    "nearest-edge": lambda seed: NearestEdge(),
    "graph-greedy": lambda seed: GraphGreedy(),
    # All assignments and modes at once: the one-step oracle of the offloading family.
    "graph-joint": lambda seed: OneStepOracle("graph-joint"),
    "graph-lookahead": lookahead,
}
#: Planners that need no learning, each made from a seed.
PLANNERS: Mapping[str, Callable[[int], Planner]] = {
    "teacher": planners.teacher,
    "raw": planners.raw,
}
#: What pyproject.toml declares: each rule alone, and those that read plans with each planner.
NAMES = (
    *RULES,
    *(f"{r}-{p}" for r in RULES if r.startswith("graph-") for p in PLANNERS),
)


def rule(name: str, planner: Planner | None = None, seed: int = 0) -> Policy:
    """A rule, on the plans of a planner or on the true ones.

    Parameters
    ----------
    name : str
        A key of `RULES`.
    planner : Planner, optional
    seed : int
        Of what the rule draws.

    Raises
    ------
    ValueError
        If the name is unknown or the seed negative.
    """
    checks.known("rule", name, RULES)
    checks.check_seed(seed)
    made = RULES[name](seed)
    return made if planner is None else PlannedRule(made, planner)


def entry(name: str, planner: str | None = None) -> Callable[..., Policy]:
    """A factory as entry points have it (`mecopt.plugins`)."""

    def make(asked: plugins.Asked) -> Policy:
        made = None if planner is None else PLANNERS[planner](asked.seed)
        return rule(name, made, asked.seed)

    return plugins.rule_entry(name, make)


whole_local, nearest_edge = entry("whole-local"), entry("nearest-edge")
graph_greedy, graph_joint = entry("graph-greedy"), entry("graph-joint")
graph_lookahead = entry("graph-lookahead")
graph_greedy_teacher, graph_greedy_raw = (
    entry("graph-greedy", "teacher"),
    entry("graph-greedy", "raw"),
)
graph_joint_teacher, graph_joint_raw = entry("graph-joint", "teacher"), entry("graph-joint", "raw")
graph_lookahead_teacher = entry("graph-lookahead", "teacher")
graph_lookahead_raw = entry("graph-lookahead", "raw")
