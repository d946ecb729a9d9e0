"""Files are versioned documents: each format reads its own version and no other."""

import gzip
import math
import subprocess
import sys

import numpy as np
import pytest

from mecopt import files

PLAN = files.Format("mecopt.toy-plan", version=2)


def test_a_document_says_what_it_is(tmp_path):
    """Schema and version come first; NumPy's arrays and numbers are written as JSON's."""
    PLAN.write(tmp_path / "p.json", {"x": np.array([1, 2]), "y": np.float64(0.5)})
    text = (tmp_path / "p.json").read_text()
    assert text == '{"schema":"mecopt.toy-plan","version":2,"x":[1,2],"y":0.5}\n'
    assert PLAN.read(tmp_path / "p.json")["x"] == [1, 2]


def test_equal_bodies_give_equal_bytes(tmp_path):
    """A compressed document carries no time stamp, and is read by its content."""
    for name in ("a.json.gz", "b.json.gz"):
        PLAN.write(tmp_path / name, {"x": 1})
    data = (tmp_path / "a.json.gz").read_bytes()
    assert data == (tmp_path / "b.json.gz").read_bytes()
    assert gzip.decompress(data).startswith(b'{"schema"')
    assert PLAN.read(tmp_path / "a.json.gz")["x"] == 1


def test_a_format_refuses_other_versions_and_other_formats(tmp_path):
    """A new version of one format leaves the others readable; the error names file and value."""
    PLAN.write(tmp_path / "p.json", {})
    for other, message in (
        (files.Format("mecopt.toy-plan", version=3), "version is 2, this mecopt reads version 3"),
        (files.Format("mecopt.toy", version=2), "schema is 'mecopt.toy-plan', expected"),
    ):
        with pytest.raises(ValueError, match=rf"p\.json: {message}"):
            other.read(tmp_path / "p.json")


def test_what_a_file_claims_to_be(tmp_path):
    """Any version counts; what cannot be read claims nothing."""
    PLAN.write(tmp_path / "p.json", {})
    (tmp_path / "broken.json").write_text("{")
    assert files.Format("mecopt.toy-plan", version=1).claimed_by(tmp_path / "p.json")
    assert not PLAN.claimed_by(tmp_path / "broken.json")
    assert not PLAN.claimed_by(tmp_path / "missing.json")


def test_what_json_cannot_hold_is_refused(tmp_path):
    """An object of no known kind is an error, and nothing is written."""
    with pytest.raises(TypeError, match="cannot write set to JSON"):
        PLAN.write(tmp_path / "p.json", {"x": {1}})
    assert not (tmp_path / "p.json").exists()


def test_plain_numbers_are_strict_json():
    """Infinity and NaN become null; everything else stays."""
    assert files.plain({"gap": math.inf, "x": (1, math.nan)}) == {"gap": None, "x": [1, None]}


def test_a_link_is_followed_and_standard_output_written(tmp_path):
    """Writing through a link keeps the link; ``/dev/stdout`` sent to a file stays what it is."""
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    files.write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"
    (tmp_path / "so").symlink_to("/proc/self/fd/1")
    program = "import sys; from mecopt import files; files.write_bytes(sys.argv[1], b'{}')"
    with open(tmp_path / "out", "wb") as out:
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "so")], stdout=out, check=True
        )
    assert (tmp_path / "so").is_symlink() and (tmp_path / "out").read_bytes() == b"{}"
