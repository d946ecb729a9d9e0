"""Queries of one's own: tables become snapshots, and every fault is named where it stands."""

import numpy as np
import pandas as pd
import pytest

from mecopt.accuracy_delay import QuerySnapshot, replay

QUERIES = (
    "user,bits,work,local_s,uncertainty,accuracy,rate_bps near,rate_bps far\n"
    "ann,1e6,60,10,0.25,0.8,1e6,\n"
    "bob,4e6,60,10,0.75,0.4,1e6,2e6\n"
)
SERVERS = "server,speed,accuracy,queue_s,room\nnear,60,0.9,0.5,1\nfar,30,0.8,,\n"


def write(tmp_path, queries=QUERIES, servers=SERVERS):
    """Two files, and their paths."""
    paths = tmp_path / "queries.csv", tmp_path / "servers.csv"
    for path, text in zip(paths, (queries, servers), strict=True):
        path.write_text(text)
    return paths


def test_files_are_a_snapshot(tmp_path):
    """An empty rate is out of reach, an empty queue none, an empty room as much as one likes.

    ann near: 0.5 + 1 (1 + 1) = 2.5 s; bob far: 0 + 1 (4 / 2 + 60 / 30) = 4 s; kappa 2 s is worth
    2 (0.25 + 0.75) = 2 s.
    """
    x = QuerySnapshot.from_csv(*write(tmp_path), kappa_s=2.0)
    assert (x.users, x.servers) == (("ann", "bob"), ("near", "far"))
    assert x.reachable.tolist() == [[True, False], [True, True]]
    assert x.room[0] == 1 and x.room[1] > 1000
    found = replay(x, [0, 1])
    assert found.delay_s.tolist() == [2.5, 4.0]
    assert found.objective == 2.5 + 4.0 - 2.0


def test_frames_and_files_are_one(tmp_path):
    """The same numbers give the same hash."""
    paths = write(tmp_path)
    from_files = QuerySnapshot.from_csv(*paths, kappa_s=1.0, least_accuracy=0.5, shares="optimal")
    frames = [pd.read_csv(path) for path in paths]
    x = QuerySnapshot.from_frame(*frames, kappa_s=1.0, least_accuracy=0.5, shares="optimal")
    assert x.content_hash == from_files.content_hash


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        ("queries", "0.75", "1.75", r"queries.csv.*3.*'uncertainty': 1.75 must be between 0 and 1"),
        ("queries", "ann,1e6", "ann,many", r"queries.csv.*2.*bits.*'many'"),
        ("queries", "uncertainty", "doubt", r"queries.csv.*: column 'uncertainty' is missing"),
        ("queries", "rate_bps far", "rate_bps fra", r"queries.csv.*: column 'rate_bps far' is mis"),
        ("queries", "user,", "person,", r"queries.csv.*: unknown column 'person', one of user, "),
        ("queries", "ann,1e6", "ann,-1", r"queries.csv.*bits\[0\] = -1.0 is negative"),
        ("servers", "far,30", "far,0", r"servers.csv.*speed\[1\] = 0.0 must be > 0"),
        ("servers", "0.5,1\n", "0.5,1.5\n", r"servers.csv.*2.*'room': 1.5 is no whole number"),
        ("servers", "0.9", "1.9", r"servers.csv.*2.*'accuracy': 1.9 must be between 0 and 1"),
    ],
)
def test_faults_of_files_are_one_line(tmp_path, table, old, new, message):
    """File, line (the header is line 1) and column are named."""
    texts = {"queries": QUERIES, "servers": SERVERS}
    assert old in texts[table]
    texts[table] = texts[table].replace(old, new, 1)
    with pytest.raises(ValueError, match=message) as raised:
        QuerySnapshot.from_csv(*write(tmp_path, **texts))
    assert "\n" not in str(raised.value)


def frames():
    """One query, one server."""
    queries = {
        "bits": [1e6],
        "work": [20.0],
        "local_s": [1.5],
        "uncertainty": [0.7],
        "accuracy": [0.4],
        "rate_bps edge": [2e7],
    }
    return pd.DataFrame(queries), pd.DataFrame(
        {"server": ["edge"], "speed": [60.0], "accuracy": [0.9]}
    )


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("uncertainty", 1.5, "queries: row 1, column 'uncertainty': 1.5 must be between 0 and 1"),
        ("work", "much", "queries: row 1, column 'work': 'much' is not a number"),
        ("work", np.inf, "queries: row 1, column 'work': inf is not finite"),
        ("work", np.nan, "queries: row 1, column 'work': '' is not a number"),
        ("rate_bps edge", 0.0, "no user reaches any server, every rate is 0"),
    ],
)
def test_faults_of_frames_are_one_line(column, value, message):
    """Table, row (counted from 1) and column are named."""
    queries, servers = frames()
    queries[column] = [value]
    with pytest.raises(ValueError, match=message):
        QuerySnapshot.from_frame(queries, servers)


def test_what_is_no_table():
    """A list, a table without rows."""
    queries, servers = frames()
    with pytest.raises(ValueError, match="queries: list is no DataFrame"):
        QuerySnapshot.from_frame([1], servers)
    with pytest.raises(ValueError, match="queries: has a header but no rows"):
        QuerySnapshot.from_frame(queries.iloc[:0], servers)
