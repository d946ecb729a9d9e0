"""Benchmarks: solve seeded instances, roll out policies, report how far each is from the bound.

The package can be called: ``mecopt.bench("comllm", seeds=(0, 8))`` is `mecopt.bench.face.bench`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """This package as a function."""

    def __call__(self, *asked: Any, **options: Any) -> Any:
        from mecopt.bench.face import bench

        return bench(*asked, **options)

    def __dir__(self) -> list[str]:
        return [name for name in vars(self) if isinstance(vars(self)[name], ModuleType)]


sys.modules[__name__].__class__ = _Callable
