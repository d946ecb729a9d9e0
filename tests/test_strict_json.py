"""What is read from files stands as it is, or is refused with field and value."""

from __future__ import annotations

import gzip
import re
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mecopt import checks, files, strict_json
from mecopt.caching import CachingInstance
from mecopt.cli import shell
from mecopt.cli.app import app
from mecopt.market.instance import Market
from mecopt.offloading.instance import OffloadingInstance
from tests.support.leaves import server_instance
from tests.support.tiny_caching import tiny_instance

PLAN = files.Format("mecopt.toy-plan", version=1)
HEAD = '{"schema": "mecopt.toy-plan", "version": 1, "x": '


def refused(path, data: bytes | str, form: files.Format = PLAN) -> str:
    """Why a file is not read."""
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    with pytest.raises(ValueError) as error:
        form.read(path)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (HEAD + "[" * 5000 + "]" * 5000 + "}", "nested too deeply"),
        (HEAD + "1" * 5000 + "}", "4300 digits"),
        (HEAD + '1, "x": 2}', "field 'x' is there twice"),
        (HEAD + '{"a": 1, "b": 2, "a": 1}}', "field 'a' is there twice"),
        (HEAD.encode() + b'"\xff"}', "codec can't decode"),
        (gzip.compress(HEAD.encode() + b"1}", mtime=0)[:-9], "broken gzip"),
        (b"\x1f\x8b" + b"nonsense" * 9, "broken gzip"),
        (b"", "not a readable JSON document"),
        ('{"schema": "\\u001b[2J", "version": 1}', r"schema is '\\x1b\[2J'"),
        ('{"schema": "mecopt.toy-plan", "version": true}', "version is True"),
        ('{"schema": "mecopt.toy-plan", "version": 1.0}', "version is 1.0"),
    ],
)
def test_hostile_files_are_one_line(tmp_path, text: bytes | str, why: str) -> None:
    """Every one of these used to end in a traceback or in a guess."""
    assert re.search(why, refused(tmp_path / "p.json", text))


def test_not_a_number_is_refused_where_it_is_asked(tmp_path) -> None:
    """NaN and Infinity are no JSON; records of runs may hold them, instances may not."""
    strict = files.Format("mecopt.toy-plan", version=1, finite=True)
    for literal in ("NaN", "Infinity", "-Infinity"):
        why = refused(tmp_path / "p.json", f"{HEAD}{literal}}}", strict)
        assert why.endswith(f"({literal} is not a number)")
    assert PLAN.claimed_by(tmp_path / "p.json")
    with pytest.raises(ValueError, match=r"q\.json: Out of range float values"):
        strict.write(tmp_path / "q.json", {"x": np.nan})
    assert not (tmp_path / "q.json").exists()


def test_a_file_unpacks_in_proportion(tmp_path, monkeypatch) -> None:
    """20,000 blanks pack to some 50 bytes: more than 32 times that and more than the floor."""
    data = gzip.compress((HEAD + "1" + " " * 20_000 + "}").encode())
    (tmp_path / "p.json").write_bytes(data)
    assert PLAN.read(tmp_path / "p.json")["x"] == 1  # the floor is 32 MB
    monkeypatch.setattr(strict_json, "UNPACKED_FLOOR", 10_000)
    assert 32 * len(data) < 20_000
    assert "unpacks to more than" in refused(tmp_path / "p.json", data)


def test_a_file_has_a_largest_size(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(strict_json, "LARGEST", 100)
    assert "larger than" in refused(tmp_path / "p.json", HEAD + " " * 100 + "1}")


def test_a_document_has_a_largest_number_of_lists(tmp_path, monkeypatch) -> None:
    """A list of two characters takes 56 bytes."""
    monkeypatch.setattr(strict_json, "MOST_CONTAINERS", 10)
    assert "more than 10 lists" in refused(tmp_path / "p.json", HEAD + "[[]" + ",[]" * 9 + "]}")


# ------------------------------------------------------------------------ instances
CACHING = tiny_instance(3, servers=2, coupling="backhaul").to_document()
OFFLOADING = server_instance().to_document()
MARKET = Market.of([9, 7], [2, 5], compatible=[[True, False], [True, True]]).to_document()


@pytest.mark.parametrize(
    ("family", "body", "field", "value", "why"),
    [
        (OffloadingInstance, OFFLOADING, "meta", None, "meta: must be an object"),
        (OffloadingInstance, OFFLOADING, "labels", "offload", "must be a list of names"),
        (OffloadingInstance, OFFLOADING, "labels", None, "must be a list of names"),
        (OffloadingInstance, OFFLOADING, "labels", ["\x1b[2J"], "has a control character"),
        (OffloadingInstance, OFFLOADING, "labels", ["\ud800"], "has a control character"),
        (OffloadingInstance, OFFLOADING, "labels", [7], "is not a name"),
        (
            OffloadingInstance,
            OFFLOADING,
            "latency_weight",
            ["1", "1"],
            "must hold numbers, has '1'",
        ),
        (OffloadingInstance, OFFLOADING, "release_ns", [False, 0], "must hold numbers, has False"),
        (OffloadingInstance, OFFLOADING, "release_ns", [0, [0]], "must hold numbers, has"),
        (OffloadingInstance, OFFLOADING, "release_ns", {}, "must hold numbers, has {}"),
        (OffloadingInstance, OFFLOADING, "release_ns", [0, 10**400], "malformed|dtype|range"),
        (CachingInstance, CACHING, "meta", [], "meta: must be an object"),
        (CachingInstance, CACHING, "server_names", ["a\nb", "c"], "has a control character"),
        (CachingInstance, CACHING, "accuracy_weight", "1.0", "must hold numbers, has '1.0'"),
        (CachingInstance, CACHING, "accuracy_weight", True, "must hold numbers, has True"),
        (CachingInstance, CACHING, "slot_s", [1.0], "malformed field"),
        (CachingInstance, CACHING, "requests", ["x" * 10**5] + ["y"] * 10**5, "has 'xxx"),
        (CachingInstance, CACHING, "coupling", "backhaul", "coupling: must be an object"),
        (CachingInstance, CACHING, "coupling", {"kind": []}, "coupling.kind: unknown"),
        (
            *(CachingInstance, CACHING, "coupling"),
            {**CACHING["coupling"], "overflow_cost": "1"},
            "coupling.overflow_cost: must hold numbers",
        ),
        (Market, MARKET, "meta", None, "meta: must be an object"),
        (Market, MARKET, "price_range", [0, 1.5], "price_range: must hold whole numbers"),
        (Market, MARKET, "price_range", [0], "must be two prices"),
        (Market, MARKET, "values", [1.5, 1], "values: must hold whole numbers"),
        (Market, MARKET, "values", ["9", "7"], "values: must hold numbers, has '9'"),
        (Market, MARKET, "values", [2**64 - 2, 2**64 - 4], "is out of range"),
        (Market, MARKET, "compatible", [[1, 0], [1, 1]], "must hold true or false"),
        (Market, MARKET, "buyer_names", "ab", "must be a list of names"),
    ],
)
def test_malformed_fields_are_refused(
    family: Any, body: dict[str, Any], field: str, value: Any, why: str
) -> None:
    """Nothing is converted on the way in: what the file says is what is checked."""
    assert family.from_document(body).content_hash == body["content_hash"]
    with pytest.raises(ValueError, match=why):
        family.from_document({**body, field: value}, "file.json")


def test_a_document_of_another_shape_is_refused() -> None:
    for body in ([], None, 5, "instance"):
        with pytest.raises(ValueError, match="here: must be an object"):
            CachingInstance.from_document(body, "here")


# ------------------------------------------------------------------------ the terminal
def test_no_control_character_reaches_the_terminal(tmp_path, capsys) -> None:
    """Neither through a message nor through the name of a file."""
    shell.say_error("a \x1b[2J b\x07 \u202e c\n d")
    assert capsys.readouterr().err == "mecopt: a \\x1b[2J b\\x07 \\u202e c d\n"
    (tmp_path / "\x1b[2J").write_text("{}")
    done = CliRunner().invoke(app, ["verify", str(tmp_path / "\x1b[2J")])
    assert done.exit_code == 2 and "\x1b" not in done.output


def test_names_of_any_language_are_names() -> None:
    """Letters, joined emoji and no-break spaces print well."""
    given = ("Zürich", "東京", "👩\u200d🔧", "10\u00a0km")
    assert checks.names("labels", given) == given
