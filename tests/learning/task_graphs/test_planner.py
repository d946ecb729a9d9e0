"""The planner: what it writes is read strictly, whatever the batch, and it costs time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from learning import zoo as checkpoints
from learning.language import pretrained_models
from learning.task_graphs import examples, planner, words, zoo
from learning.task_graphs.planner import LanguagePlanner
from mecopt.offloading.replay import rollout
from mecopt.task_graphs import planners
from mecopt.task_graphs.plan_text import parse_plan, plan_text
from mecopt.task_graphs.scenarios import wifi


@pytest.fixture(scope="module")
def episode():
    """Five tasks at once."""
    return wifi.episode("paper", 3, horizon_s=0.0)


def test_the_shipped_planner_writes_plans_near_the_truth(episode):
    """Held-out requests: every text is the plan of its task, numbers a few per cent off."""
    written = zoo.planner().write(episode.requests)
    plans = planners.planned_from_texts(episode, written.texts, np.zeros(5)).plans
    for plan, task in zip(plans, episode.tasks, strict=True):
        assert plan is not None and plan.shape == task.plan.shape
        for said, true in zip(plan.subtasks, task.plan.subtasks, strict=True):
            assert abs(np.log(said.output_tokens / true.output_tokens)) < 0.3
            assert abs(said.difficulty - true.difficulty) < 0.1
            assert said.prompt_tokens == true.prompt_tokens


def test_plans_do_not_depend_on_the_batch(episode):
    """One at a time and all together: prompts are padded on the left, and padding is masked."""
    shipped = zoo.planner()
    alone = LanguagePlanner(shipped.model, shipped.tokenizer, small=True, batch=1)
    one, all_ = (p.write(episode.requests) for p in (alone, shipped))
    assert one.texts == all_.texts
    assert one.output_tokens.tolist() == all_.output_tokens.tolist()


def test_tokens_are_counted(episode):
    """A word is a token, and so are a line break and the end: of a plan of L lines with w words
    there are w + (L - 1) + 1."""
    written = zoo.planner().write(episode.requests)
    for text, tokens in zip(written.texts, written.output_tokens, strict=True):
        assert tokens == len(text.split()) + text.count("\n") + 1
    for request, tokens in zip(episode.requests, written.prompt_tokens, strict=True):
        assert tokens == len(request.split()) + 1


def test_an_episode_is_planned_in_the_time_of_a_7b_model(episode):
    """What was written, read back; the smallest time is that of reading the shortest prompt."""
    shipped = zoo.planner()
    planned = shipped.plan(episode)
    texts = shipped.write(episode.requests).texts
    assert planned.valid_rate == 1.0
    assert [plan_text(plan) for plan in planned.plans] == list(texts)
    expected = planners.STUDENT_MODEL.writing_s(episode, texts)
    assert planned.planning_s.tolist() == expected.tolist() and expected.min() > 0.01


def test_what_is_no_plan_is_counted(episode, monkeypatch):
    """Of five texts one breaks off and one is empty."""
    shipped = zoo.planner()
    written = shipped.write(episode.requests)
    texts = ("1 check", "", *written.texts[2:])
    monkeypatch.setattr(shipped, "write", lambda requests: replace(written, texts=texts))
    planned = shipped.plan(episode)
    assert planned.valid_rate == 0.6 and planned.plans[:2] == (None, None)
    with pytest.raises(ValueError, match="requests: 0 of them for 5 tasks; a language model"):
        shipped.plan(replace(episode, requests=()))


@pytest.mark.parametrize("name", zoo.NAMES)
def test_rules_believe_the_planner(name, episode):
    policy = getattr(zoo, name.replace("-", "_"))(preset="paper", seed=0)
    assert policy.name == name
    assert len(rollout(episode.instance, policy).choice) == 5


def test_a_model_that_chats_is_asked_in_turns(byte_model, tmp_path):
    """The template puts [ ] around what the user says; the words of this model are bytes."""
    model, tokenizer = pretrained_models.load(str(byte_model))
    request = "law ; 1 write long hard"
    text = LanguagePlanner(model, tokenizer, small=False).write([request])
    assert text.prompt_tokens[0] == len(examples.plain(request))
    tokenizer.chat_template = "{% for m in messages %}[{{ m.content }}]{% endfor %}"
    turns = LanguagePlanner(model, tokenizer, small=False).write([request])
    assert turns.prompt_tokens[0] == len(f"[{examples.INSTRUCTIONS}{request}]")


def test_requests_and_checkpoints_that_cannot_be_used(tmp_path, byte_model):
    shipped = zoo.planner()
    with pytest.raises(ValueError, match=r"requests\[0\] has 401 tokens, the model's context"):
        shipped.write(["law " * 400])
    language = checkpoints.shipped("offloading", "sft")
    assert language is not None
    with pytest.raises(ValueError, match="kind is 'language', one of planner"):
        zoo.planner(language)
    with pytest.raises(ValueError, match="holds no trained policy"):
        zoo.planner(tmp_path)
    from learning.runs.folder import describe_checkpoint

    model, tokenizer = pretrained_models.load(str(byte_model))
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    describe_checkpoint(tmp_path, "planner")
    with pytest.raises(ValueError, match="trained with other words than this mecopt has"):
        planner.load(tmp_path)


def test_the_instructions_name_a_plan_that_can_be_read():
    """Roles of the instructions are those of plans."""
    assert all(role in examples.INSTRUCTIONS for role in ("retrieve", "aggregate"))
    assert parse_plan("1 retrieve 10 0.1").subtasks[0].role == "retrieve"
    assert set(words.ROLES) <= set(words.WORDS)


def test_names_of_rules_are_those_of_factories():
    for name in zoo.NAMES:
        assert callable(getattr(zoo, name.replace("-", "_")))
    with pytest.raises(AttributeError, match="no attribute 'graph_greedy'"):
        zoo.graph_greedy  # noqa: B018
    assert isinstance(checkpoints.shipped("task_graphs", "planner"), Path)
