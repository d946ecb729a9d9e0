"""Decisions over HTTP: how many a second, how late, and what happens when the policy hangs.

    python -m benchmarks.collaboration.serving --policy expected-success --rate 200 --seconds 20

The server runs in a process of its own on this machine. Questions are those of test episodes, sent
at a fixed rate, each as soon as its time has come, whatever became of the ones before: the time
until an answer is counted from when a question was due. In the second run the policy never comes
back.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import common
from mecopt.collaboration.network import Network
from mecopt.collaboration.policies.simple import Keep
from mecopt.collaboration.scenarios import ledrl
from mecopt.collaboration.serving.desk import Desk, Limits
from mecopt.collaboration.serving.question import Asker
from mecopt.collaboration.serving.server import bound
from mecopt.offloading.observation import Observation
from mecopt.offloading.policies.by_name import POLICIES

#: Connections that the questions share.
CONNECTIONS = 64


class Answer(NamedTuple):
    """Seconds since a question was due, status, and why RATC answered."""

    spent_s: float
    status: int
    reason: str | None


class Hanging(Keep):
    """Decides once, for the warm-up, and then never again."""

    name = "hanging"
    _asked = 0

    def act(self, observation: Observation) -> int:
        self._asked += 1
        while self._asked > 1:
            time.sleep(60)
        return 0


def serve(policy: str, seed: int, ready: Any) -> None:
    """Serve until killed."""
    folder = {"checkpoint": policy} if Path(policy).is_dir() else {}
    made = Hanging() if policy == Hanging.name else POLICIES.make(policy, **folder)
    desk = Desk(made, Asker(Network.of(ledrl.generate("paper", seed, slots=1))), Limits())
    desk.warm_up()
    with bound("127.0.0.1", 0) as listening:
        ready.send(listening.url)
        listening.run(listening.server(desk))


def questions(seed: int, n: int) -> list[bytes]:
    """Tasks of an episode with waits drawn at random, and now and then a node that is down."""
    network = Network.of(ledrl.generate("paper", seed, slots=1))
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(n):
        node = network.nodes[int(rng.integers(len(network.nodes)))]
        size = rng.uniform(2e6, 4e6)
        cycles = 8 * size * rng.uniform(800, 2400)
        task = {"origin": node.name, "size_bytes": size, "cycles": cycles, "deadline_s": 4.0}
        places = {v.name: rng.exponential(2.0, v.places).tolist() for v in network.nodes}
        links = {link.name: float(rng.exponential(0.2)) for link in network.links}
        down = [v.name for v in network.nodes if rng.random() < 0.05]
        asked = {"task": task, "place_wait_s": places, "link_wait_s": links, "down": down}
        out.append(json.dumps(asked).encode())
    return out


async def ask(url: str, bodies: list[bytes], rate: float) -> list[Answer]:
    """Answers to all questions, over connections that are kept."""
    host, port = url.removeprefix("http://").split(":")
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    answers: list[Answer] = []

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        while True:
            due, body = await waiting.get()
            head = f"POST /decide HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
            size = next(int(x.split(":")[1]) for x in lines if x.startswith("content-length"))
            answer = json.loads(await reader.readexactly(size))
            spent_s = time.perf_counter() - due
            answers.append(Answer(spent_s, int(lines[0].split()[1]), answer.get("reason")))
            waiting.task_done()

    open_ones = [asyncio.create_task(connection()) for _ in range(CONNECTIONS)]
    begin = time.perf_counter()
    for i, body in enumerate(bodies):
        due = begin + i / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        waiting.put_nowait((due, body))
    # A connection that breaks ends the run with its error.
    done = asyncio.create_task(waiting.join())
    await asyncio.wait([done, *open_ones], return_when=asyncio.FIRST_COMPLETED)
    for one in open_ones:
        if one.done():
            one.result()
    for one in open_ones:
        one.cancel()
    return answers


def measure(policy: str, seed: int, rate: float, seconds: float) -> dict[str, Any]:
    """One run against a server of its own."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(policy, seed, there), daemon=True
    )
    process.start()
    bodies = questions(seed, int(rate * seconds))
    url = here.recv()
    asyncio.run(ask(url, bodies[:50], 50.0))  # connections are made
    answers = asyncio.run(ask(url, bodies, rate))
    process.kill()
    ms = 1e3 * np.array([answer.spent_s for answer in answers])
    reasons = [answer.reason for answer in answers if answer.reason]
    return {
        "policy": policy,
        "rate_per_s": rate,
        "questions": len(bodies),
        "errors": sum(answer.status != 200 for answer in answers),
        "by_ratc": len(reasons),
        "reasons": {why: reasons.count(why) for why in sorted(set(reasons))},
        "p50_ms": float(np.percentile(ms, 50)),
        "p99_ms": float(np.percentile(ms, 99)),
        "max_ms": float(ms.max()),
    }


def main() -> None:
    """Measure a policy, and one that hangs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--policy", default="expected-success", help="a rule, or a folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=200.0, help="questions a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    asked = parser.parse_args()
    rows = []
    for policy in (asked.policy, Hanging.name):
        rows.append(measure(policy, asked.seed, asked.rate, asked.seconds))
        print(json.dumps(rows[-1]), flush=True)
    print(common.write("collaboration/serving", {"runs": rows}))


if __name__ == "__main__":
    main()
