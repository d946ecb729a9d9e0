"""Answers from tokens and from text, good and bad."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

pytest.importorskip("torch")

from learning.collaboration import endpoint
from learning.collaboration.answers import from_ranking, from_tokens, parse
from learning.collaboration.endpoint import Endpoint
from tests.collaboration.language.cases import seen


def test_a_strategy_is_the_share_of_the_letters():
    """0.3 and 0.1 of all probability: 3 to 1; the third letter is no candidate. Risk 0.2 : 0.3."""
    found = from_tokens(np.array([[0.3, 0.1, 0.5]]), np.array([[0.2, 0.3]]), np.array([2]))
    assert found.prior.tolist() == [[0.75, 0.25, 0.0]] and found.valid.tolist() == [True]
    assert found.risk[0] == pytest.approx(0.6)


@pytest.mark.parametrize("letters", [[0.001, 0.001], [np.nan, 0.5]])
def test_without_letters_a_strategy_is_uniform_and_counted(letters):
    found = from_tokens(np.array([letters]), np.array([[0.5, 0.5]]), np.array([2]))
    assert found.prior.tolist() == [[0.5, 0.5]] and not found.valid[0] and found.risk[0] == 0.5


def test_rankings():
    """B before A, C left out: weights 1, 1/3 and 1/9."""
    assert parse("<think>A; risk low</think>\nB A; risk high.", 3) == ([1, 0], True)
    assert from_ranking([1, 0], 3, 4) == pytest.approx([3 / 13, 9 / 13, 1 / 13, 0.0])


@pytest.mark.parametrize(
    "text",
    ["", "B", "B A", "b; risk low", "B,A; risk low", "C; risk low", "A A; risk low", "A; risk 3",
     "A; risk low and more", "A; risk low" + " " * 3000],
)  # fmt: skip
def test_what_is_no_answer(text):
    assert parse(text, 2) is None


# ---------------------------------------------------------------------------------- an endpoint
def completion(text, tokens=None):
    logprobs = None if tokens is None else {"content": tokens}
    choice = {"message": {"content": text}, "logprobs": logprobs}
    return json.dumps({"choices": [choice]}).encode()


@contextmanager
def served(answer) -> Iterator[tuple[str, list[bytes]]]:
    """A server on this machine whose answers are `answer(handler)`, and what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(self.rfile.read(int(self.headers["Content-Length"])))
            answer(self)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def sends(body, status=200):
    def answer(handler):
        handler.send_response(status)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def test_an_endpoint_that_ranks():
    """a has the candidates A and B, b has A, B and C, c has A and B: 3 to 1, 9 to 3 to 1."""
    with served(sends(completion("B A; risk high"))) as (url, asked):
        found = Endpoint(url, "any").answer(seen())
    assert found.valid.all() and found.risk.tolist() == [1.0, 1.0, 1.0]
    assert found.prior[0] == pytest.approx([0.25, 0.75, 0.0])
    assert found.prior[1] == pytest.approx([3 / 13, 9 / 13, 1 / 13])
    first = json.loads(asked[0])
    assert first["model"] == "any" and "Node" in first["messages"][1]["content"]


def test_an_endpoint_that_tells_probabilities():
    """log 0.6 and log 0.2 for B and A: 3 to 1; high 0.5 and low 0.5."""
    tokens = [
        {"token": "B", "top_logprobs": [{"token": "B", "logprob": float(np.log(0.6))},
                                        {"token": " A", "logprob": float(np.log(0.2))},
                                        {"token": "Z", "logprob": -0.1}, {"nonsense": 1}]},
        {"token": " high", "top_logprobs": [{"token": " high", "logprob": float(np.log(0.5))},
                                            {"token": "low", "logprob": float(np.log(0.5))}]},
    ]  # fmt: skip
    prior, risk = endpoint.read(completion("B A; risk high", tokens), 2, 3)
    assert prior == pytest.approx([0.25, 0.75, 0.0]) and risk == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (sends(b"busy", status=500), "status"),
        (sends(b"{not json"), "no completion"),
        (sends(b"[" * 100_000), "no completion"),
        (sends(b'{"choices": []}'), "no completion"),
        (sends(completion(None)), "no answer"),
        (sends(completion("I would send it to B.")), "no answer"),
        (sends(b" " * (endpoint.MOST_BYTES + 1)), "too large"),
        (lambda handler: time.sleep(0.5), "timeout"),
        (lambda handler: handler.connection.close(), "connection"),
    ],
)
def test_an_endpoint_that_fails_is_counted_and_uniform(answer, reason):
    with served(answer) as (url, _):
        asked = Endpoint(url, "any", timeout_s=0.3)
        found = asked.answer(seen())
    assert asked.failures == {reason: 3} and not found.valid.any()
    assert found.prior[0].tolist() == [0.5, 0.5, 0.0] and (found.risk == 0.5).all()


def test_an_endpoint_that_drips_is_cut_off():
    """A byte every 50 ms never lets a read time out; the whole request does."""

    def drips(handler):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(40):
            try:
                handler.wfile.write(b" ")
            except OSError:
                return
            time.sleep(0.05)

    with served(drips) as (url, _):
        asked = Endpoint(url, "any", timeout_s=0.25)
        asked.answer(seen())
    assert asked.failures == {"timeout": 3}


def test_endpoints_that_cannot_be(monkeypatch):
    with pytest.raises(ValueError, match="url: 'file:///x' is not"):
        Endpoint("file:///x", "any")
    with pytest.raises(ValueError, match="timeout_s = 0 must be > 0"):
        Endpoint("http://a", "any", timeout_s=0)
    for url in ("http://h:99999/v1", "http://h:abc/v1", "http://[::1/v1", "http://a..b/v1", 5):
        with pytest.raises(ValueError, match="url"):
            Endpoint(url, "any")
    for changes in ({"timeout_s": 1e300}, {"timeout_s": "x"}, {"at_once": 2.5}, {"model": 3}):
        with pytest.raises(ValueError, match=next(iter(changes))):
            Endpoint(**{"url": "http://a", "model": "any"} | changes)
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(ValueError, match="key_variable: NO_SUCH_KEY is not set"):
        Endpoint("http://a", "any", key_variable="NO_SUCH_KEY")
