"""A benchmark on a Ray cluster of two local nodes, one of which dies in the middle.

    python -m benchmarks.trust.ray_cluster [--seeds 0:6] [--preset paper]

Two workers, one a node. The run must end with the tables of a run on one process, or say in one
line what to do and end with them when the same command is given again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import write
from benchmarks.trust import kill

#: How long a loaded machine may take to start a node, s.
_PATIENCE_S = 300.0
#: How often the command is given, at most.
_STARTS = 6


def cluster() -> tuple[Any, Any]:
    """A local Ray cluster of two nodes with one core each, and the node that is to die."""
    from ray.cluster_utils import Cluster

    made = Cluster()
    made.add_node(num_cpus=1, object_store_memory=100_000_000, include_dashboard=False)
    second = made.add_node(num_cpus=1, object_store_memory=100_000_000)
    made.wait_for_nodes(timeout=_PATIENCE_S)
    return made, second


def main() -> int:
    """Measure and write results/trust/ray_cluster.json; returns 1 when a table differs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--seeds", default="0:6")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as work, tempfile.TemporaryFile() as errors:
        alone, folder = Path(work) / "alone", Path(work) / "cluster"
        status, text = kill.mecopt(kill.command(asked.preset, asked.seeds, 1, alone))
        if status:
            raise SystemExit(text)
        made, second = cluster()
        line = kill.command(asked.preset, asked.seeds, 2, folder)
        line += ["--engine", "ray", "--address", made.address]
        process = kill.start(kill.PLAIN, *line, errors=errors)
        while process.poll() is None and len(list(folder.glob("parts/*.json"))) < 2:
            time.sleep(0.02)
        kept, begin = len(list(folder.glob("parts/*.json"))), time.perf_counter()
        was_running = process.poll() is None
        made.remove_node(second, allow_graceful=False)
        status = kill.end(process)
        errors.seek(0)
        starts = [{"status": status, "said": errors.read().decode().strip().splitlines()}]
        seconds = time.perf_counter() - begin
        # The cluster itself takes a while to see that a node is gone.
        while starts[-1]["status"] and len(starts) < _STARTS:
            status, text = kill.mecopt(line)
            starts.append({"status": status, "said": text.strip().splitlines()})
        row: dict[str, Any] = {
            "node killed while running": was_running,
            "kept when it died": kept,
            "seconds until the run ended": seconds,
            "starts": starts,
            **kill.resumed(line, folder, alone),
        }
        made.shutdown()
    suite = {"preset": asked.preset, "seeds": asked.seeds, "jobs": 2, "nodes": 2}
    path = write("trust/ray_cluster", {"suite": suite, **row})
    print(json.dumps(row, indent=1))
    print(f"{'equal tables' if row['equal'] else 'tables differ'}: {path}")
    return 0 if row["equal"] and was_running else 1


if __name__ == "__main__":
    sys.exit(main())
