"""Damaged certificates: none is accepted wrongly, none ends in a traceback."""

from __future__ import annotations

import copy
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mecopt.certificates.caching import document as caching
from mecopt.certificates.offloading import tree
from tests.support.mutations import Body, attack, valid


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory, compiled_caching: None) -> list[Body]:
    return valid(tmp_path_factory.mktemp("valid"), seeds=1)


def attacked(documents: list[Body], number: int, folder: Path) -> list[Any]:
    return [
        attack(documents[i % len(documents)], np.random.default_rng([7, i]), folder / "d.json")
        for i in range(number)
    ]


def test_damage_is_noticed_or_harmless(documents: list[Body], tmp_path: Path) -> None:
    """Seven kinds of damage; `benchmarks.trust.mutations` goes on for longer."""
    found = attacked(documents, 500, tmp_path)
    wrong = [(o.kind, o.result, o.why) for o in found if o.result in ("fraud", "traceback")]
    assert wrong == []
    results = Counter(o.result for o in found)
    assert min(results[r] for r in ("accepted", "rejected", "unreadable")) > 20
    assert len({o.kind for o in found}) == 7


def test_a_check_that_adds_a_little_is_found_out(
    documents: list[Body], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The judge sees a bound that is a thousandth too high, in either family."""
    exact = caching.exact_bound

    def generous(*arguments: Any) -> tuple[int, int]:
        value, leaves = exact(*arguments)
        return value + value // 100, leaves

    monkeypatch.setattr(caching, "exact_bound", generous)
    whole = tree.Tree.least

    def also_generous(self: Any) -> Any:
        value, leaves = whole(self)
        return None if value is None else value + value // 100, leaves

    monkeypatch.setattr(tree.Tree, "least", also_generous)
    found = attacked(documents, 300, tmp_path)
    assert any(o.result == "fraud" for o in found)


def test_documents_are_not_changed(documents: list[Body], tmp_path: Path) -> None:
    """Damage is done to a copy."""
    before = copy.deepcopy(documents)
    attacked(documents, 20, tmp_path)
    assert before == documents
