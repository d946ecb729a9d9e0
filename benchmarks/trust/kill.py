"""A benchmark killed with SIGKILL at six points, resumed, and held against one that was left alone.

    python -m benchmarks.trust.kill [--seeds 0:6] [--preset paper] [--jobs 2]

Five points are exact: the process ends itself just before or just after a certain file is put in
its place, which is when an interruption hurts most. The sixth comes from outside, in the middle of
a solve. Instances end by their gap, so that tables must be equal in all but the columns of clocks.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.common import write
from mecopt.bench.run_folder import TABLES, RunFolder

#: Columns that a clock writes; mean_cost_charged_ms adds the time of decisions.
CLOCKS = re.compile("seconds|wall|cpu|charged")


@dataclass(frozen=True)
class Point:
    """When to kill: before or after the `nth` file whose path ends like this is put in place."""

    name: str
    pattern: str
    nth: int
    before: bool


POINTS = (
    Point("before the parameters are there", r"/parameters\.json", 1, True),
    Point("after the first part", r"/parts/[^/]+\.json", 1, False),
    Point("while a part is written", r"/parts/[^/]+\.json", 3, True),
    Point("between the tables", r"/instances\.parquet", 1, True),
    Point("before the manifest", r"/run\.json", 1, True),
)

#: A mecopt that kills itself; the arguments come first, then those of the command line.
_KILLED = """
import os, re, signal, sys
pattern, nth, before = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "True"
del sys.argv[1:4]
put, seen = os.replace, []
def replace(source, target):
    hit = re.search(pattern + "$", os.fspath(target)) is not None
    seen.extend([target] * hit)
    now = hit and len(seen) == nth
    if now and before:
        os.kill(os.getpid(), signal.SIGKILL)
    put(source, target)
    if now:
        os.kill(os.getpid(), signal.SIGKILL)
os.replace = replace
from mecopt.cli import main
main()
"""
#: An ordinary mecopt.
PLAIN = "from mecopt.cli import main; main()"


def start(code: str, *arguments: str, errors: Any) -> subprocess.Popen[bytes]:
    """A process in a group of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True,
    )  # fmt: skip


def end(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process, and end the workers that one which was killed leaves behind."""
    status = process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return status


def mecopt(arguments: Sequence[str], point: Point | None = None) -> tuple[int, str]:
    """Run a command line in a process, which may kill itself: its exit status and its errors."""
    code, first = PLAIN, []
    if point is not None:
        code, first = _KILLED, [point.pattern, str(point.nth), str(point.before)]
    with tempfile.TemporaryFile() as errors:
        status = end(start(code, *first, *arguments, errors=errors))
        errors.seek(0)
        return status, errors.read().decode()


def killed_from_outside(arguments: Sequence[str], folder: Path, parts: int, wait_s: float) -> int:
    """Kill a command some time after so many parts are there; returns its exit status."""
    process = start(PLAIN, *arguments, errors=subprocess.DEVNULL)
    while process.poll() is None and len(list(folder.glob("parts/*.json"))) < parts:
        time.sleep(0.02)
    time.sleep(wait_s)
    process.kill()
    return end(process)


def differences(one: Path, other: Path) -> list[str]:
    """Tables and columns of two runs that differ, those of clocks left out."""
    out = []
    tables = [RunFolder(path).read()[1] for path in (one, other)]
    for name in TABLES:
        a, b = (table[name][[c for c in table[name] if not CLOCKS.search(c)]] for table in tables)
        try:
            pd.testing.assert_frame_equal(a, b, check_exact=True)
        except AssertionError as error:
            out.append(f"{name}: {' '.join(str(error).split())}")
    return out


def resumed(arguments: Sequence[str], folder: Path, alone: Path) -> dict[str, Any]:
    """Run the command again until its end; what was kept, left over, and what differs."""
    kept = {path: path.read_bytes() for path in folder.glob("parts/*.json")}
    status, errors = mecopt(arguments)
    if status:
        return {"kept": len(kept), "equal": False, "problem": errors.strip()}
    found = differences(alone, folder)
    left = [path.name for path in folder.rglob(".*")]
    return {
        "kept": len(kept),
        "units": len(RunFolder(folder).suite.units),
        "computed again": sum(path.read_bytes() != kept[path] for path in kept),
        "left over": left,
        "equal": not found and not left,
        "problem": "; ".join(found),
    }


def command(preset: str, seeds: str, jobs: int, out: Path) -> list[str]:
    """The benchmark: a gap that is met long before the time limit, so that no clock decides."""
    return [
        "bench", "comllm", "--preset", preset, "--seeds", seeds, "--policies",
        "one-step-oracle,priced,random", "--gap", "0.02", "--time-limit", "600",
        "--jobs", str(jobs), "--out", str(out),
    ]  # fmt: skip


def main() -> int:
    """Measure and write results/trust/kill.json; returns 1 when a table differs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--seeds", default="0:6")
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as work:
        alone = Path(work) / "alone"
        status, errors = mecopt(command(asked.preset, asked.seeds, asked.jobs, alone))
        if status:
            raise SystemExit(errors)
        for i, point in enumerate((*POINTS, None)):
            folder = Path(work) / f"killed-{i}"
            line = command(asked.preset, asked.seeds, asked.jobs, folder)
            if point is None:
                name, status = "in the middle of a solve", killed_from_outside(line, folder, 2, 0.3)
            else:
                name, status = point.name, mecopt(line, point)[0]
            row = {"killed": name, "status": status, **resumed(line, folder, alone)}
            rows.append(row)
            print(json.dumps(row), flush=True)
    equal = sum(row["equal"] and row["status"] == -9 for row in rows)
    suite = {"preset": asked.preset, "seeds": asked.seeds, "jobs": asked.jobs}
    path = write("trust/kill", {"suite": suite, "equal": equal, "of": len(rows), "rows": rows})
    print(f"{equal} of {len(rows)} killed runs end with the tables of the one left alone: {path}")
    return 0 if equal == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
