"""One hour of the Azure conversation trace over Melbourne's sites, end to end.

    python -m benchmarks.offloading.trace_hour [--data-dir DIR]

Runs what a user would: ``mecopt bench traces`` on all 19,366 requests (bound, policies, report),
then ``mecopt solve --certificate`` and ``mecopt verify``. Wall seconds include imports. In the
default setting 5 of the 125 sites host GPUs, so that they are busy; the last part puts one at every
site.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import formulations
from benchmarks.common import write
from mecopt.offloading.policies.simple import OneStepOracleDrop
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import traces
from mecopt.result import relative_gap

POLICIES = "one-step-oracle,one-step-oracle-drop,priced,lookahead,least-loaded,nearest,random,local"


def timed(*arguments: str) -> float:
    """Run a mecopt command; wall seconds."""
    begin = time.perf_counter()
    command = [sys.executable, "-c", "from mecopt.cli import main; main()", *arguments]
    subprocess.run(command, check=True)
    return time.perf_counter() - begin


def all_sites(data_dir: str | None) -> dict[str, float]:
    """Bound and one rule with a GPU at each of the 125 sites."""
    formulations.warm_up()
    x = traces.generate("azure-conv", (0, 3600), 0, data_dir=data_dir, gpu_sites=125)
    result = formulations.solve(x, gap=1e-3, time_limit=60)
    rule = rollout(x, OneStepOracleDrop())
    return {
        "options": x.n_options,
        "seconds": result.seconds,
        "gap": result.gap,
        "one_step_oracle_drop_gap_to_bound": relative_gap(rule.objective, result.bound),
    }


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
        verify = timed("verify", certificate, "--time-limit", "600")
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
            "all_sites": all_sites(data_dir),
            "policies": json.loads(records.read_text()),
        }
    write("trace_hour", body)
    print(json.dumps({k: v for k, v in body.items() if k != "policies"}, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir")
    main(parser.parse_args().data_dir)
