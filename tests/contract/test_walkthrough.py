"""docs/new_family.md shows the toy family as it is."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/new_family.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0][:30])
def test_code_of_the_page_is_code_of_the_toy(block):
    """Every excerpt stands in tests/support/toy_family.py word for word."""
    assert block in (ROOT / "tests/support/toy_family.py").read_text()


def test_the_page_has_excerpts():
    """The test above has something to look at."""
    assert len(BLOCKS) == 4
