"""Data files: reading, error messages, description, download from a local server."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from mecopt import data
from mecopt.data import convert
from mecopt.data.folder import DEFAULT_DATA_DIR
from mecopt.data.spec import Column, DataFile, Original
from tests.support import mini_data

CONV = data.find("azure-conv")


# ------------------------------------------------------------------ where the data are
def test_data_folder_is_argument_then_variable_then_default(monkeypatch, tmp_path):
    """An explicit folder wins over MECOPT_DATA, which wins over ../shared/data."""
    monkeypatch.delenv("MECOPT_DATA", raising=False)
    assert data.resolve_data_dir() == DEFAULT_DATA_DIR
    monkeypatch.setenv("MECOPT_DATA", str(tmp_path))
    assert data.resolve_data_dir() == tmp_path
    assert data.resolve_data_dir("elsewhere") == Path("elsewhere")


def test_describe_tells_what_is_there(tmp_path):
    """One row per file, with presence, licence and source, for `mecopt data`."""
    mini_data.write_folder(tmp_path)
    (tmp_path / CONV.path).unlink()
    everything = data.describe(tmp_path)
    assert set(everything["scenario"]) == {"traces", "caching"}
    table = everything[everything["scenario"] == "traces"].set_index("name")
    assert not table.loc["azure-conv", "present"] and table.loc["azure-code", "present"]
    assert table.loc["eua-sites", "licence"] == "MIT"
    assert "Azure/AzurePublicDataset@b469a113" in table.loc["azure-conv", "source"]
    assert set(everything["name"]) == {f.name for f in data.FILES}


def test_verify_tells_missing_different_and_malformed_files_apart(tmp_path):
    """The miniature files are well formed but not the known content."""
    mini_data.write_folder(tmp_path)
    (tmp_path / CONV.path).unlink()
    mini_data.write_file(tmp_path, data.find("eua-users"), "latitude_deg\n1\n")
    status = data.verify(tmp_path).set_index("name")["status"]
    assert status["azure-conv"] == "missing"
    assert status["azure-code"] == "differs"
    assert "longitude_deg" in status["eua-users"]


def test_real_files_are_the_known_content():
    """Every hash of the registry is that of the file the scenario reads."""
    assert set(data.verify(mini_data.real_folder())["status"]) == {"ok"}


# ------------------------------------------------------------------ reading
def test_reading_gives_numbers_and_the_hash_of_the_content(tmp_path):
    """The hash is that of the text, however it was compressed."""
    mini_data.write_file(tmp_path, CONV, mini_data.AZURE)
    table = data.read(CONV, tmp_path)
    assert table["arrival_s"][:3].tolist() == [0.0, 1.0, 2.5]
    assert table["generated_tokens"].dtype == np.int64 and len(table) == 10
    assert table.sha256 == hashlib.sha256(mini_data.AZURE.encode()).hexdigest()


def test_quoted_commas_are_part_of_a_cell(tmp_path):
    """Names of sites may hold commas; they do not shift columns."""
    mini_data.write_folder(tmp_path)
    (sites,) = mini_data.tables(tmp_path, "eua-sites")
    assert sites["site_id"].tolist() == ["A", "B", "C", "D"]


def test_missing_file_says_where_it_comes_from(tmp_path):
    """The message has source repository, commit, licence and the command."""
    with pytest.raises(FileNotFoundError, match=r"azure_llm_2023_conv\.csv\.gz: no such file"):
        data.read(CONV, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"AzurePublicDataset@b469a113.*CC-BY-4\.0.*fetch"):
        data.read(CONV, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"section 4 of the data folder's README"):
        data.read(data.find("device-specs"), tmp_path)


#: What is done to the miniature trace, and what the message must say.
MALFORMED = {
    "missing column": (
        lambda s: s.replace("generated_tokens", "tokens"),
        r"column 'generated_tokens' is missing, it has arrival_s, context_tokens, tokens",
    ),
    "text in a number": (
        lambda s: s.replace("2.5000000,300", "2.5000000,many"),
        r"line 4, column 'context_tokens': 'many' is not a whole number",
    ),
    "text in a time": (
        lambda s: s.replace("2.5000000,300", "noon,300"),
        r"line 4, column 'arrival_s': 'noon' is not a number",
    ),
    "fraction of a token": (
        lambda s: s.replace("200,60", "200,60.5"),
        r"line 3, column 'generated_tokens': '60\.5' is not a whole number",
    ),
    "number too large": (
        lambda s: s.replace("200,60", "200,99999999999999999999"),
        r"line 3, column 'generated_tokens': '9+' is not a whole number",
    ),
    "negative tokens": (
        lambda s: s.replace("400,80", "-400,80"),
        r"line 5, column 'context_tokens': '-400' is below 0",
    ),
    "not a number": (
        lambda s: s.replace("6.0000000", "nan"),
        r"line 6, column 'arrival_s': 'nan' is not a number",
    ),
    "infinite time": (
        lambda s: s.replace("20.0000000", "inf"),
        r"line 11, column 'arrival_s': 'inf' is not a number",
    ),
    "empty cell": (
        lambda s: s.replace("600,10", "600,"),
        r"line 7, column 'generated_tokens': '' is empty",
    ),
    "unsorted arrivals": (
        lambda s: s.replace("8.0000000", "5.0000000"),
        r"line 7, column 'arrival_s': '5\.0000000' is lower than in the row before",
    ),
    "short row": (
        lambda s: s.replace("700,200", "700"),
        r"line 8, column 'generated_tokens': the row has 2 cells, the header 3",
    ),
    "long row": (
        lambda s: s.replace("700,200", "700,200,1"),
        r"line 8, column 'generated_tokens': the row has 4 cells, the header 3",
    ),
    "no rows": (lambda s: s.splitlines()[0] + "\n", r"has a header but no rows"),
    "nothing": (lambda s: "", r"is empty"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_files_are_refused_by_file_line_and_column(case, tmp_path):
    """Each defect is named, with the file and with where a good one comes from."""
    damage, says = MALFORMED[case]
    mini_data.write_file(tmp_path, CONV, damage(mini_data.AZURE))
    with pytest.raises(ValueError, match=rf"azure_llm_2023_conv\.csv\.gz.*{says}.*CC-BY-4\.0"):
        data.read(CONV, tmp_path)


def test_truncated_gzip_is_refused(tmp_path):
    """Half of a compressed file is not read as a shorter one."""
    path = mini_data.write_file(tmp_path, CONV, mini_data.AZURE)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError, match=r"azure_llm_2023_conv\.csv\.gz: truncated or damaged"):
        data.read(CONV, tmp_path)


def test_damaged_bytes_give_a_table_or_a_value_error(tmp_path):
    """Random damage never leads to another exception than ValueError."""
    rng = np.random.default_rng(0)
    path = mini_data.write_file(tmp_path, CONV, mini_data.AZURE)
    good = {False: mini_data.AZURE.encode(), True: path.read_bytes()}
    refused = 0
    for trial in range(300):
        body = bytearray(good[trial % 2 == 0])
        for at in rng.integers(len(body), size=3):
            body[at] = rng.integers(256)
        path.write_bytes(bytes(body))
        try:
            data.read(CONV, tmp_path)
        except ValueError as error:
            refused += 1
            assert str(path) in str(error)
    assert refused > 100


def test_optional_cells_may_be_empty_but_not_wrong(tmp_path):
    """A phone has no published FLOP/s; text there is still refused."""
    spec = data.find("device-specs")
    mini_data.write_file(tmp_path, spec, mini_data.SPECS)
    assert np.isnan(data.read(spec, tmp_path)["fp16_tflops_dense"][0])
    mini_data.write_file(tmp_path, spec, mini_data.SPECS.replace(",80,\n", ",80,fast\n"))
    with pytest.raises(ValueError, match=r"line 2, column 'fp16_tflops_dense': 'fast' is not a"):
        data.read(spec, tmp_path)


def test_unknown_key_of_a_table_lists_what_it_has(tmp_path):
    """A model that is not in the table is a user's typing error, so the message helps."""
    mini_data.write_folder(tmp_path)
    (models,) = mini_data.tables(tmp_path, "model-architectures")
    with pytest.raises(ValueError, match=r"column 'model': no row 'GPT'; it has Qwen2\.5-1\.5B,"):
        models.row("model", "GPT")


# ------------------------------------------------------------------ conversions
def test_azure_stamps_become_seconds_since_the_first():
    """18:15:59.9 to 18:16:00.05 is 0.15 s; 100 ns are kept, as is a stamp without fraction."""
    text = (
        "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
        "2023-11-16 18:15:59.9000000,374,44\r\n"
        "2023-11-16 18:16:00.0500001,396,109\r\n"
        "2023-11-17 00:00:00,1,2\r\n"
    )
    assert convert.convert_azure(text).decode().splitlines() == [
        "arrival_s,context_tokens,generated_tokens",
        "0.0000000,374,44",
        "0.1500001,396,109",
        "20640.1000000,1,2",
    ]


def test_mooncake_lines_become_rows():
    """Prefix blocks are blank-separated in one column."""
    line = {"timestamp": 3000, "input_length": 7, "output_length": 5, "hash_ids": [0, 14]}
    converted = convert.convert_mooncake(json.dumps(line) + "\n").decode()
    assert converted == "arrival_ms,input_tokens,output_tokens,hash_ids\n3000,7,5,0 14\n"


def test_eua_sites_keep_their_digits_and_users_get_seven():
    """Site positions are copied as text; user positions are rounded to 7 decimals."""
    sites = (
        "SITE_ID,LATITUDE,LONGITUDE,NAME,STATE,LICENSING_AREA_ID,POSTCODE,SITE_PRECISION,"
        "ELEVATION,HCIS_L2\n10004167,-37.816790000000005,144.96918,Square,VIC,2,,Unknown,,KX3P\n"
    )
    assert convert.convert_eua_sites(sites).decode().splitlines()[1] == (
        "10004167,-37.816790000000005,144.96918,Unknown,Square"
    )
    users = "Latitude,Longitude\n-37.81452358749519,144.9573050094399\n"
    assert convert.convert_eua_users(users).decode().splitlines()[1] == ("-37.8145236,144.9573050")


# ------------------------------------------------------------------ download
ORIGINAL = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2023-11-16 18:15:46.5000000,10,1\n2023-11-16 18:15:47.0000000,20,2\n"
)
CONVERTED = "arrival_s,context_tokens,generated_tokens\n0.0000000,10,1\n0.5000000,20,2\n"
TOY = dataclasses.replace(
    CONV,
    name="toy",
    path="traces/toy.csv.gz",
    sha256=hashlib.sha256(CONVERTED.encode()).hexdigest(),
    original=Original("owner/repository", "c0ffee", "data/toy.csv", "azure"),
)
COMPILED = DataFile(
    name="compiled",
    path="models/compiled.csv",
    columns=(Column("model", "text", "name"),),
    purpose="a table from several sources",
    licence="facts",
    source="several",
    section="section 3",
)


@contextmanager
def server(body: bytes, announce: int | None = None) -> Iterator[tuple[str, list[str]]]:
    """A local server of one file; `announce` lies about its length. Gives URL and paths asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if self.path != "/owner/repository/c0ffee/data/toy.csv":
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body) if announce is None else announce))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}", asked
    finally:
        httpd.shutdown()
        httpd.server_close()


def files_in(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file()]


def test_fetch_downloads_converts_checks_and_does_it_once(tmp_path):
    """A second call finds the right content and asks the server nothing."""
    lines: list[str] = []
    with server(ORIGINAL.encode()) as (url, asked):
        for _ in range(2):
            done = data.fetch(["toy"], tmp_path, base_url=url, progress=lines.append, files=[TOY])
    assert done == [tmp_path / "traces/toy.csv.gz"] == files_in(tmp_path)
    assert gzip.decompress(done[0].read_bytes()).decode() == CONVERTED
    assert asked == ["/owner/repository/c0ffee/data/toy.csv"]
    assert "CC-BY-4.0" in lines[0] and "already there" in lines[1]
    assert data.read(TOY, tmp_path)["arrival_s"].tolist() == [0.0, 0.5]


def test_fetch_refuses_other_content_and_leaves_nothing(tmp_path):
    """One changed token gives another hash."""
    with (
        server(ORIGINAL.replace(",20,", ",21,").encode()) as (url, _),
        pytest.raises(ValueError, match=rf"toy\.csv: converted content .* expected {TOY.sha256}"),
    ):
        data.fetch(["toy"], tmp_path, base_url=url, files=[TOY])
    assert files_in(tmp_path) == []


def test_fetch_refuses_what_it_cannot_convert(tmp_path):
    """A page that is not the file (a login form, say) is named as such."""
    with (
        server(b"<html>please log in</html>\nline\n") as (url, _),
        pytest.raises(ValueError, match=r"toy\.csv: not the file we know"),
    ):
        data.fetch(["toy"], tmp_path, base_url=url, files=[TOY])
    assert files_in(tmp_path) == []


def test_fetch_reports_a_missing_original(tmp_path):
    """404 is an error that names the URL."""
    gone = dataclasses.replace(TOY, original=dataclasses.replace(TOY.original, commit="other"))
    with (
        server(ORIGINAL.encode()) as (url, _),
        pytest.raises(ConnectionError, match=r"/other/data/toy\.csv: the server answered 404"),
    ):
        data.fetch(["toy"], tmp_path, base_url=url, files=[gone])
    assert files_in(tmp_path) == []


def test_fetch_reports_an_interrupted_body_and_keeps_the_old_file(tmp_path):
    """Fewer bytes than announced is an error, and a file that was there stays as it was."""
    target = mini_data.write_file(tmp_path, TOY, "old")
    body = ORIGINAL.encode()[:70]
    with (
        server(body, announce=5000) as (url, _),
        pytest.raises(ConnectionError, match=r"toy\.csv: interrupted after 70 bytes"),
    ):
        data.fetch(["toy"], tmp_path, base_url=url, files=[TOY])
    assert gzip.decompress(target.read_bytes()) == b"old" and files_in(tmp_path) == [target]


def test_fetch_reports_a_server_that_is_not_there(tmp_path):
    """No connection is an error that names the URL, not a traceback from a library."""
    with server(b"") as (url, _):
        pass
    with pytest.raises(ConnectionError, match=r"toy\.csv: no download"):
        data.fetch(["toy"], tmp_path, base_url=url, files=[TOY])


def test_compiled_tables_cannot_be_fetched_and_the_message_says_why(tmp_path):
    """Asked for by name it is an error; when everything is asked for it is a line of progress."""
    with pytest.raises(ValueError, match=r"compiled: compiled from several sources.*section 3"):
        data.fetch(["compiled"], tmp_path, files=[TOY, COMPILED])
    lines: list[str] = []
    with server(ORIGINAL.encode()) as (url, _):
        done = data.fetch((), tmp_path, base_url=url, progress=lines.append, files=[COMPILED, TOY])
    assert done == [tmp_path / TOY.path] and "section 3" in lines[0]


def test_unknown_names_are_refused():
    """The message lists what there is."""
    with pytest.raises(ValueError, match=r"data file: unknown 'nope', one of azure-conv, "):
        data.fetch(["nope"])
