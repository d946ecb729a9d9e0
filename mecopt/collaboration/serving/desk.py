"""Answers to questions: by the policy when it is in time, else by RATC.

The policy decides in one thread of its own, one question after the other. A question waits for it
until the time-out and is then answered by RATC; so are questions that find the queue full, and
those about which the policy fails. A policy that never returns thus costs every question the
time-out until the queue is full, and nothing afterwards.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Any

from mecopt import checks
from mecopt.collaboration.policies.beliefs import Beliefs
from mecopt.collaboration.policies.simple import ReliabilityAwareTwoChoice
from mecopt.collaboration.serving.question import Asker
from mecopt.offloading.observation import Observation
from mecopt.offloading.policies.protocol import Policy
from mecopt.strict_json import shown

#: Why RATC answered.
LATE, BUSY, FAILED = "late", "busy", "failed"


@dataclass(frozen=True)
class Limits:
    """How long a question may wait for the policy, and how many wait at most.

    Parameters
    ----------
    timeout_s : float
        > 0.
    queue : int
        >= 1.

    Raises
    ------
    ValueError
        Names the value.
    """

    timeout_s: float = 0.05
    queue: int = 64

    def __post_init__(self) -> None:
        if not 0 < self.timeout_s < float("inf"):
            raise ValueError(f"timeout_s = {self.timeout_s!r} must be > 0")
        checks.whole("queue", self.queue, 1)


@dataclass(frozen=True, eq=False)
class Asked:
    """A question that the policy was given, or not.

    Parameters
    ----------
    observation : Observation
    begin_s : float
        When it was asked, on the clock of `time.perf_counter`.
    option : Future of int
        The policy's answer; it may never come.
    """

    observation: Observation
    begin_s: float
    option: Future[int] = field(default_factory=Future)


class Desk:
    """Takes questions of any thread and has the policy or RATC answer them.

    Parameters
    ----------
    policy : Policy
        Any rule for failing nodes.
    asker : Asker
    limits : Limits
    """

    def __init__(self, policy: Policy, asker: Asker, limits: Limits) -> None:
        self.policy, self.asker, self.limits = policy, asker, limits
        self._fallback = ReliabilityAwareTwoChoice()
        self._waiting: queue.Queue[Asked] = queue.Queue(limits.queue)
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._last_error = ""
        # It must not keep the process alive: a policy that hangs cannot be stopped.
        threading.Thread(target=self._work, daemon=True, name="policy").start()

    def warm_up(self) -> None:
        """Have the policy and RATC decide once, in this thread: what they compile takes a while.

        Raises
        ------
        ValueError
            If the policy cannot decide on failing nodes.
        """
        node = self.asker.network.nodes[0].name
        task = {"origin": node, "size_bytes": 1e6, "cycles": 1e9, "deadline_s": 10.0}
        observation = self.asker.observation({"task": task})
        try:
            self._checked(observation)
        except Exception as error:
            raise ValueError(
                f"policy: {self.policy.name!r} cannot decide on single questions ({error})"
            ) from None
        self._fallback.reset(observation.instance)
        self._stand_in(observation)

    def ask(self, question: Any) -> Asked:
        """Hand a question to the policy, unless its queue is full.

        Raises
        ------
        ValueError
            In one line what is wrong with the question.
        """
        begin = time.perf_counter()
        asked = Asked(self.asker.observation(question), begin)
        try:
            self._waiting.put_nowait(asked)
        except queue.Full:
            asked.option.set_exception(queue.Full())
        return asked

    def answer(self, asked: Asked) -> dict[str, Any]:
        """The answer to a question, whatever the policy has done by now.

        As `Asker.answer` words it, with ``by``, the name of the rule that decided, ``reason``, why
        RATC had to or None, and ``seconds`` since it was asked.
        """
        reason = self._reason(asked)
        with self._lock:
            self._counts[reason or "policy"] += 1
            if reason is None:
                option, by = asked.option.result(), self.policy.name
            else:
                option, by = self._stand_in(asked.observation), self._fallback.name
        words = self.asker.answer(asked.observation, option)
        seconds = time.perf_counter() - asked.begin_s
        return {**words, "by": by, "reason": reason, "seconds": seconds}

    def decide(self, question: Any) -> dict[str, Any]:
        """Ask, wait for the policy until the time-out, and answer."""
        asked = self.ask(question)
        wait([asked.option], self.limits.timeout_s)
        return self.answer(asked)

    @property
    def state(self) -> dict[str, Any]:
        """Name of the policy, questions answered by it and by RATC with reasons, queue."""
        with self._lock:
            answered = {why: self._counts[why] for why in ("policy", LATE, BUSY, FAILED)}
            return {
                "policy": self.policy.name,
                "answered": answered,
                "waiting": self._waiting.qsize(),
                "last_error": self._last_error,
            }

    def _reason(self, asked: Asked) -> str | None:
        """Why RATC has to answer, if so."""
        if asked.option.cancel() or not asked.option.done():
            return LATE
        error = asked.option.exception()
        if error is None:
            return None
        if isinstance(error, queue.Full):
            return BUSY
        with self._lock:
            self._last_error = shown(f"{type(error).__name__}: {error}")
        return FAILED

    def _stand_in(self, observation: Observation) -> int:
        """What RATC decides."""
        self._fallback.believe(Beliefs.of(observation.instance, self.asker.network))
        return self._fallback.act(observation)

    def _work(self) -> None:
        while True:
            asked = self._waiting.get()
            if not asked.option.set_running_or_notify_cancel():
                continue  # it was answered meanwhile
            try:
                asked.option.set_result(self._checked(asked.observation))
            except BaseException as error:
                # Whatever a policy raises, somebody waits for a decision, and others will.
                asked.option.set_exception(error)

    def _checked(self, observation: Observation) -> int:
        self.policy.reset(observation.instance)
        option = int(self.policy.act(observation))
        if not -1 <= option < observation.n_options:
            raise ValueError(f"{self.policy.name} answered {option}, not one of the options")
        return option
