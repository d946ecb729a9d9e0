"""What became of a task, as the kernels write it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


ON_TIME, LATE, DROPPED, FAILED = 0, 1, 2, 3


NEVER = 2**62
