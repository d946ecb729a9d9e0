"""Schedule files: the decision, the instance it belongs to, and the objective to be met again."""

from __future__ import annotations

import os

from mecopt import files
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.replay import check_choice, replay
from mecopt.offloading.schedule import Schedule

FORMAT = files.Format("mecopt.schedule", version=1, finite=True)


def save(path: str | os.PathLike[str], schedule: Schedule) -> None:
    """Write a schedule file (schema ``mecopt.schedule``, docs/files.md)."""
    x = schedule.instance
    body = {
        "instance_hash": x.content_hash,
        "objective": schedule.objective,
        "choice": schedule.choice.tolist(),
        "tasks": list(x.task_names),
        "options": [x.option_name(k, int(c)) for k, c in enumerate(schedule.choice)],
    }
    FORMAT.write(path, body)


def load(path: str | os.PathLike[str], instance: OffloadingInstance) -> Schedule:
    """Read a schedule file and replay it on its instance.

    Only ``instance_hash``, ``choice`` and ``objective`` are read; names are for people.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is malformed, belongs to another instance, or its replay does not cost what the file
        claims (to 1e-9 relative).
    """
    body = FORMAT.read(path)
    files.check_decision(path, body, {"choice": list}, instance)
    try:
        choice = check_choice(instance, body["choice"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    schedule = replay(instance, choice)
    files.check_objective(path, body, schedule.objective)
    return schedule
