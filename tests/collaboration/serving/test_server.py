"""Decisions over HTTP: answers, reasons for refusals, the command."""

import json
import threading

import httpx
import pytest
from starlette.testclient import TestClient

from mecopt.collaboration.policies.simple import Keep
from mecopt.collaboration.serving.desk import Desk, Limits
from mecopt.collaboration.serving.question import Asker
from mecopt.collaboration.serving.server import LARGEST, application, bound
from tests.support.command import refused

from .test_desk import Failing
from .test_question import NETWORK, question


def make_desk():
    return Desk(Keep(), Asker(NETWORK), Limits(timeout_s=60.0))


@pytest.fixture
def client():
    with TestClient(application(make_desk())) as found:
        yield found


def test_a_question_is_answered(client):
    answer = client.post("/decide", json=question())
    assert answer.status_code == 200
    assert answer.json()["route"] == ["a"]
    assert client.get("/health").json()["answered"]["policy"] == 1


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"", 400, "Expecting value"),
        (b"\xff\xfe\x00", 400, "utf-8"),
        (b"{}", 400, "task: must be an object, is None"),
        (b'{"task": NaN}', 400, "NaN is not a number"),
        (b"[" * 100_000, 400, "nested too deeply"),
        (b" " * (LARGEST + 1), 413, "larger than 256 KB"),
    ],
)
def test_what_is_no_question_is_answered_with_a_reason(client, body, status, error):
    answer = client.post("/decide", content=body)
    assert answer.status_code == status
    assert error in answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/decide", 405), ("GET", "/elsewhere", 404)]
)
def test_other_addresses_are_answered_as_json(client, method, path, status):
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_ratc_answers_over_http_for_a_policy_that_fails():
    here = Desk(Failing(), Asker(NETWORK), Limits(timeout_s=60.0))
    with TestClient(application(here)) as client:
        answer = client.post("/decide", json=question())
        assert (answer.status_code, answer.json()["by"]) == (200, "ratc")
        assert client.get("/health").json()["last_error"] == "\"KeyError: 'no such thing'\""


def test_a_socket_serves():
    with bound("127.0.0.1", 0) as listening:
        server = listening.server(make_desk())
        thread = threading.Thread(target=server.run, args=([listening.socket],))
        thread.start()
        answer = httpx.post(f"{listening.url}/decide", content=json.dumps(question()), timeout=60)
        server.should_exit = True
        thread.join()
    assert answer.json()["decision"] == "keep"


def test_an_address_in_use_is_refused():
    with bound("127.0.0.1", 0) as listening:
        port = listening.socket.getsockname()[1]
        assert f"127.0.0.1:{port}: Address already in use" in refused(
            "serve", "--policy", "ratc", "--port", port
        )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("--policy", "nobody"), "policy: unknown name 'nobody'"),
        (("--policy", "ratc", "--port", "70000"), "port = 70000"),
        (("--policy", "ratc", "--timeout-ms", "0"), "timeout_s = 0.0"),
        (("--policy", "ratc", "--preset", "nowhere"), "preset: unknown 'nowhere'"),
        (("--policy", "ratc", "--most-hops", "-1"), "most_hops = -1"),
        (("--policy", "ratc", "--host", ""), "host: is empty"),
        (("--policy", "expected-lookahead", "--port", "0"), "cannot decide on single questions"),
        (("--policy", "graph-joint-raw", "--port", "0"), "cannot decide on single questions"),
        (("--policy", "priced", "--host", "nowhere.invalid"), "nowhere.invalid"),
    ],
)
def test_the_command_refuses_in_one_line(asked, message):
    assert message in refused("serve", *asked)


def test_a_file_that_is_no_network_is_refused(tmp_path):
    file = tmp_path / "network.json"
    file.write_text('{"nodes": []}')
    assert "network: cannot be read (KeyError('links'))" in refused(
        "serve", "--policy", "ratc", "--network", file
    )


def test_a_trained_policy_of_another_scenario_is_refused(tmp_path):
    assert "no trained policy" in refused("serve", "--policy", tmp_path)
