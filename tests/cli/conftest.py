"""What tests of the command line share."""

import functools

import pytest

from mecopt.offloading.scenarios import comllm


@pytest.fixture(autouse=True)
def work_folder(tmp_path, monkeypatch):
    """Every test in a folder of its own, on episodes of 8 slots."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(comllm, "generate", functools.partial(comllm.generate, slots=8))
    return tmp_path
