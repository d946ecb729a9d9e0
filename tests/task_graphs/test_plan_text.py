"""A model's text is a plan, or a `PlanError` that says where it is not; nothing is repaired."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mecopt.task_graphs.plan import ROLES, Subtask, TaskPlan
from mecopt.task_graphs.plan_text import PlanError, critical_of, parse_plan, plan_text

TEXT = """1 reason 340 0.62
2 write 240 0.35 after 1
3 aggregate 70 0.20 after 1 2"""


def test_a_text_and_its_plan():
    """Number, role, tokens, difficulty, what it reads; what is critical follows from the roles."""
    plan = parse_plan(TEXT, prompt_tokens=500)
    assert plan.names == ("1", "2", "3")
    assert [s.role for s in plan.subtasks] == ["reason", "write", "aggregate"]
    assert [s.output_tokens for s in plan.subtasks] == [340, 240, 70]
    assert [s.difficulty for s in plan.subtasks] == [0.62, 0.35, 0.20]
    assert plan.before == ((), (0,), (0, 1))
    assert [s.critical for s in plan.subtasks] == [True, False, True]
    assert {s.prompt_tokens for s in plan.subtasks} == {500}
    assert plan_text(plan) == TEXT


def test_blank_lines_at_the_ends_do_not_count():
    """Models begin and end with them; one in between is no subtask."""
    assert plan_text(parse_plan(f"\n{TEXT}\r\n\n")) == TEXT
    with pytest.raises(PlanError, match="line 2: '' is not"):
        parse_plan(TEXT.replace("\n", "\n\n", 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: '' is not 'NUMBER ROLE TOKENS DIFFICULTY"),
        ("Sure! Here is a plan:", r"line 1: .* is not"),
        ("2 write 240 0.3", "line 1: is numbered '2'"),
        ("01 write 240 0.3", "line 1: is numbered '01'"),
        ("1" * 5000 + " write 240 0.3", "line 1: is numbered '1111.*'"),
        ("1 reason 10 0.5\n3 write 240 0.3 after 1", "line 2: is numbered '3'"),
        ("1 dream 240 0.3", "subtask '1': role = 'dream' is unknown"),
        ("1 write -5 0.3", "line 1: tokens = '-5' is not a number >= 0"),
        ("1 write many 0.3", "line 1: tokens = 'many' is not"),
        ("1 write 1e3 0.3", "line 1: tokens = '1e3' is not"),
        ("1 write inf 0.3", "line 1: tokens = 'inf' is not"),
        ("1 write " + "9" * 400 + " 0.3", "line 1: tokens = '999.*' is more than 1000000"),
        ("1 write 1000001 0.3", "line 1: tokens = '1000001' is more than 1000000"),
        ("1 write ٣ 0.3", "line 1: tokens = '٣' is not"),
        ("1 write 240 hard", "line 1: difficulty = 'hard' is not"),
        ("1 write 240", "line 1: '1 write 240' is not"),
        ("1 write 240 0.3 after", "line 1: .* is not"),
        ("1 write 240 0.3 after 2", "subtask '1': after '2', which is no subtask"),
        ("1 write 240 0.3 after 1", "is a cycle"),
        ("1 write 240 0.3\n2 write 240 0.3 after 1 1", "duplicate name '1'"),
        ("1 write 240 0.3\n2 write 240 0.3", "'2' is not connected with '1'"),
        ("\n".join(f"{i} write 9 0.3 after 1" for i in range(1, 14)), "13 of them"),
    ],
)
def test_what_is_no_plan_is_told_precisely(text, message):
    """One line that names the line or the subtask."""
    with pytest.raises(PlanError, match=message) as error:
        parse_plan(text)
    assert "\n" not in str(error.value)


def test_some_subtask_is_always_critical():
    """Of workers whose mistakes would all be forgiven, the last one counts."""
    assert critical_of(["retrieve", "write"]) == [False, True]
    assert critical_of(["write", "check", "aggregate"]) == [False, True, True]
    assert critical_of(["reason", "write"]) == [True, False]
    assert critical_of(["aggregate"]) == [True]


_WORDS = st.one_of(
    st.sampled_from([*ROLES, "after", "1", "2", "3", "0.5", "300", "-1", "nan", "1e9", "", "²"]),
    st.text(max_size=4),
)
_LINES = st.lists(st.lists(_WORDS, max_size=8).map(" ".join), max_size=4).map("\n".join)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), _LINES))
def test_any_text_is_a_plan_or_a_plan_error(text):
    """Whatever a model writes: nothing else is raised."""
    try:
        plan = parse_plan(text)
    except PlanError as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(plan, TaskPlan)
        assert parse_plan(plan_text(plan)).shape == plan.shape


@st.composite
def _plans(draw):
    """Connected: each subtask but the first reads at least one before it."""
    n = draw(st.integers(1, 6))
    roles = draw(st.lists(st.sampled_from(ROLES), min_size=n, max_size=n))
    critical = critical_of(roles)
    return TaskPlan(
        tuple(
            Subtask(
                str(i + 1),
                roles[i],
                draw(st.integers(0, 2000)),
                draw(st.integers(0, 150)) / 100,
                tuple(
                    str(p + 1)
                    for p in sorted(draw(st.sets(st.integers(0, i - 1), min_size=1)) if i else ())
                ),
                critical=critical[i],
            )
            for i in range(n)
        )
    )


@settings(max_examples=100, deadline=None)
@given(_plans())
def test_text_and_back(plan):
    """Whole tokens and hundredths of difficulty survive."""
    assert parse_plan(plan_text(plan)) == plan
