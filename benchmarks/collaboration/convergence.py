"""Picture of the trainings of `benchmarks.collaboration.learned`: tasks on time against decisions.

    python -m benchmarks.collaboration.convergence

Means over trainings on tuning episodes, greedy decisions, with 95 % intervals; writes
``docs/img/failing_nodes_convergence.png``.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.common import records
from learning.runs.page import curves
from mecopt.bench import plot

SHOWN = ("mappo", "vdn", "masac", "ledrl")
OUT = Path(__file__).parents[2] / "docs" / "img" / "failing_nodes_convergence.png"


def main() -> None:
    """Draw."""
    progress = records("collaboration/learned", "progress")
    columns = ["step", "success_rate", "reward", "training"]
    of = {name: progress.loc[progress["learner"] == name, columns] for name in SHOWN}
    OUT.write_bytes(plot.png(curves(of)))
    print(OUT)


if __name__ == "__main__":
    main()
