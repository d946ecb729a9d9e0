"""Text that may be printed: no control characters, which files from anybody could bring."""

from __future__ import annotations

import re

#: What would move the cursor, clear the screen or turn the reading direction when printed.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Text with its control characters written out (``\\x1b``)."""
    return CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)
