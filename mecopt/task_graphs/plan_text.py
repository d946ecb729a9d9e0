"""Plans as models write them: a line for each subtask, and precise errors for what is no plan.

    1 reason 340 0.62
    2 write 240 0.35 after 1
    3 aggregate 70 0.20 after 1 2

Each line holds number, role, expected output tokens and difficulty, and the numbers of the subtasks
whose outputs it reads. Nothing is repaired: what does not read like this is not a plan, and whoever
asked counts it as such.
"""

from __future__ import annotations

import re

from mecopt.strict_json import shown
from mecopt.task_graphs.plan import Subtask, TaskPlan

#: Roles whose mistakes spoil the task (D).
CRITICAL_ROLES = frozenset({"extract", "reason", "compute", "aggregate"})

#: Longest answer that a text may expect, tokens; whoever writes more has not understood (D).
MOST_TOKENS = 1_000_000

_LINE = re.compile(r"(\d+) +(\S+) +(\S+) +(\S+)(?: +after((?: +\d+)+))?", re.ASCII)
_NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)


class PlanError(ValueError):
    """A text that is not a plan; the message says where and why."""


def critical_of(roles: list[str]) -> list[bool]:
    """Which subtasks are critical (D): those of `CRITICAL_ROLES`, or else the last worker."""
    critical = [role in CRITICAL_ROLES for role in roles]
    workers = [i for i, role in enumerate(roles) if role != "aggregate"]
    if workers and not any(critical[i] for i in workers):
        critical[workers[-1]] = True
    return critical


def parse_plan(text: str, prompt_tokens: float = 0.0) -> TaskPlan:
    """The plan that a text says.

    Parameters
    ----------
    text : str
        Lines of the module docstring; blank lines at either end do not count.
    prompt_tokens : float
        Of every subtask: the prompt is the task's, not the planner's to choose.

    Raises
    ------
    PlanError
        Names the line and what is wrong with it.
    """
    rows = []
    for i, line in enumerate(text.strip().split("\n"), 1):
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise PlanError(
                f"line {i}: {shown(line)} is not 'NUMBER ROLE TOKENS DIFFICULTY [after NUMBERS]'"
            )
        number, role, tokens, difficulty, after = found.groups()
        if number != str(i):
            raise PlanError(f"line {i}: is numbered {shown(number)}")
        for name, value in (("tokens", tokens), ("difficulty", difficulty)):
            if not _NUMBER.fullmatch(value):
                raise PlanError(f"line {i}: {name} = {shown(value)} is not a number >= 0")
        if float(tokens) > MOST_TOKENS:
            raise PlanError(f"line {i}: tokens = {shown(tokens)} is more than {MOST_TOKENS}")
        rows.append((number, role, float(tokens), float(difficulty), (after or "").split()))
    critical = critical_of([role for _, role, *_ in rows])
    try:
        return TaskPlan(
            tuple(
                Subtask(n, role, tokens, difficulty, tuple(after), prompt_tokens, critical[i])
                for i, (n, role, tokens, difficulty, after) in enumerate(rows)
            )
        )
    except ValueError as error:
        raise PlanError(str(error)) from None


def plan_text(plan: TaskPlan) -> str:
    """The lines of a plan, the inverse of `parse_plan` up to rounding and names."""
    lines = []
    for i, s in enumerate(plan.subtasks):
        line = f"{i + 1} {s.role} {s.output_tokens:.0f} {max(s.difficulty, 0.0):.2f}"
        if plan.before[i]:
            line += " after " + " ".join(str(p + 1) for p in plan.before[i])
        lines.append(line)
    return "\n".join(lines)
