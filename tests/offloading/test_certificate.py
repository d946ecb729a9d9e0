"""Certificates: what holds is accepted, what was tampered with is refused."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from formulations.offloading.compact import solve_milp
from formulations.offloading.decomposition import solve_plans
from mecopt.certificates import verify as certificate
from mecopt.certificates.offloading.tree import Tree
from mecopt.certificates.scales import COST_SCALE, PRICE_SCALE
from mecopt.certificates.verify import verify
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task
from mecopt.offloading.scenarios import comllm
from mecopt.result import Termination
from tests.support.leaves import by_hand, server_instance
from tests.support.tiny import tiny_instance

Body = dict[str, Any]


@pytest.fixture
def check(tmp_path: Path) -> Callable[[Body], certificate.Verdict]:
    """Write a body and verify it."""

    def write(body: Body) -> certificate.Verdict:
        certificate.FORMAT.write(tmp_path / "c.json", body)
        return verify(tmp_path / "c.json")

    return write


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Body]:
    """A certificate with prices at the root only, and one with a tree."""
    folder = tmp_path_factory.mktemp("solved")
    instances = {
        "root": (comllm.generate("slow-servers", 0, users=3, servers=2, slots=10), 0.5),
        "tree": (tiny_instance(32, dag=False, down=False), 1e-9),
    }
    out = {}
    for name, (instance, gap) in instances.items():
        result = solve_plans(instance, time_limit=600, gap=gap)
        assert result.termination is Termination.OPTIMAL
        certificate.save(folder / name, result)
        out[name] = certificate.FORMAT.read(folder / name)
    assert len(out["root"]["tree"]) == 1 and len(out["tree"]["tree"]) > 1
    return out


@pytest.mark.parametrize("name", ["root", "tree"])
def test_own_certificates_hold(solved, check, name: str) -> None:
    """What the solver writes, the checker accepts, leaf by leaf."""
    verdict = check(solved[name])
    assert verdict.ok and verdict.problems == []
    assert verdict.leaves == sum("prices" in node for node in solved[name]["tree"])
    assert solved[name]["bound"] <= verdict.bound <= verdict.objective


def test_progress_counts_leaves(solved, tmp_path: Path) -> None:
    """The callback sees (leaves checked, leaves in all), ending with all of them."""
    certificate.FORMAT.write(tmp_path / "c", solved["tree"])
    seen: list[tuple[int, int]] = []
    verdict = verify(tmp_path / "c", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, verdict.leaves) for i in range(1, verdict.leaves + 1)]


def test_certificate_by_another_tool(check) -> None:
    """Zero prices and the sum of each task's best alone, 1 + 1, is a proof; so are hand prices."""
    assert check(by_hand(prices=[{}], bound=2.0)).ok
    assert not check(by_hand(prices=[{}], bound=2.0 * (1 + 1e-9))).ok
    assert check(by_hand()).ok
    # 2.939524096 is not a binary number: just below holds, just above does not.
    assert check(by_hand(bound=2.939524095)).ok
    assert not check(by_hand(bound=2.939524097)).ok


def test_what_is_reported_was_recomputed(check) -> None:
    """A task of 1 ns costs 1e-9 s; a claim of 0 passes as rounding but is not what is reported.

    The interval must hold the optimum, 10^-9 exactly, which is no binary number.
    """
    instance = OffloadingInstance.from_tasks(
        [Resource("server")], [Task(0.0, [Option("run", [Stage("server", 1e-9)])], drop_cost_s=5.0)]
    )
    body = by_hand(
        instance=instance.to_document(), choice=[0], objective=0.0, bound=0.0, prices=[{}]
    )
    verdict = check(body)
    assert verdict.ok
    assert Fraction(verdict.bound) <= Fraction(1, 10**9) <= Fraction(verdict.objective)
    assert verdict.bound == pytest.approx(1e-9) == verdict.objective
    assert (verdict.family, verdict.instance_hash) == ("offloading", instance.content_hash)


def test_what_is_rejected_has_no_interval(check) -> None:
    """No schedule: infinite cost; no proof: a bound of minus infinity. The rest is recomputed."""
    no_schedule = check(by_hand(choice=[0]))
    assert no_schedule.objective == math.inf and no_schedule.bound == pytest.approx(2.939524096)
    no_proof = check(by_hand(tree=[]))
    assert no_proof.objective == 3.0 and no_proof.bound == -math.inf


@pytest.mark.parametrize("name", ["root", "tree"])
def test_raised_bound_is_refused(solved, check, name: str) -> None:
    """A bound 1e-6 above the proven one fails, whichever leaf it rests on."""
    body = solved[name]
    verdict = check({**body, "bound": body["bound"] * (1 + 1e-6)})
    assert not verdict.ok and any("below the claimed bound" in p for p in verdict.problems)


def test_changed_price_is_refused(solved, check) -> None:
    """Moving a binding price lowers the value, at least in one direction."""
    verdicts = []
    for factor in (0.5, 2.0):
        body = copy.deepcopy(solved["root"])
        for pairs in body["prices"][0].values():
            pairs[:] = [[b, int(p * factor)] for b, p in pairs]
        verdicts.append(check(body).ok)
    assert not all(verdicts)
    # By hand: all of the bound above 2 comes from the prices. Without the last one it is
    # 2.805306368; with one at 12 a start moves behind it, and capacity costs 11 x 0.134 more.
    pairs = [[b, PRICE_SCALE] for b in range(7)]
    assert not check(by_hand(prices=[{"0": pairs[:-1]}])).ok
    assert not check(by_hand(prices=[{"0": [[0, 12 * PRICE_SCALE], *pairs[1:]]}])).ok


@pytest.mark.parametrize("choice", [[0, -1], [-1, 0]])
def test_changed_choice_is_refused(check, choice: list[int]) -> None:
    """Dropping a task costs 9 + 1 = 10 s, not the claimed 3 s."""
    verdict = check(by_hand(choice=choice))
    assert not verdict.ok and "the replay costs 10.0 s" in verdict.problems[0]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"objective": 3.001}, "the replay costs 3.0 s"),
        ({"objective": 2.999}, "the replay costs 3.0 s"),
        ({"choice": [0]}, "1 entries for 2 tasks"),
        ({"choice": [0, 1]}, "the task has 1 options"),
        ({"bound": 3.5}, "above the objective 3.0"),
        ({"tree": []}, "missing or used twice"),
        ({"tree": [{"prices": 1}]}, "no price vector 1"),
        ({"tree": [{"prices": -2}]}, "no price vector -2"),
        ({"tree": [{"prices": -1}]}, "leaves a task open"),
        ({"tree": [{"prices": "0"}]}, "no price vector '0'"),
        ({"tree": [{}]}, "malformed tree node"),
        ({"tree": [{"task": 7, "parts": []}]}, "malformed tree node"),
        ({"tree": [{"task": 0.5, "parts": [[[0, -1], 1]]}]}, "malformed tree node"),
        ({"tree": [{"task": True, "parts": []}]}, "malformed tree node"),
        ({"tree": [{"task": 0, "parts": [[["0"], 1]]}]}, "malformed tree node"),
        ({"tree": [{"prices": True}]}, "no price vector True"),
        ({"prices": [{"0": [[0, -5]]}]}, "must be >= 0"),
        ({"prices": [{"0": [[-1, 5]]}]}, "must be >= 0"),
        ({"prices": [{"0": [[10**6, 5]]}]}, "past the end"),
        ({"prices": [{"1": [[0, 5]]}]}, "uplink a is not shared"),
        ({"prices": [{"3": [[0, 5]]}]}, "delay is not shared"),
        ({"prices": [{"4": [[0, 5]]}]}, "no resource 4"),
        ({"prices": [{"-1": [[0, 5]]}]}, "no resource -1"),
        ({"bucket_shift": -1}, "bucket_shift -1|shift count"),
        ({"bucket_shift": 63}, "bucket_shift 63"),
    ],
)
def test_what_does_not_hold_is_refused(check, changes: Body, problem: str) -> None:
    """A readable certificate that proves nothing gets a verdict that says why."""
    verdict = check(by_hand(**changes))
    assert not verdict.ok
    assert any(part in p for p in verdict.problems for part in problem.split("|"))


def test_negative_price_of_an_unknown_resource_proves_nothing(check) -> None:
    """Index -1 must not reach the last resource: -10 x capacity would lift any bound."""
    instance = OffloadingInstance.from_tasks(
        [Resource("server")], [Task(0.0, [Option("run", [Stage("server", 1)])], drop_cost_s=5.0)]
    )
    forged = {"instance": instance.to_document(), "choice": [-1], "objective": 5.0, "bound": 5.0}
    for prices in ({"-1": [[0, -10 * PRICE_SCALE]]}, {"0": [[0, -10 * PRICE_SCALE]]}):
        assert not check(by_hand(**forged, bucket_shift=30, prices=[prices])).ok


def split_by_hand() -> list[Body]:
    """A proof of 3 by splitting both tasks into run and drop, every leaf complete."""
    return [
        {"task": 0, "parts": [[[0], 1], [[-1], 2]]},
        {"task": 1, "parts": [[[0], 3], [[-1], 4]]},
        {"task": 1, "parts": [[[0, -1], 5]]},
        {"prices": -1},
        {"prices": -1},
        {"prices": 0},
    ]


def test_tree_by_hand(check) -> None:
    """Replays 3 and 10 in the complete leaves; dropping task 0 costs 9 + 1 without prices."""
    verdict = check(by_hand(bound=3.0, prices=[{}], tree=split_by_hand()))
    assert verdict.ok and verdict.leaves == 3


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda tree: tree[0]["parts"].pop(1), "leaves out 1 alternatives"),
        (lambda tree: tree[2]["parts"][0][0].pop(), "leaves out 1 alternatives"),
        (lambda tree: tree[0]["parts"][1].__setitem__(1, 1), "used twice"),
        (lambda tree: tree[0]["parts"][1].__setitem__(1, 0), "used twice"),
        (lambda tree: tree[0]["parts"][1].__setitem__(1, 9), "missing"),
        (lambda tree: tree[0]["parts"][1].__setitem__(1, -1), "missing"),
        (lambda tree: tree[0]["parts"][1].__setitem__(1, None), "tree node None is missing"),
        (lambda tree: tree[0].__setitem__("task", -3), "malformed tree node"),
        (lambda tree: tree[5].__setitem__("prices", 1), "no price vector"),
    ],
)
def test_damaged_tree_is_refused(check, damage: Callable[[list[Body]], None], problem: str) -> None:
    """The leaves must cover everything, and every node be its own."""
    tree = split_by_hand()
    damage(tree)
    verdict = check(by_hand(bound=3.0, prices=[{}], tree=tree))
    assert not verdict.ok and any(problem in p for p in verdict.problems)


@pytest.mark.parametrize("child", [None, True, 1.0, "1", [1], {}])
def test_a_part_without_a_node_is_not_skipped(check, child: Any) -> None:
    """Dropping task 0 costs 9 + 1, serving both 3: a proof of 10 would have to leave that out."""
    tree = [{"task": 0, "parts": [[[-1], 1], [[0], child]]}, {"prices": 0}]
    verdict = check(by_hand(choice=[-1, 0], objective=10.0, bound=10.0, prices=[{}], tree=tree))
    assert not verdict.ok and "is missing or used twice" in verdict.problems[0]


def test_an_empty_interval_is_never_accepted(check, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checker that is wrong about the bound (4, the schedule costs 3) contradicts itself."""
    monkeypatch.setattr(Tree, "least", lambda self: (4 * 10**9 * COST_SCALE, 1))
    verdict = check(by_hand(bound=3.0))
    assert verdict.problems == ["the bound 4.0 is above the cost 3.0 of a schedule"]
    assert not verdict.ok and verdict.decided


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": float("nan")}, "NaN is not a number"),
        ({"bound": float("-inf")}, "-Infinity is not a number"),
        ({"tree": {"prices": 0}}, "tree: must be a list"),
        ({"tree": [5]}, "not a list of nodes"),
        ({"prices": [[0]]}, "prices: must be an object"),
        ({"choice": None}, "choice: must be a list"),
        ({"price_scale": 1}, "price_scale is 1"),
        ({"price_scale": 10**400}, "price_scale is 10*[.]{3}0*, expected"),
        ({"schema": "mecopt.schedule"}, "schema is 'mecopt.schedule'"),
        ({"version": 2}, "version is 2"),
        ({"version": True}, "version is True"),
        ({"version": 1.0}, "version is 1.0"),
        ({"bound": "2.0"}, "bound: must be a number, is '2.0'"),
        ({"bound": 10**400}, "bound = 1000.* is not a finite number"),
        ({"objective": True}, "objective: must be a number, is True"),
        ({"price_scale": 1048576.9}, "price_scale: must be a whole number, is 1048576.9"),
        ({"bucket_shift": "27"}, "bucket_shift: must be a whole number"),
        ({"choice": ["0", "0"]}, "choice: must be a whole number, is '0'"),
        ({"choice": [0.0, 0]}, "choice: must be a whole number, is 0.0"),
        ({"prices": [{"00": []}]}, "'00' is not the index of a resource"),
        ({"prices": [{"0": [[0, 1], [0, 2]]}]}, "bucket 0 of resource 0 is there twice"),
        ({"prices": [{"0": [[0, 2**62]]}]}, "not below 2"),
        ({"prices": [{"0": [[0, True]]}]}, "is not a bucket and a price"),
        ({"family": ["offloading"]}, "family is"),
    ],
)
def test_unreadable_file_is_an_error(tmp_path: Path, changes: Body, message: str) -> None:
    """What is not a certificate raises, and names field and value."""
    document = {**certificate.FORMAT.head, **by_hand(), **changes}
    (tmp_path / "c.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match=message):
        verify(tmp_path / "c.json")


def test_changed_instance_or_text_is_an_error(tmp_path: Path) -> None:
    """An instance that does not match its hash, a missing field, no JSON, no file."""
    body = by_hand()
    body["instance"]["release_ns"] = [0, 1]
    path = tmp_path / "c.json"
    certificate.FORMAT.write(path, body)
    with pytest.raises(ValueError, match="hash"):
        verify(path)
    body = by_hand()
    del body["bound"]
    certificate.FORMAT.write(path, body)
    with pytest.raises(ValueError, match="bound"):
        verify(path)
    path.write_text("a bound")
    with pytest.raises(ValueError, match="not a readable JSON document"):
        verify(path)
    with pytest.raises(FileNotFoundError):
        verify(tmp_path / "none.json")


def test_only_proofs_are_saved(tmp_path: Path) -> None:
    """A solver's claim has no certificate, and neither has a result without a schedule."""
    with pytest.raises(ValueError, match="solver-claimed"):
        certificate.save(tmp_path / "c.json", solve_milp(server_instance()))
    must = Task(0.0, [Option("run", [Stage("server", 2)])], deadline_s=1.0)
    infeasible = OffloadingInstance.from_tasks([Resource("server")], [must])
    with pytest.raises(ValueError, match="no schedule"):
        certificate.save(tmp_path / "c.json", solve_plans(infeasible, time_limit=5))
    assert list(tmp_path.iterdir()) == []
