"""Trees over residency: bounds of every schedule, checked in whole numbers."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import formulations
from formulations.caching.blocks import build
from formulations.caching.branching import Tree
from formulations.caching.coupling import Coupling
from formulations.caching.oracle import LinkOracle, Pricer, RestrictedOracle
from mecopt.caching.scenarios import t2drl as caching
from mecopt.certificates import verify as certificate
from tests.support.tiny_caching import brute_force, tiny_instance

FAR = time.perf_counter() + 1e6


def oracle(x: Any, kind: type[LinkOracle] = LinkOracle) -> Any:
    """The links of all servers of an instance."""
    blocks = build(x)
    return kind(blocks, Pricer(blocks), Coupling(blocks))


def grown(links: LinkOracle, prices: Any, seconds: float, target: float = np.inf) -> Tree:
    tree = Tree(links, prices, lambda picked: None)
    tree.grow(lambda: target, time.perf_counter() + seconds)
    return tree


@pytest.mark.parametrize("seed", range(12))
def test_leaves_bound_the_optimum(seed: int) -> None:
    """Brute force is never below the tree, and branching never lowers the root's bound."""
    x = tiny_instance(seed)
    best = brute_force(x).objective
    links = oracle(x)
    nothing = np.zeros(links.blocks.n_choices)
    root = Tree(links, nothing, lambda picked: None)
    tree = grown(links, root.proof()[0].links, 0.3, target=best - 1e-6)
    assert root.bound - 1e-6 <= tree.bound <= best + 1e-9


def test_a_tree_keeps_to_its_deadline() -> None:
    """Past it the root has one evaluation, and nothing is branched on."""
    links = oracle(tiny_instance(3))
    start = np.zeros(links.blocks.n_choices)
    tree = Tree(links, start, lambda picked: None, deadline=0.0)
    tree.grow(lambda: np.inf, 0.0)
    assert tree.leaves == 1
    assert tree.bound <= Tree(links, start, lambda picked: None).bound + 1e-9


def test_both_sides_of_a_branch_are_searched() -> None:
    """Resident in slot 0 or not: the lesser of both restricted optima is the optimum."""
    x = tiny_instance(3)
    links = oracle(x, RestrictedOracle)
    first, second = links.blocks.first[:2]
    prices = np.zeros(links.blocks.n_choices)
    whole = links.price(prices).value[: x.n_pairs].sum()
    sides = []
    for out in (np.arange(first, first + 1), np.arange(first + 1, second)):
        side = oracle(x, RestrictedOracle)
        side.ban(out, prices.copy())
        sides.append(side.price(prices).value[: x.n_pairs].sum())
    assert min(sides) == pytest.approx(whole)
    assert max(sides) > whole  # one of them loses by it


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A certificate of one server, with a tree of a few leaves."""
    x = caching.generate("ten", 0, agents=8, servers=1, slots=40)
    result = formulations.solve(x, time_limit=1.0)
    assert result.proof is not None
    links = oracle(x)
    tree = Tree(links, np.zeros(links.blocks.n_choices), lambda picked: None)
    tree.grow(lambda: np.inf if tree.leaves < 4 else 0.0, FAR)
    assert tree.leaves == 4
    proof = replace(result.proof, trees={0: tree.proof()})
    path = tmp_path_factory.mktemp("tree") / "certificate.json"
    # Prices from zero: fewer evaluations than a solve, so that plans still disagree.
    certificate.save(path, replace(result, proof=proof, bound=min(tree.bound, result.objective)))
    return json.loads(path.read_text())


def problems(document: Any, folder: Path, **changes: Any) -> list[str]:
    path = folder / "changed.json"
    path.write_text(json.dumps({**document, **changes}))
    return list(certificate.verify(path).problems)


def with_root(document: Any, **changes: int) -> Any:
    """The same trees, the root changed."""
    tree = document["trees"][0]
    return [{**tree, "nodes": [{**tree["nodes"][0], **changes}, *tree["nodes"][1:]]}]


def test_a_tree_is_accepted(document: Any, tmp_path: Path) -> None:
    assert problems(document, tmp_path) == []


def test_a_tree_that_leaves_schedules_out_is_rejected(document: Any, tmp_path: Path) -> None:
    """Both sides of the root lead to the leaf of one: the other side's prices prove less there."""
    root = document["trees"][0]["nodes"][0]
    swapped = with_root(document, off=root["on"], on=root["off"])
    assert "below the claimed bound" in problems(document, tmp_path, trees=swapped)[0]


def test_a_higher_bound_is_rejected(document: Any, tmp_path: Path) -> None:
    claimed = document["bound"] + 1e-3
    assert "below the claimed" in problems(document, tmp_path, bound=claimed)[0]


def test_nodes_must_come_later(document: Any, tmp_path: Path) -> None:
    """A root that is its own child would never end."""
    found = problems(document, tmp_path, trees=with_root(document, on=0))
    assert "child 0 does not come later" in found[0]


@pytest.mark.parametrize(
    ("change", "says"),
    [({"slot": 99}, "no pair"), ({"pair": -1}, "no pair"), ({"off": 10**6}, "does not come later")],
)
def test_branches_name_what_exists(
    document: Any, tmp_path: Path, change: dict[str, int], says: str
) -> None:
    assert says in problems(document, tmp_path, trees=with_root(document, **change))[0]


def test_coupled_servers_have_no_tree(document: Any, tmp_path: Path) -> None:
    """A tree over one server says nothing where servers meet."""
    x = caching.generate("backhaul", 0, agents=4, servers=2, slots=4)
    path = tmp_path / "coupled.json"
    certificate.save(path, formulations.solve(x, time_limit=0.5))
    coupled = json.loads(path.read_text())
    found = problems(coupled, tmp_path, trees=document["trees"])
    assert found


def test_malformed_trees_are_not_read(document: Any, tmp_path: Path) -> None:
    wrong = with_root(document)
    wrong[0]["nodes"][0]["pair"] = "first"
    with pytest.raises(ValueError, match="whole numbers"):
        problems(document, tmp_path, trees=wrong)
