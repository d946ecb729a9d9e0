"""Why equal seeds give other weights elsewhere, and how to have them equal.

Labels, batches and initial weights are the same on every machine. The processor is not: torch and
the libraries under it sum in another order with AVX-512 than with AVX2, and with several threads
than with one. After forty updates weights differ by 1e-7, after thousands by as much as those of
another seed. Trainings on a CPU therefore use one thread, a run's manifest says which instructions
were used, and `make_portable` takes those that every x86-64 processor since 2015 has, in about a
third more time.
"""

from __future__ import annotations

import os
import sys
from typing import Any

#: What decides the order of sums: of torch's own kernels, of oneDNN and of MKL.
PORTABLE = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",
}


def make_portable() -> None:
    """Compute with instructions that every x86-64 processor with AVX2 has; before torch is loaded.

    Raises
    ------
    ValueError
        If torch is loaded, which chooses its instructions then.
    """
    wrong = [name for name, value in PORTABLE.items() if os.environ.get(name, value) != value]
    if wrong:
        raise ValueError(f"portable: {wrong[0]} = {os.environ[wrong[0]]} in the environment")
    if "torch" in sys.modules and any(name not in os.environ for name in PORTABLE):
        said = " ".join(f"{name}={value}" for name, value in PORTABLE.items())
        raise ValueError(f"portable: torch is loaded already; set {said} before")
    os.environ.update(PORTABLE)


def described() -> dict[str, Any]:
    """What this process computes with; empty before torch is loaded."""
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    return {
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "portable": all(os.environ.get(name) == value for name, value in PORTABLE.items()),
    }
