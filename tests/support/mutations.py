"""Seeded damage to valid certificates of every family, and what checking the damaged file gave.

The instances are so small that enumeration knows the optimum: an accepted file whose interval does
not hold it is a fraud, whatever was changed. Shared by the tests and `benchmarks.trust.mutations`.
"""

from __future__ import annotations

import copy
import gzip
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

import formulations
from mecopt.accuracy_delay.instance import QuerySnapshot
from mecopt.caching.instance import CachingInstance
from mecopt.certificates import verify as certificate
from mecopt.offloading.instance import OffloadingInstance
from tests.support import tiny_caching, tiny_snapshots
from tests.support.leaves import leaf_instance, least_replay, root_of

Body = dict[str, Any]
#: Enumeration is left out above this many decisions (only a changed instance can get there).
_MOST_DECISIONS = 200_000
#: Floats of the enumeration are sums of rounded numbers.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Outcome:
    """What became of one damaged file.

    `result` is accepted, rejected, unreadable, undecided, fraud or traceback; `why` says more.
    """

    kind: str
    result: str
    why: str
    seconds: float


# ------------------------------------------------------------------------ valid certificates
def _saved(instance: Any, folder: Path, split: Callable[[Body], Body] | None) -> Body | None:
    """A certificate that claims all that its proof gives, split into two leaves if asked.

    None when the instance has no schedule.
    """
    path = folder / "valid.json"
    result = formulations.solve(instance, time_limit=5.0, gap=1e-6)
    if result.schedule is None:
        return None
    certificate.save(path, result)
    body = json.loads(path.read_text())
    if split is not None:
        body = split(body)
        path.write_text(json.dumps({**body, "bound": -1e6}))
    verdict = certificate.verify(path)
    assert verdict.ok, verdict.problems
    return {**body, "bound": verdict.bound}


def _split_offloading(body: Body) -> Body:
    """Task 0 does its first alternative or one of the others, at the same prices."""
    x = OffloadingInstance.from_document(body["instance"])
    lo = int(x.option_ptr[0])
    every = [o - lo if o >= 0 else -1 for o in root_of(x)[0]]
    parts = [[every[:1], 1], [every[1:], 2]] if len(every) > 1 else [[every, 1]]
    leaves = [{"prices": 0} for _ in parts]
    return {
        **body,
        "prices": body["prices"] or [{}],
        "tree": [{"task": 0, "parts": parts}, *leaves],
    }


def _split_caching(body: Body) -> Body:
    """Pair 0 is resident in slot 0 or not, at the same prices."""
    leaf = {"links": body["links"][0], "hints": body["hints"][0]}
    nodes = [{"pair": 0, "slot": 0, "off": 1, "on": 2}, leaf, copy.deepcopy(leaf)]
    return {**body, "trees": [{"server": 0, "nodes": nodes}]}


def _split_snapshot(body: Body) -> Body:
    """User 0 is at server 0 or not, at the same prices."""
    branch = {"split": "pair", "server": 0, "at": 0, "parts": [1, 2]}
    return {**body, "nodes": [branch, body["nodes"][-1], copy.deepcopy(body["nodes"][-1])]}


def valid(folder: Path, seeds: int = 2) -> list[Body]:
    """Certificates of tiny instances: every family, with and without trees and couplings."""
    out = []
    for seed in range(seeds):
        out.append(_saved(leaf_instance(10 + seed, dag=False), folder, None))
        out.append(_saved(leaf_instance(20 + seed, dag=False), folder, _split_offloading))
        out.append(_saved(leaf_instance(30 + seed, dag=True), folder, None))
        for kind in tiny_caching.KINDS.values():
            out.append(_saved(tiny_caching.tiny_instance(seed, **kind), folder, None))
        one = tiny_caching.tiny_instance(seed, servers=1)
        out.append(_saved(one, folder, _split_caching))
        for shares in ("equal", "optimal"):
            out.append(_saved(tiny_snapshots.tiny_snapshot(seed, shares), folder, None))
            x = tiny_snapshots.tiny_snapshot(40 + seed, shares)
            out.append(_saved(x, folder, _split_snapshot))
    return [body for body in out if body is not None]


# ------------------------------------------------------------------------ ground truth
_CLASSES: dict[str, Any] = {
    cls.family: cls for cls in (OffloadingInstance, CachingInstance, QuerySnapshot)
}


@cache
def _optimum_of(family: str, text: str) -> float | None:
    body = json.loads(text)
    if family == "offloading":
        x = OffloadingInstance.from_document(body)
        if prod(map(len, root_of(x))) > _MOST_DECISIONS:
            return None
        return least_replay(x, root_of(x))
    if family == "accuracy_delay":
        z = QuerySnapshot.from_document(body)
        if (z.n_servers + 1.0) ** z.n_users > _MOST_DECISIONS:
            return None
        return tiny_snapshots.brute_force(z)
    y = CachingInstance.from_document(body)
    if prod(2.0 + float(r) for r in y.requests.ravel()) > _MOST_DECISIONS:
        return None
    return tiny_caching.brute_force(y).objective


def _fraud(text: bytes, verdict: certificate.Verdict) -> str:
    """Why an accepted file should not have been, empty when it is right; '?' when not known."""
    body = json.loads(gzip.decompress(text) if text[:2] == b"\x1f\x8b" else text)
    optimum = _optimum_of(verdict.family, json.dumps(body["instance"]))
    if optimum is None:
        return "?"
    room = _ROUNDING * max(1.0, abs(optimum))
    if max(verdict.bound, body["bound"]) > optimum + room:
        return f"bound {verdict.bound!r}, claimed {body['bound']!r}, optimum {optimum!r}"
    if verdict.objective < optimum - room:
        return f"objective {verdict.objective!r} below the optimum {optimum!r}"
    return ""


# ------------------------------------------------------------------------ damage
_ODD = (
    *(None, True, False, -1, 0, 1, 0.5, 1.0, -0.0, 1e999, 2**31, 2**53 + 1, 2**62, 2**63, 2**64),
    *(10**400, "", "1", "\x1b[2J", "\ud800", [], {}, [[]], [0], {"prices": -1}),
)


def _places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Every (container, key) below a value."""
    keys: Any = value if isinstance(value, dict) else range(len(value))
    for key in keys:
        found.append((value, key))
        if isinstance(value[key], dict | list):
            _places(value[key], found)
    return found


def _place(body: Body, rng: np.random.Generator) -> tuple[Any, Any]:
    """A place, of a field chosen first so that long ones do not take all."""
    field = str(rng.choice([key for key in body if key != "schema"]))
    below = [(body, field)]
    if isinstance(body[field], dict | list):
        below += _places(body[field], [])
    return below[int(rng.integers(len(below)))]


def _other_number(value: Any, rng: np.random.Generator) -> Any:
    step = int(rng.choice([1, 2, 1000, 2**20]))
    ways = [value + step, value - step, -value, 2 * value, 3 * value // 2, 0]
    return ways[int(rng.integers(len(ways)))]


def _change_number(body: Body, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 4))):
        for _ in range(50):
            holder, key = _place(body, rng)
            if type(holder[key]) in (int, float):
                holder[key] = _other_number(holder[key], rng)
                break


def _odd_value(body: Body, rng: np.random.Generator) -> None:
    holder, key = _place(body, rng)
    holder[key] = copy.deepcopy(_ODD[int(rng.integers(len(_ODD)))])


def _reshape(body: Body, rng: np.random.Generator) -> None:
    """Something deleted, doubled, moved or swapped with a neighbour."""
    holder, key = _place(body, rng)
    if isinstance(holder, dict):
        other = str(rng.choice(list(holder)))
        if rng.random() < 0.5:
            del holder[key]
        else:
            holder[key], holder[other] = holder[other], holder[key]
        return
    way, other = int(rng.integers(4)), int(rng.integers(len(holder)))
    if way == 0:
        del holder[key]
    elif way == 1:
        holder.insert(other, copy.deepcopy(holder[key]))
    elif way == 2:
        holder[key], holder[other] = holder[other], holder[key]
    else:
        rng.shuffle(holder)


def _raise_claim(body: Body, rng: np.random.Generator) -> None:
    """A bound a little too high, an objective a little too low, sometimes with other prices too."""
    share = float(rng.choice([1e-15, 1e-12, 1e-9, 1e-6, 1e-3, 0.1, 1.0]))
    if rng.random() < 0.7:
        body["bound"] += share * max(1.0, abs(body["bound"]))
    if rng.random() < 0.4:
        body["objective"] -= share * max(1.0, abs(body["objective"]))
    if rng.random() < 0.5:
        _change_number(body, rng)


def _change_tree(body: Body, rng: np.random.Generator) -> None:
    """Children permuted, shared or of other places; the bound is raised to what would pay."""
    nodes = (
        body["tree"] if "tree" in body else body["trees"][0]["nodes"] if body.get("trees") else []
    )
    if not nodes:
        return _raise_claim(body, rng)
    node = nodes[int(rng.integers(len(nodes)))]
    if "parts" in node:
        part = node["parts"][int(rng.integers(len(node["parts"])))]
        if rng.random() < 0.5:
            part[1] = int(rng.integers(-1, len(nodes) + 1))
        elif part[0]:
            part[0].pop(int(rng.integers(len(part[0]))))
    elif "pair" in node:
        key = str(rng.choice(["pair", "slot", "off", "on"]))
        node[key] = int(rng.integers(-1, 4))
        if rng.random() < 0.5:
            node["off"], node["on"] = node["on"], node["off"]
    elif "prices" in node:
        node["prices"] = int(rng.integers(-2, 3))
    if rng.random() < 0.7:
        body["bound"] = body["objective"]
    return None


def _change_instance(body: Body, rng: np.random.Generator) -> None:
    """Another instance with the right hash: the old claims may no longer hold."""
    inner = body["instance"]
    for _ in range(50):
        holder, key = _place(inner, rng)
        if type(holder[key]) in (int, float):
            holder[key] = _other_number(holder[key], rng)
            break
    family = _CLASSES.get(body.get("family"), OffloadingInstance)
    try:
        given = {name: inner[name] for name in family.saved_fields()}
        given |= {name: read(given[name]) for name, read in family.readers.items()}
        inner["content_hash"] = family(**given).content_hash
    except Exception:  # the damaged instance is refused later
        pass


def _damage_text(text: bytes, rng: np.random.Generator) -> bytes:
    way, at = int(rng.integers(7)), int(rng.integers(len(text)))
    if way == 0:
        return text[:at]
    if way == 1:
        return text[:at] + bytes([int(rng.integers(256))]) + text[at + 1 :]
    if way == 2:
        return text[:at] + b"\\u001b" + text[at:]
    if way == 3:
        return text[:-1] + b', "bound": 0.0}'
    if way == 4:
        return text.replace(b"0,", b"NaN,", 1)
    if way == 5:
        packed = gzip.compress(text)
        at = int(rng.integers(2, len(packed)))
        return packed[:at] + bytes([int(rng.integers(256))]) + packed[at + 1 :]
    return b"[" * int(rng.integers(1, 100_000)) + text


_WAYS: dict[str, Callable[[Body, np.random.Generator], None]] = {
    "number": _change_number,
    "odd value": _odd_value,
    "shape": _reshape,
    "claim": _raise_claim,
    "tree": _change_tree,
    "instance": _change_instance,
}


def mutate(body: Body, rng: np.random.Generator) -> tuple[str, bytes]:
    """One kind of damage and the damaged file."""
    kind = str(rng.choice([*_WAYS, "text"]))
    changed = copy.deepcopy(body)
    if kind in _WAYS:
        _WAYS[kind](changed, rng)
    try:
        text = json.dumps(changed).encode()
    except ValueError:  # pragma: no cover - numbers too long to write
        text = b"{}"
    return kind, _damage_text(text, rng) if kind == "text" else text


def attack(body: Body, rng: np.random.Generator, path: Path) -> Outcome:
    """Damage a certificate, check it, and judge what the check said."""
    kind, text = mutate(body, rng)
    path.write_bytes(text)
    begin = time.perf_counter()
    try:
        verdict = certificate.verify(path)
    except (ValueError, OSError) as error:
        why = str(error)
        result = "unreadable" if why.startswith(str(path)) else "traceback"
        return Outcome(kind, result, why, time.perf_counter() - begin)
    except Exception as error:  # any other is what is looked for
        return Outcome(kind, "traceback", repr(error), time.perf_counter() - begin)
    seconds = time.perf_counter() - begin
    if not verdict.ok:
        result = "rejected" if verdict.decided else "undecided"
        return Outcome(kind, result, "; ".join(verdict.problems), seconds)
    why = _fraud(text, verdict)
    return Outcome(kind, "fraud" if why not in ("", "?") else "accepted", why, seconds)
