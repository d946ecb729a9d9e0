"""Answers of a served model: an endpoint that speaks OpenAI's ``chat/completions``.

Each question is one request, never repeated; several are under way together. An answer counts when
it has the form that was asked for (`learning.collaboration.answers.parse`). Where the endpoint
tells the probabilities of tokens, the strategy is that of the first letter; otherwise it follows
the ranking. What takes too long, is too large, fails or cannot be read is counted by its reason,
and the strategy is uniform then.
"""

from __future__ import annotations

import http.client
import json
import os
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import exp, isfinite
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from learning.collaboration import prompts
from learning.collaboration.answers import UNKNOWN_RISK, Answers, from_ranking, parse, uniform
from learning.collaboration.sight import LETTERS, Seen
from mecopt import checks
from mecopt.strict_json import number

#: Largest answer that is read, bytes; tokens that may be written.
MOST_BYTES, MOST_TOKENS = 1_000_000, 32
#: Longest time-out, s: a day.
LONGEST_S = 86_400.0


class _Unusable(Exception):
    """No answer, for a reason that is counted."""


@dataclass
class Endpoint:
    """A served model.

    Parameters
    ----------
    url : str
        ``http://host:port/v1``, say; ``/chat/completions`` is added.
    model : str
        Name of the model there.
    timeout_s : float
        For a whole request, > 0.
    key_variable : str
        Environment variable whose value is sent as bearer token; none unless given.
    at_once : int
        Requests under way together, >= 1.

    Attributes
    ----------
    failures : Counter
        Requests without a usable answer, by reason.

    Raises
    ------
    ValueError
        If the URL is not http or https, the variable is not set, or a number is out of range.
    """

    url: str
    model: str
    timeout_s: float = 10.0
    key_variable: str = ""
    at_once: int = 4
    name: str = field(default="endpoint", init=False)
    failures: Counter[str] = field(default_factory=Counter, init=False)

    def __post_init__(self) -> None:
        for field_name in ("url", "model", "key_variable"):
            if not isinstance(value := getattr(self, field_name), str):
                raise ValueError(f"{field_name} = {value!r} must be text")
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname)
            usable = usable and self.url.isascii() and (parts.port is None or parts.port > 0)
            str(parts.hostname).encode("idna")
        except (ValueError, UnicodeError):
            usable = False
        if not usable:
            raise ValueError(f"url: {self.url!r} is not http://HOST[:PORT]/... or https://...")
        if not 0 < number("timeout_s", self.timeout_s) <= LONGEST_S:
            raise ValueError(f"timeout_s = {self.timeout_s!r} must be > 0 and <= {LONGEST_S:g}")
        checks.whole("at_once", self.at_once, 1)
        if self.key_variable and self.key_variable not in os.environ:
            raise ValueError(f"key_variable: {self.key_variable} is not set")

    def answer(self, seen: Seen) -> Answers:
        """Strategy and risk of every row."""
        wide = seen.up.shape[1]
        prior = uniform(seen.count, wide)
        risk = np.full(len(seen), UNKNOWN_RISK, dtype=np.float32)
        valid = np.zeros(len(seen), dtype=bool)
        with ThreadPoolExecutor(self.at_once) as pool:
            jobs = [pool.submit(self._post, text) for text in prompts.texts(seen)]
            for i, job in enumerate(jobs):
                try:
                    prior[i], risk[i] = read(job.result(), int(seen.count[i]), wide)
                    valid[i] = True
                except _Unusable as reason:
                    self.failures[str(reason)] += 1
        return Answers(prior, risk, valid)

    def _post(self, text: str) -> bytes:
        """The body of an answer."""
        asked = {
            "model": self.model,
            "messages": [
                {"role": "system", "content": f"{prompts.instructions()} {prompts.FORMAT}"},
                {"role": "user", "content": text},
            ],
            "max_tokens": MOST_TOKENS,
            "temperature": 0,
            "logprobs": True,
            "top_logprobs": len(LETTERS),
        }
        headers = {"Content-Type": "application/json"}
        if self.key_variable:
            headers["Authorization"] = f"Bearer {os.environ[self.key_variable]}"
        parts = urlsplit(self.url)
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        until = time.monotonic() + self.timeout_s
        connection = kind(parts.hostname or "", parts.port, timeout=self.timeout_s)
        try:
            path = parts.path.rstrip("/") + "/chat/completions"
            connection.request("POST", path, json.dumps(asked), headers)
            _leave(connection, until)
            answer = connection.getresponse()
            if answer.status != 200:
                raise _Unusable("status")
            body = b""
            while block := answer.read1(65536):
                body += block
                if len(body) > MOST_BYTES:
                    raise _Unusable("too large")
                _leave(connection, until)
            return body
        except TimeoutError:
            raise _Unusable("timeout") from None
        except (OSError, http.client.HTTPException):
            raise _Unusable("connection") from None
        finally:
            connection.close()


def _leave(connection: http.client.HTTPConnection, until: float) -> None:
    """Leave the next read what is left of the time."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    if connection.sock is not None:
        connection.sock.settimeout(left)


def read(body: bytes, count: int, wide: int) -> tuple[NDArray[np.float32], float]:
    """(C,) strategy and risk of an answer.

    Parameters
    ----------
    body : bytes
        As ``chat/completions`` gives it.
    count, wide : int
        Candidates, and entries of the strategy.

    Raises
    ------
    _Unusable
        If it is none.
    """
    try:
        choice = json.loads(body)["choices"][0]
        text = choice["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise _Unusable("no completion") from None
    found = parse(text, count) if isinstance(text, str) else None
    if found is None:
        raise _Unusable("no answer")
    ranking, high = found
    tokens = _tokens(choice)
    letters = _shares(tokens, LETTERS[:count])
    prior = from_ranking(ranking, count, wide)
    if letters is not None:
        prior = np.zeros(wide, dtype=np.float32)
        prior[:count] = letters
    risks = _shares(tokens[::-1], ("low", "high"))
    return prior, float(high) if risks is None else float(risks[1])


def _tokens(choice: Any) -> list[Mapping[str, Any]]:
    """Tokens of an answer with their rivals; none where the endpoint does not tell."""
    try:
        found = choice["logprobs"]["content"]
        return [token for token in found if isinstance(token, Mapping)]
    except (LookupError, TypeError):
        return []


def _shares(
    tokens: list[Mapping[str, Any]], answers: tuple[str, ...]
) -> NDArray[np.float64] | None:
    """Probability of each answer at the first token that is one, together 1."""
    for token in tokens:
        if str(token.get("token", "")).strip() in answers:
            total = np.zeros(len(answers))
            rivals = token.get("top_logprobs")
            for rival in rivals if isinstance(rivals, list) else []:
                try:
                    name, value = str(rival["token"]).strip(), float(rival["logprob"])
                except (LookupError, TypeError, ValueError, OverflowError):
                    continue
                if name in answers and isfinite(value) and value <= 0:
                    total[answers.index(name)] += exp(value)
            return total / total.sum() if total.sum() > 0 else None
    return None
