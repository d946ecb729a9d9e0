"""Traces that people bring: known by their columns, times from the first request."""

import pytest

from mecopt.data.trace_formats import read_trace

OURS = "arrival_s,context_tokens,generated_tokens\n"
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
BURST = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"


def read(tmp_path, text):
    path = tmp_path / "mine.csv"
    path.write_text(text)
    return read_trace(path)


def rows(trace):
    names = ("arrival_s", "context_tokens", "generated_tokens")
    return list(zip(*(trace.table[name].tolist() for name in names), strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # 50.7654321 - 46.1234567 = 4.6419754
        (
            AZURE + "2023-11-16 18:15:46.1234567,374,44\n2023-11-16 18:15:50.7654321,396,109\n",
            [(0.0, 374, 44), (4.6419754, 396, 109)],
        ),
        # The 2024 traces have a time zone; midnight UTC is 02:00 in zone +02:00.
        (
            AZURE + "2024-05-10 23:59:59.5+00:00,1,2\n2024-05-11 02:00:00+02:00,3,4\n",
            [(0.0, 1, 2), (0.5, 3, 4)],
        ),
        (BURST + "5,ChatGPT,472,18,490,Conversation log\n7,GPT-4,1,2,3,API log\n",
         [(0.0, 472, 18), (2.0, 1, 2)]),
        ("timestamp,input_length,output_length\n27482,6955,52\n30535,6472,26\n",
         [(0.0, 6955, 52), (3.053, 6472, 26)]),
        ("arrival_ms,input_tokens,output_tokens\n0,1,2\n1500,3,4\n", [(0.0, 1, 2), (1.5, 3, 4)]),
        ("arrived_at,num_prefill_tokens,num_decode_tokens\n0.25,1,2\n", [(0.0, 1, 2)]),
        # A double at 1.7e9 knows 2.4e-7 s; the text knows more: 547.2 - 546.68 = 0.52.
        (OURS + "1700158546.68,300,40\n1700158547.2,300,10\n", [(0.0, 300, 40), (0.52, 300, 10)]),
        ("\ufeff" + OURS + "0.0,300,40\n\n", [(0.0, 300, 40)]),
        (OURS + "0.0,300.0,40.0\n", [(0.0, 300, 40)]),
        (OURS.replace(",", ";") + "0,5;300;40\n1,75;300;40\n", [(0.0, 300, 40), (1.25, 300, 40)]),
    ],
)  # fmt: skip
def test_known_formats(tmp_path, text, expected):
    """Seconds from the first request, exactly as the digits say."""
    trace = read(tmp_path, text)
    assert rows(trace) == expected and trace.left_out == 0


def test_failures_are_left_out_and_counted(tmp_path):
    """BurstGPT: a request without output failed. Times count from the first that did not."""
    trace = read(
        tmp_path,
        BURST + "5,ChatGPT,4,0,4,API log\n45,GPT-4,1087,7,1094,API log\n50,GPT-4,9,0,9,API log\n",
    )
    assert rows(trace) == [(0.0, 1087, 7)] and trace.left_out == 2
    with pytest.raises(ValueError, match="every request is a failure"):
        read(tmp_path, BURST + "5,ChatGPT,4,0,4,API log\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "time,tokens\n0,1\n",
            "columns time, tokens are those of no trace we know: arrival_s,",
        ),
        (OURS, "has a header but no rows"),
        (OURS + "0,1,2\n-1,1,2\n", "line 3, column 'arrival_s': '-1' is lower than in the row"),
        (OURS + "0,1,2\n,1,2\n", "line 3, column 'arrival_s': '' is empty"),
        (OURS + "noon,1,2\n", "line 2, column 'arrival_s': 'noon' is not a number"),
        (OURS + "1e999999999,1,2\n", "line 2, column 'arrival_s': '1e999999999' is beyond 1e.11"),
        (AZURE + "11/16/2023 18:15,1,2\n", "is not a number .nor a date such as 2023-11-16 18:15"),
        (OURS + "nan,1,2\n", "line 2, column 'arrival_s': 'nan' is not a number"),
        (OURS + "0,1,2.5\n", "line 2, column 'generated_tokens': '2.5' is not a whole number"),
        (OURS + "0,1_0,2\n", "line 2, column 'context_tokens': '1_0' is not a whole number"),
        (OURS + "1700158546680,1,2\n", "is beyond 1e.11 s; milliseconds go into arrival_ms"),
        (OURS + "0,1,2\n100000001,1,2\n", "line 3.*more than 1e.08 s after the first request"),
        (AZURE + "2023-11-16 18:15:46,1,2\n5,1,2\n", "line 3.*'5' is not a date and time"),
        (AZURE + "2023-11-16 18:15:46,1,2\n2023-11-16 18:15:47Z,1,2\n", "have a time zone, others"),
        (AZURE + "2023-11-31 18:15:46,1,2\n", "line 2.*'2023-11-31 18:15:46' is not a date"),
        (OURS.strip() + ",Arrival_S\n0,1,2,0\n", "'arrival_s' and 'Arrival_S' differ only in"),
    ],
)
def test_malformed_traces_are_refused(tmp_path, text, message):
    """The message names file, line, column and value, or the columns found and those known."""
    with pytest.raises(ValueError, match=f"mine.csv.*{message}"):
        read(tmp_path, text)
