"""Who answers a question: the policy, or RATC when it is late, busy or failing."""

import threading
import time

import pytest

from mecopt.collaboration.policies.simple import Keep
from mecopt.collaboration.serving.desk import Desk, Limits
from mecopt.collaboration.serving.question import Asker

from .test_question import NETWORK, question


class Hanging(Keep):
    """Decides when it is let go."""

    def __init__(self):
        super().__init__()
        self.go = threading.Event()

    def act(self, observation):
        self.go.wait()
        return 0


class Failing(Keep):
    def act(self, observation):
        raise KeyError("no such thing")


class Astray(Keep):
    def act(self, observation):
        return 99


def desk(policy, **limits):
    return Desk(policy, Asker(NETWORK), Limits(**limits))


def test_the_policy_answers():
    answer = desk(Keep(), timeout_s=60.0).decide(question())
    assert answer.pop("seconds") > 0
    assert answer == {"decision": "keep", "route": ["a"], "by": "keep", "reason": None}


def test_ratc_answers_for_a_policy_that_hangs():
    """The first question waits for the time-out, as do those that find room in the queue of one."""
    policy = Hanging()
    here = desk(policy, timeout_s=0.01, queue=1)
    answers = [here.decide(question()) for _ in range(4)]
    assert {answer["by"] for answer in answers} == {"ratc"}
    assert answers[0]["reason"] == "late"
    assert answers[3]["reason"] == "busy"
    policy.go.set()


def test_a_policy_that_came_back_answers_again():
    policy = Hanging()
    here = desk(policy, timeout_s=0.01, queue=1)
    assert here.decide(question())["reason"] == "late"
    policy.go.set()
    while here.state["waiting"]:
        time.sleep(0.001)
    here.limits = Limits(timeout_s=60.0)
    assert here.decide(question())["by"] == "keep"


@pytest.mark.parametrize(
    ("policy", "error"),
    [(Failing(), "KeyError: 'no such thing'"), (Astray(), "answered 99, not one of the options")],
)
def test_a_policy_that_fails_is_counted_and_stood_in_for(policy, error):
    here = desk(policy, timeout_s=60.0)
    assert here.decide(question())["reason"] == "failed"
    assert here.decide(question())["by"] == "ratc"
    assert here.state["answered"] == {"policy": 0, "late": 0, "busy": 0, "failed": 2}
    assert error in here.state["last_error"]


def test_a_bad_question_is_not_counted():
    here = desk(Keep())
    with pytest.raises(ValueError, match="task"):
        here.decide({})
    assert sum(here.state["answered"].values()) == 0


def test_a_policy_for_other_instances_is_refused_before_it_serves():
    for policy, words in ((Astray(), "answered 99"), (Failing(), "no such thing")):
        with pytest.raises(ValueError, match=f"cannot decide on single questions .*{words}"):
            desk(policy).warm_up()


@pytest.mark.parametrize(
    ("limits", "message"),
    [({"timeout_s": 0.0}, "timeout_s = 0.0 must be > 0"), ({"queue": 0}, "queue = 0")],
)
def test_limits_that_make_no_sense_are_refused(limits, message):
    with pytest.raises(ValueError, match=message):
        Limits(**limits)
