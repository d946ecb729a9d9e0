"""A plan is a connected acyclic graph of known roles and honest numbers, or it is refused."""

import math

import pytest

from mecopt.task_graphs.plan import MOST_SUBTASKS, ROLES, Subtask, TaskPlan


def chain(n: int) -> TaskPlan:
    """0 -> 1 -> ... -> n - 1."""
    return TaskPlan(
        tuple(Subtask(str(i), "reason", 10, after=(str(i - 1),) if i else ()) for i in range(n))
    )


def test_order_puts_everything_behind_what_it_reads():
    """Listed last to first: c reads a and b, b reads a, so the order is a, b, c = 2, 1, 0."""
    plan = TaskPlan(
        (
            Subtask("c", "write", 10, after=("b", "a")),
            Subtask("b", "reason", 10, after=("a",)),
            Subtask("a", "retrieve", 10),
        )
    )
    assert plan.order.tolist() == [2, 1, 0]
    assert plan.before == ((1, 2), (2,), ())
    assert plan.sinks == (0,)


def test_subtasks_in_listed_order_keep_it():
    """Ties between subtasks that could come next go to the one listed first."""
    plan = TaskPlan(
        (
            Subtask("a", "reason", 1),
            Subtask("b", "reason", 1),
            Subtask("c", "aggregate", 1, after=("a", "b")),
        )
    )
    assert plan.order.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"role": "dream"}, "role = 'dream' is unknown, one of retrieve, extract"),
        ({"role": ["write"]}, r"role = \['write'\] is unknown"),
        ({"output_tokens": -1}, "output_tokens = -1 is negative"),
        ({"prompt_tokens": -0.5}, "prompt_tokens = -0.5 is negative"),
        ({"output_tokens": math.inf}, "output_tokens = inf is not a finite number"),
        ({"output_tokens": 10**400}, "output_tokens = 1000.*0 is not a finite number"),
        ({"prompt_tokens": math.nan}, "prompt_tokens = nan is not a finite number"),
        ({"difficulty": -math.inf}, "difficulty = -inf is not a finite number"),
        ({"output_tokens": "12"}, "output_tokens: must be a number, is '12'"),
        ({"output_tokens": True}, "output_tokens: must be a number, is True"),
        ({"critical": 1}, "critical = 1 must be true or false"),
        ({"after": "b"}, "after: must be a list of names"),
        ({"after": ("b", "b")}, r"after\[1\]: duplicate name 'b'"),
        ({"correctness": {"ap": 1.5}}, r"correctness\['ap'\] = 1.5 is not in \[0, 1\]"),
        ({"correctness": {"ap": None}}, r"correctness\['ap'\]: must be a number"),
        ({"correctness": 0.5}, "correctness"),
    ],
)
def test_a_bad_field_is_named_with_its_subtask(changes, message):
    """One line that says which subtask, which field and which value."""
    with pytest.raises(ValueError, match=rf"subtask 'a': .*{message}|subtask 'a': {message}"):
        Subtask(**{"name": "a", "role": "reason", "output_tokens": 10, **changes})


def test_names_have_no_control_characters():
    """They are printed, and a plan may come from anybody."""
    with pytest.raises(ValueError, match="control character"):
        Subtask("a\x1b[2J", "reason", 10)


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ({"a": ("a",)}, "'a' -> 'a' is a cycle"),
        ({"a": ("c",), "b": ("a",), "c": ("b",)}, "is a cycle"),
        ({"a": ("d",)}, "subtask 'a': after 'd', which is no subtask"),
        ({"b": ("a",)}, "'c' is not connected with 'a'"),
        ({}, "'b' is not connected with 'a'"),
    ],
    ids=["itself", "cycle", "unknown", "one apart", "all apart"],
)
def test_dependencies_make_one_acyclic_graph(after, message):
    """Cycles, names that are nobody's, and parts with nothing in common are refused."""
    with pytest.raises(ValueError, match=message):
        TaskPlan(tuple(Subtask(n, "reason", 10, after=after.get(n, ())) for n in "abc"))


def test_a_cycle_is_told_in_the_order_of_work():
    """b reads a, c reads b, a reads c: a -> b -> c -> a, wherever it starts."""
    after = {"a": ("c",), "b": ("a",), "c": ("b",)}
    with pytest.raises(ValueError, match="is a cycle") as error:
        TaskPlan(tuple(Subtask(n, "reason", 10, after=after[n]) for n in "abc"))
    told = str(error.value).removeprefix("subtasks: ").removesuffix(" is a cycle")
    assert f"{told}{told[3:]}".count("'a' -> 'b' -> 'c'") >= 1


def test_names_are_there_once():
    """Dependencies name subtasks, so that two of one name mean nothing."""
    with pytest.raises(ValueError, match=r"subtasks\[1\]: duplicate name 'a'"):
        TaskPlan((Subtask("a", "reason", 1), Subtask("a", "write", 1)))


def test_a_plan_has_one_subtask_to_twelve():
    """Every assignment is an option: m^n of them."""
    assert len(chain(MOST_SUBTASKS)) == 12
    with pytest.raises(ValueError, match=r"subtasks: 13 of them, a plan has 1\.\.12"):
        chain(13)
    with pytest.raises(ValueError, match=r"subtasks: 0 of them"):
        TaskPlan(())
    with pytest.raises(ValueError, match=r"subtasks\[0\]: 'a' is not a Subtask"):
        TaskPlan(("a",))


def test_other_numbers_leave_the_shape():
    """What a planner believes differs in numbers, not in roles and dependencies."""
    plan = chain(2)
    other = plan.with_values(output_tokens=[1.0, 2.0], difficulty=[0.5, 0.6])
    assert [s.output_tokens for s in other.subtasks] == [1.0, 2.0]
    assert other.shape == plan.shape == (("reason", ()), ("reason", (0,)))
    with pytest.raises(ValueError, match="output_tokens: 1 values for 2 subtasks"):
        plan.with_values(output_tokens=[1.0])


def test_a_plan_cannot_be_changed():
    """Nor can what it knows of correctness, not even through the mapping it was given."""
    known = {"ap": 0.5}
    subtask = Subtask("a", ROLES[0], 1, correctness=known)
    known["ap"] = 2.0
    assert subtask.correctness["ap"] == 0.5
    with pytest.raises(TypeError):
        subtask.correctness["ap"] = 1.0
