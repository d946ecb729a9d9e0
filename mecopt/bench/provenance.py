"""Machine, versions and command behind a figure: one record for runs, trainings and benchmarks."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Iterable
from importlib import metadata
from typing import Any

#: Packages of the core whose versions can change a figure, torch and transformers among them
#: because policies of other packages run in the same process.
PACKAGES = (
    "mecopt",
    "numpy",
    "numba",
    "highspy",
    "pyomo",
    "pandas",
    "joblib",
    "matplotlib",
    "torch",
    "transformers",
)


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str | None]:
    """Installed versions by package name, None where a package is absent; Python's is added."""
    found = {name: _version(name) for name in packages}
    return found | {"python": platform.python_version()}


def machine() -> dict[str, Any]:
    """Operating system, processor name and number of cores."""
    return {
        "system": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
    }


def processor() -> str:
    """The name of the processor as the kernel reports it, or what Python knows about it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            for line in info:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def command() -> str:
    """The command line of this process, ``python -m MODULE`` where a module was run."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    start = [sys.argv[0]] if spec is None else ["python", "-m", spec.name.removesuffix(".__main__")]
    return shlex.join([*start, *sys.argv[1:]])


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
