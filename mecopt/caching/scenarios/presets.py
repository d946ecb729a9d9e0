"""A caching episode by preset name, the data preset included."""

from __future__ import annotations

import os

from mecopt import checks
from mecopt.caching.instance import CachingInstance
from mecopt.caching.scenarios import t2drl, trace


def check_preset(preset: str) -> None:
    """Raise ValueError unless `make` knows the preset."""
    checks.known("preset", preset, (*t2drl.PRESETS, trace.PRESET))


def make(
    preset: str, seed: int = 0, data_dir: str | os.PathLike[str] | None = None
) -> CachingInstance:
    """An episode of a preset of `t2drl.PRESETS`, or of the data (`trace.PRESET`, from `data_dir`).

    Raises
    ------
    ValueError, OSError
        Unknown preset; missing or malformed data files.
    """
    check_preset(preset)
    if preset == trace.PRESET:
        return trace.generate(seed, data_dir=data_dir)
    return t2drl.generate(preset, seed)
