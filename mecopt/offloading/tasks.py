"""Tasks and resources as a person writes them; `OffloadingInstance.from_tasks` reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Resource:
    """A FIFO station with `capacity` parallel servers.

    Parameters
    ----------
    name : str
    capacity : int
        Number of parallel servers; `UNLIMITED` for a pure delay.
    kind : str
        ``"uplink"``, ``"device"``, ``"server"``, ``"link"`` or ``"cloud"``: used by priced rules,
        fairness metrics and pictures, never by the simulator.
    down_s : sequence of (start, end)
        Disjoint intervals [start, end) in s during which the resource is down.
    """

    name: str
    capacity: int = 1
    kind: str = "server"
    down_s: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class Stage:
    """One service on one resource.

    Parameters
    ----------
    resource : str
        Name of the resource.
    service_s : float
        Realised service time in s.
    believed_s : float, optional
        Service time a policy believes, in s; the realised one unless said.
    after : tuple of int, optional
        Positions (within the option) of the stages that must finish first. By default the stage
        listed just before; ``()`` makes the stage a source.
    """

    resource: str
    service_s: float
    believed_s: float | None = None
    after: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Option:
    """One way to serve a task: stages in a chain or a small DAG, plus a fixed cost in s."""

    name: str
    stages: Sequence[Stage]
    fixed_cost_s: float = 0.0

    def __post_init__(self) -> None:
        if not len(self.stages):
            raise ValueError(f"stages = {self.stages!r} of option {self.name!r} must not be empty")


@dataclass(frozen=True)
class Task:
    """A task with its options.

    Parameters
    ----------
    release_s, deadline_s, drop_cost_s : float
        Release time, *relative* deadline (may be infinite) and cost of a late or dropped task, s.
        An infinite drop cost forbids dropping and lateness.
    options : sequence of Option
    owner : str
        The user that released the task.
    latency_weight : float
        Cost of one second of latency.
    """

    release_s: float
    options: Sequence[Option]
    owner: str = "user"
    deadline_s: float = float("inf")
    drop_cost_s: float = float("inf")
    latency_weight: float = 1.0
    name: str | None = None

    def __post_init__(self) -> None:
        if not len(self.options):
            which = f"released at {self.release_s} s" if self.name is None else repr(self.name)
            raise ValueError(f"options = {self.options!r} of task {which} must not be empty")
