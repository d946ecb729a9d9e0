"""Results of benchmark scripts on disk, and the provenance beside them."""

import json

import pandas as pd
import pytest

from benchmarks import common
from mecopt.bench import provenance


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    """A results folder of the test's own."""
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    return tmp_path


def test_a_result_comes_back_as_it_was_written(results):
    """Summary as JSON with provenance, records and further tables as parquet beside it."""
    rows = pd.DataFrame({"seed": [0, 1], "gap": [0.1, 1 / 3], "choice": [[1, 2], [3]]})
    steps = pd.DataFrame({"step": [10, 20]})
    path = common.write("family/part", {"mean": 0.2, "none": None}, records=rows, progress=steps)
    assert path == results / "family" / "part.json"
    body = common.read("family/part")
    assert (body["mean"], body["none"]) == (0.2, None)
    assert body["provenance"]["versions"]["numpy"]
    back = common.records("family/part")
    assert back["gap"].tolist() == rows["gap"].tolist()
    assert back["choice"].iloc[0].tolist() == [1, 2]
    assert common.records("family/part", "progress")["step"].tolist() == [10, 20]
    assert common.exists("family/part") and not common.exists("family/other")


def test_a_row_is_a_line():
    """What nests no further stands on one line; the text is JSON all the same."""
    body = {"rows": [{"a": 1, "b": [1, 2]}, {"c": 0.1, "d": []}], "empty": {}, "x": None}
    text = common.dumps(body)
    assert json.loads(text) == body
    assert '  {"c": 0.1, "d": []}\n' in text


def test_provenance_names_machine_versions_and_python():
    """An absent package has no version; the processor has some name everywhere."""
    found = provenance.versions(["numpy", "no-such-package"])
    assert found["numpy"] and found["no-such-package"] is None and found["python"]
    assert provenance.machine()["processor"]
    assert provenance.command()
