"""Every command once on a small input, with the mecopt that this Python has installed.

    python -P benchmarks/smoke.py [--families offloading,caching,...]

Needs the standard library and an installed mecopt without extras; nothing is read from the source
tree (``-P`` keeps this folder from shadowing the installed packages). Prints what ran as JSON. Used
by `benchmarks.versions` on the oldest and the newest dependencies, and by the test of the wheel.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

MARKET = "side,value\nbuyer,9\nbuyer,7\nbuyer,4\nseller,2\nseller,5\nseller,8\n"
MAIN = "from mecopt.cli import main; main()"


def python(code: str, *arguments: str) -> str:
    """Run code in a fresh interpreter, in the working folder; returns its standard output."""
    environment = os.environ | {"MPLBACKEND": "agg", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{arguments or code}: exit status {done.returncode}\n{done.stderr}")
    return done.stdout


def mecopt(line: str) -> str:
    """Run a command line of mecopt; returns its standard output."""
    return python(MAIN, *line.split())


def proven(path: str, gap: float) -> None:
    """A solved instance has a bound below its objective, at most `gap` apart."""
    body = json.loads(Path(path).read_text())
    assert body["bound"] <= body["objective"] * (1 + 1e-9), body
    assert body["gap"] <= gap, body["gap"]


def offloading() -> None:
    """Solve with a certificate, verify it, benchmark, report; the compact model with HiGHS."""
    mecopt("solve --preset paper --gap 0.02 --json a.json --certificate a.proof.json.gz")
    proven("a.json", 0.02)
    assert "accepted" in mecopt("verify a.proof.json.gz").lower()
    mecopt(
        "bench comllm --seeds 0:1 --policies one-step-oracle,priced,random --gap 0.02 "
        "--jobs 1 --out run --json records.json"
    )
    assert len(json.loads(Path("records.json").read_text())) == 3
    Path("run/report.html").unlink()
    mecopt("report run")
    assert "<html" in Path("run/report.html").read_text()
    python(
        "from mecopt.offloading.scenarios import comllm\n"
        "comllm.generate('paper', 0, users=3, servers=3, slots=5).save('small.json')"
    )
    said = mecopt("solve --instance small.json --method milp --gap 1e-6 --json m.json")
    proven("m.json", 1e-6)
    assert "HiGHS" not in said, f"the solver prints on standard output: {said}"


def caching() -> None:
    """Solve with a certificate, verify it, benchmark; the network model with HiGHS."""
    python(
        "from mecopt.caching.scenarios import t2drl\n"
        "t2drl.generate('ten', 0, agents=6, servers=1, slots=6).save('cache.json')"
    )
    mecopt("solve --instance cache.json --gap 0.01 --json c.json --certificate c.proof.json.gz")
    proven("c.json", 0.01)
    assert "accepted" in mecopt("verify c.proof.json.gz").lower()
    mecopt("solve --instance cache.json --method network --gap 1e-6 --json n.json")
    proven("n.json", 1e-6)
    mecopt(
        "bench caching --seeds 0:1 --policies cloud,myopic --gap 0.5 --jobs 1 --out cache-run "
        "--json cache-records.json"
    )
    assert len(json.loads(Path("cache-records.json").read_text())) == 2


def market() -> None:
    """Audit every mechanism that fits a market file."""
    Path("market.csv").write_text(MARKET)
    mecopt("audit --market market.csv --sample 4 --false-names 1 --json audit.json")
    rows = json.loads(Path("audit.json").read_text())["mechanisms"]
    assert {"vcg", "mcafee"} <= {row["mechanism"] for row in rows}


def accuracy_delay() -> None:
    """Solve with a certificate, verify, benchmark; a model in HiGHS, the relaxation in cvxpy."""
    mecopt(
        "solve --scenario goa --users 12 --gap 1e-6 --save-instance q.json --json q1.json "
        "--certificate q.proof.json.gz"
    )
    proven("q1.json", 1e-6)
    assert "accepted" in mecopt("verify q.proof.json.gz").lower()
    mecopt("solve --instance q.json --method counts --gap 1e-6 --json q2.json")
    proven("q2.json", 1e-6)
    mecopt("solve --scenario goa --users 12 --shares optimal --method perspective --json q3.json")
    proven("q3.json", 0.05)
    mecopt(
        "bench goa --users 12 --seeds 0:1 --policies goa,threshold --jobs 1 --out goa-run "
        "--json goa-records.json"
    )
    assert len(json.loads(Path("goa-records.json").read_text())) == 2


def task_graphs() -> None:
    """Benchmark WiFi episodes of a few tasks, with and without a planner."""
    mecopt(
        "bench wifi --arrivals 0.005 --seeds 0:1 --gap 0.05 --jobs 1 --out wifi-run "
        "--policies nearest-edge,graph-greedy,graph-greedy-teacher --json wifi-records.json"
    )
    rows = json.loads(Path("wifi-records.json").read_text())
    assert [row["planner"] for row in rows] == ["none", "truth", "teacher"]


FAMILIES: dict[str, Callable[[], None]] = {
    "offloading": offloading,
    "caching": caching,
    "accuracy_delay": accuracy_delay,
    "market": market,
    "task_graphs": task_graphs,
}


def main() -> None:
    """Run the families asked for in a folder of their own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--families", default=",".join(FAMILIES))
    asked = parser.parse_args().families.split(",")
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        where = python("import mecopt; print(mecopt.__file__)").strip()
        version = mecopt("--version").strip()
        assert "bench" in mecopt("--help")
        for family in asked:
            begin = time.perf_counter()
            FAMILIES[family]()
            seconds[family] = round(time.perf_counter() - begin, 1)
        os.chdir("/")
    print(json.dumps({"mecopt": version, "file": where, "seconds": seconds}))


if __name__ == "__main__":
    main()
