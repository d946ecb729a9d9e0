"""Rules for failing nodes by name: entry points of ``mecopt.policies``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mecopt import checks, plugins
from mecopt.collaboration.policies.futures import lookahead
from mecopt.collaboration.policies.genetic import GeneticSearch
from mecopt.collaboration.policies.simple import (
    EarliestStart,
    ExpectedSuccess,
    Keep,
    ReliabilityAwareTwoChoice,
    TwoChoice,
)
from mecopt.offloading.policies.protocol import Policy

#: Rules by name, each made from the seed of what it draws and the data folder. ``random`` is that
#: of every scenario.
RULES: Mapping[str, Callable[[int, Any], Policy]] = {
    "keep": lambda seed, data_dir: Keep(),
    "earliest-start": lambda seed, data_dir: EarliestStart(),
    "two-choice": lambda seed, data_dir: TwoChoice(seed=seed),
    "ratc": lambda seed, data_dir: ReliabilityAwareTwoChoice(seed=seed),
    "expected-success": lambda seed, data_dir: ExpectedSuccess(),
    "expected-lookahead": lookahead,
    "agsp": lambda seed, data_dir: GeneticSearch(seed=seed),
}


def rule(name: str, seed: int = 0, data_dir: Any = None) -> Policy:
    """A rule by its name; `data_dir` is for futures over edge sites.

    Raises
    ------
    ValueError
        If the name is unknown or the seed negative.
    """
    checks.known("rule", name, RULES)
    checks.check_seed(seed)
    return RULES[name](seed, data_dir)


def entry(name: str) -> Callable[..., Policy]:
    """A factory as entry points have it (`mecopt.plugins`)."""
    return plugins.rule_entry(name, lambda asked: rule(name, asked.seed, asked.data_dir))


keep, earliest_start = entry("keep"), entry("earliest-start")
two_choice, ratc = entry("two-choice"), entry("ratc")
expected_success, agsp = entry("expected-success"), entry("agsp")
expected_lookahead = entry("expected-lookahead")
