"""One hour of the Azure conversation trace over Melbourne's sites, end to end.

    python -m benchmarks.trace_hour [--data-dir DIR]

Runs what a user would: ``mecopt bench traces`` on all 19,366 requests (bound, policies, report),
then ``mecopt solve --certificate`` and ``mecopt verify``. Wall seconds include imports.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import write

POLICIES = "one-step-oracle,one-step-oracle-drop,priced,lookahead,least-loaded,nearest,random,local"


def timed(*arguments: str) -> float:
    """Run a mecopt command; wall seconds."""
    begin = time.perf_counter()
    command = [sys.executable, "-c", "from mecopt.cli import main; main()", *arguments]
    subprocess.run(command, check=True)
    return time.perf_counter() - begin


def main(data_dir: str | None) -> None:
    """Measure and write results/trace_hour.json."""
    data = ["--data-dir", data_dir] if data_dir else []
    window = ["--trace", "azure-conv", "--window", "0:3600"]
    with tempfile.TemporaryDirectory() as folder:
        records, solved = Path(folder) / "bench.json", Path(folder) / "solve.json"
        certificate = str(Path(folder) / "certificate.json.gz")
        bench = timed(
            "bench", "traces", *window, "--policies", POLICIES, "--time-limit", "120",
            "--gap", "0.001", "--out", str(Path(folder) / "run"), "--json", str(records), *data,
        )  # fmt: skip
        solve = timed(
            "solve", "--scenario", "traces", *window, "--time-limit", "60", "--gap", "0.001",
            "--json", str(solved), "--certificate", certificate, *data,
        )  # fmt: skip
        verify = timed("verify", certificate)
        result = json.loads(solved.read_text())
        body = {
            "bench_wall_seconds": bench,
            "solve_wall_seconds": solve,
            "verify_wall_seconds": verify,
            "verify_per_solve": verify / result["seconds"],
            "certificate_bytes": Path(certificate).stat().st_size,
            "objective": result["objective"],
            "bound": result["bound"],
            "gap": result["gap"],
            "instance_hash": result["instance_hash"],
            "policies": json.loads(records.read_text()),
        }
    write("trace_hour", body)
    print(json.dumps({k: v for k, v in body.items() if k != "policies"}, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir")
    main(parser.parse_args().data_dir)
