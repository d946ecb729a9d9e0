"""Files of up to 1 MB made to take long or much memory: seconds, peak memory, and the answer.

    python -m benchmarks.trust.hostile [--name trust_hostile]

Each file is checked by `mecopt verify` in a process of its own, with the default time limit. The
aim: an answer in one line within 10 s and 1 GB, whatever the file. Reads /proc (Linux).
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import write
from mecopt.caching import CachingInstance, Forwarding
from mecopt.certificates.verify import FORMAT
from mecopt.offloading.instance import OffloadingInstance, Option, Resource, Stage, Task

Body = dict[str, Any]
HEAD = '{"schema":"mecopt.certificate","version":1,"x":'
PROGRAM = """
import sys
from mecopt.cli.app import app
try:
    app(["verify", sys.argv[1]], prog_name="mecopt")
finally:
    status = open("/proc/self/status").read()
    print(status.partition("VmHWM:")[2].split()[0], file=sys.stderr)
"""


# ------------------------------------------------------------------------ caching
def _caching(requests: Any, memory: Any, energy: Any, room: int, **changes: Any) -> CachingInstance:
    born = np.asarray(requests)
    servers, pairs, _ = born.shape
    zeros, ones = np.zeros(pairs), np.ones(pairs, dtype=int)
    given: Body = {
        "server_names": [f"{n}" for n in range(servers)],
        "pair_names": [f"{p}" for p in range(pairs)],
        "model_names": [""] * pairs,
        "requests": born,
        "memory_mb": memory,
        "capacity_mb": [room] * servers,
        "energy_10j": energy,
        "energy_budget_10j": [300] * servers,
        "thoughts": ones,
        "vanish": ones,
        "kappa_max": 40 * ones,
        "inaccuracy": 0.5 + zeros,
        "log_inverse_beta": 0.01 + zeros,
        "accuracy_weight": 1.0,
        **dict.fromkeys(("switch_cost", "edge_cost", "compute_cost"), zeros),
        "cloud_cost": zeros + 1.0,
    }
    return CachingInstance(**{**given, **changes})


def _nothing_cached(x: CachingInstance, links: list[list[int]], **changes: Any) -> Body:
    nothing = np.zeros(x.requests.shape, dtype=int).tolist()
    body = {
        "family": "caching",
        "instance": x.to_document(),
        **{"a": nothing, "x": nothing, "links": links, "coupling": []},
        **{"objective": float(x.requests.sum()), "bound": 0.0, "price_scale": 2**20},
    }
    return {**body, **changes}


def _knapsacks() -> CachingInstance:
    rng = np.random.default_rng(0)
    requests = rng.integers(0, 3, size=(1, 200, 100))
    return _caching(requests, rng.integers(3000, 40000, 200), rng.integers(1, 30, 200), 80_000)


def hard_slots(**hint: int) -> Body:
    """200 pairs of sizes exact to the MB at random prices; hints that claim too little."""
    x, rng = _knapsacks(), np.random.default_rng(1)
    links = [(-rng.integers(0, 2**24, size=int((x.requests + 2).sum()))).tolist()]
    hints = [{name: [value] * x.n_slots for name, value in hint.items()}]
    return _nothing_cached(x, links, **({"hints": hints} if hint else {}))


def shared_nodes() -> Body:
    """A tree of 40 branches whose children are the same next node."""
    x = _caching(np.ones((1, 2, 40), dtype=int), [1000, 1000], [1, 1], 1500)
    nodes: list[Body] = [{"pair": 0, "slot": i, "off": i + 1, "on": i + 1} for i in range(40)]
    trees = [{"server": 0, "nodes": [*nodes, {"links": [0] * 240}]}]
    return _nothing_cached(x, [[0] * 240], trees=trees)


def many_requests() -> Body:
    """10^8 requests in every cell, of which the energy of a slot allows 30."""
    x = _caching(np.full((3, 1, 50), 10**8), [1], [10], 1, coupling=Forwarding(np.array([0.1])))
    return _nothing_cached(x, [[0] * 1600] * 3, coupling=[0] * 150)


def many_pairs_of_great_age() -> Body:
    """9,000 pairs of up to 10,000 thoughts."""
    ones = np.ones(9000, dtype=int)
    x = _caching(np.ones((1, 9000, 1), dtype=int), ones, ones, 100, kappa_max=10_000 * ones)
    return _nothing_cached(x, [[0] * 27_000])


def many_slots_of_great_age() -> Body:
    """30,000 slots in which thoughts may grow to 10,000, at random prices."""
    rng = np.random.default_rng(0)
    requests = rng.integers(0, 4, size=(1, 1, 30_000))
    x = _caching(requests, [1], [1], 100, kappa_max=[10_000], thoughts=[3], vanish=[2])
    links = rng.integers(-(2**20), 2**20, size=int((requests + 2).sum())).tolist()
    return _nothing_cached(x, [links])


# ------------------------------------------------------------------------ offloading
def _all_dropped(x: OffloadingInstance, prices: list[Any], tree: list[Body]) -> Body:
    return {
        "family": "offloading",
        "instance": x.to_document(),
        "choice": [-1] * x.n_tasks,
        **{"objective": float(x.drop_cost_ns.sum()) / 1e9, "bound": -1e9},
        **{"bucket_shift": 20, "price_scale": 2**20, "prices": prices, "tree": tree},
    }


def _task(*stages: Stage, owner: str = "u") -> Task:
    return Task(0.0, [Option("run", list(stages))], owner=owner, drop_cost_s=10.0, deadline_s=100.0)


def long_chain() -> Body:
    """3,000 stages on a server whose price changes 20,000 times."""
    tasks = [_task(*[Stage("s", 1e-3)] * 3000), _task(Stage("s", 1e-3), owner="v")]
    x = OffloadingInstance.from_tasks([Resource("s")], tasks)
    pairs = [[b, b * 7919 % 1000 + 1] for b in range(20_000)]
    return _all_dropped(x, [{"0": pairs}], [{"prices": 0}])


def _many_tasks() -> OffloadingInstance:
    tasks = [_task(Stage("s", 1e-3), owner=str(k)) for k in range(3000)]
    return OffloadingInstance.from_tasks([Resource("s")], tasks)


def many_leaves() -> Body:
    """20,000 leaves of 3,000 tasks."""
    tree = [{"task": 0, "parts": [[[0, -1], i + 1] for i in range(15_000)]}]
    leaves = [{"prices": i % 7} for i in range(15_000)]
    return _all_dropped(_many_tasks(), [{}] * 7, [*tree, *leaves])


def many_vectors() -> Body:
    """The same with a price vector for every leaf."""
    body = many_leaves()
    leaves = [{"prices": i} for i in range(15_000)]
    return {**body, "prices": [{}] * 15_000, "tree": [body["tree"][0], *leaves]}


def many_labels() -> Body:
    """300 tasks of one owner, each on one of 12 private devices."""
    rng = np.random.default_rng(0)
    ways = [
        [Option(f"{i}", [Stage(f"p{i}", rng.uniform(1, 2)), Stage("s", 0.1)]) for i in range(12)]
        for _ in range(300)
    ]
    tasks = [Task(0.0, options, owner="u", drop_cost_s=100.0) for options in ways]
    resources = [Resource("s"), *(Resource(f"p{i}") for i in range(12))]
    x = OffloadingInstance.from_tasks(resources, [*tasks, _task(Stage("s", 0.1), owner="v")])
    return _all_dropped(x, [{}], [{"prices": 0}])


# ------------------------------------------------------------------------ bytes
TEXTS: dict[str, Callable[[], bytes]] = {
    "a gigabyte of blanks, packed": lambda: gzip.compress(b" " * 10**9),
    "ten million lists, packed": lambda: gzip.compress(
        (HEAD + "[" + "[]," * 10**7 + "0]}").encode()
    ),
    "six million texts, packed": lambda: gzip.compress(
        (HEAD + "[" + '"ab",' * 6 * 10**6 + "0]}").encode()
    ),
    "half a million levels": lambda: (HEAD + "[" * 500_000 + "]" * 500_000 + "}").encode(),
    "a million digits": lambda: (HEAD + "9" * 10**6 + "}").encode(),
}
BODIES: dict[str, Callable[[], Body]] = {
    "hard slots": hard_slots,
    "hard slots, hints of nothing": lambda: hard_slots(energy=0, least=0),
    "hard slots, hints too low": lambda: hard_slots(energy=2**43, least=2**40),
    "shared nodes": shared_nodes,
    "many requests": many_requests,
    "many pairs of great age": many_pairs_of_great_age,
    "many slots of great age": many_slots_of_great_age,
    "long chain": long_chain,
    "many leaves": many_leaves,
    "many price vectors": many_vectors,
    "many labels": many_labels,
}


def measure(name: str, path: Path) -> dict[str, Any]:
    """Check one file in a process of its own."""
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, timeout=300,
        check=False, env=os.environ | {"COLUMNS": "200"},
    )  # fmt: skip
    seconds = time.perf_counter() - begin
    *said, peak = done.stderr.splitlines()
    return {
        "file": name,
        "bytes": path.stat().st_size,
        "status": done.returncode,
        "seconds": seconds,
        "peak_mb": int(peak) / 1e3,
        "lines": len(said),
        "said": (done.stdout + "\n".join(said)).replace(str(path), "FILE")[:160],
    }


def main() -> None:
    """Make, check and write every file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="trust/hostile", help="of the result")
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.json"
        for name, make in {**TEXTS, **BODIES}.items():
            content = make()
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(json.dumps({**FORMAT.head, **content}))
            rows.append(measure(name, path))
            print(rows[-1], flush=True)
    worst = {key: max(row[key] for row in rows) for key in ("seconds", "peak_mb", "lines")}
    path = write(asked.name, {"worst": worst, "rows": rows})
    print(path, worst)


if __name__ == "__main__":
    main()
