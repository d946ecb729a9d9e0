"""Queries over time: snapshot rules scored as online rules over the offloading kernel.

Queries arrive (Poisson, or at the times of a real trace) and are decided together at the end of
their slot. Each runs on its user's device, or is uploaded over a server's channel and answered
there; channels and servers serve one query at a time in order of arrival, which takes as long in
all as serving them side by side. The worth kappa u of leaving the device is a negative fixed cost
of an option, so that the clairvoyant optimum of the whole stream, its certified bound, and every
online rule of `mecopt.offloading` speak of the same costs.

`Batched` turns a rule for snapshots into an online rule: at each slot it builds the snapshot of the
queries that have just been released, with the work already committed as the servers' queues.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt import checks, plugins
from mecopt.accuracy_delay.instance import LOCAL, QuerySnapshot
from mecopt.accuracy_delay.margins import Margins
from mecopt.accuracy_delay.policies import by_name
from mecopt.accuracy_delay.policies.protocol import SnapshotPolicy
from mecopt.accuracy_delay.scenarios import goa
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.schedule import Schedule
from mecopt.offloading.tasks import Option, Resource, Stage, Task


@dataclass(frozen=True, eq=False)
class QueryStream:
    """A stream of K queries.

    Parameters
    ----------
    instance : OffloadingInstance
        Option 0 of a task is the device, option j + 1 is server j.
    arrival_s : (K,) float64
        When each query was asked; it is decided at the end of its slot.
    accuracy : (K, M + 1) float64
        Probability of a correct answer by option.
    """

    instance: OffloadingInstance
    arrival_s: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    def delay_s(self, schedule: Schedule) -> NDArray[np.float64]:
        """(K,) delay of each query from when it was asked, s."""
        wait = self.instance.release_ns * 1e-9 - self.arrival_s
        return schedule.latency_s + wait

    def figures(self, schedule: Schedule) -> dict[str, float]:
        """Mean and p95 delay in s, expected accuracy, share of queries that left the device."""
        delay = self.delay_s(schedule)
        of = np.arange(len(delay)), schedule.choice
        return {
            "mean_delay_s": float(delay.mean()),
            "p95_delay_s": float(np.quantile(delay, 0.95)),
            "expected_accuracy": float(self.accuracy[of].mean()),
            "offloaded_share": float((schedule.choice > 0).mean()),
        }


def generate(
    users: int | str = 30,
    seed: int = 0,
    *,
    queries_per_user_s: float = 0.2,
    horizon_s: float = 60.0,
    slot_s: float = 0.5,
    arrival_s: ArrayLike | None = None,
    margins: Margins | None = None,
    **changes: object,
) -> QueryStream:
    """A stream of queries over the network of `mecopt.accuracy_delay.scenarios.goa`.

    Parameters
    ----------
    users, seed, margins, **changes
        As in `mecopt.accuracy_delay.scenarios.goa.generate`: each query is drawn as there.
    queries_per_user_s : float
        Poisson rate of each user, 1/s (D).
    horizon_s : float
        Queries are asked before this (D).
    slot_s : float
        Queries asked within a slot are decided at its end (D).
    arrival_s : (K,) array_like, optional
        Arrivals of a trace in s, rising, in place of Poisson ones; users are drawn uniformly.

    Raises
    ------
    ValueError
        Names the argument and the value that cannot be used.
    """
    checks.check_seed(seed)
    for name, value in (
        ("queries_per_user_s", queries_per_user_s),
        ("horizon_s", horizon_s),
        ("slot_s", slot_s),
    ):
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} = {value!r} must be > 0")
    rng = np.random.default_rng([5, seed])
    p = goa.parameters(users, **changes)
    if arrival_s is None:
        count = max(1, int(rng.poisson(queries_per_user_s * p.users * horizon_s)))
        asked = np.sort(rng.uniform(0.0, horizon_s, count))
    else:
        asked = _arrivals(arrival_s)
    user = rng.integers(p.users, size=len(asked))
    # One snapshot with a row per query draws lengths and margins; rates are those of its user.
    place = goa.generate(users, seed, margins=margins, **changes)
    drawn = goa.generate(len(asked), seed, margins=margins, **{**changes, "queue_s": (0.0, 0.0)})
    return _stream(place.rate_bps[user], drawn, asked, user, p.users, slot_s, seed)


def _arrivals(given: ArrayLike) -> NDArray[np.float64]:
    asked = np.asarray(given, dtype=np.float64)
    if asked.ndim != 1 or not len(asked):
        raise ValueError(f"arrival_s must be a list of times, has shape {asked.shape}")
    checks.refuse(~(np.isfinite(asked) & (asked >= 0)), "arrival_s", asked, "is no time >= 0")
    checks.refuse(np.diff(asked, prepend=0.0) < 0, "arrival_s", asked, "is before the one above")
    return asked


def _stream(
    rate_bps: NDArray[np.float64],
    drawn: QuerySnapshot,
    asked: NDArray[np.float64],
    user: NDArray[np.int64],
    users: int,
    slot_s: float,
    seed: int,
) -> QueryStream:
    servers = drawn.servers
    resources = [Resource(f"device {u}", kind="device") for u in range(users)]
    for name in servers:
        resources += [Resource(f"channel {name}", kind="uplink"), Resource(name, kind="server")]
    release = np.ceil(asked / slot_s) * slot_s
    tasks = []
    for k in range(len(asked)):
        worth = drawn.kappa_s * float(drawn.uncertainty[k])
        options = [Option("device", [Stage(f"device {user[k]}", float(drawn.local_s[k]))])]
        for j, name in enumerate(servers):
            stages = [
                Stage(f"channel {name}", float(drawn.bits[k] / rate_bps[k, j])),
                Stage(name, float(drawn.work[k] / drawn.speed[j])),
            ]
            options.append(Option(name, stages, fixed_cost_s=-worth))
        tasks.append(Task(float(release[k]), options, owner=f"user {user[k]}"))
    instance = OffloadingInstance.from_tasks(
        resources,
        tasks,
        meta={
            "scenario": "goa-stream",
            "preset": str(users),
            "seed": seed,
            "slot_s": slot_s,
            "kappa_s": drawn.kappa_s,
        },
    )
    accuracy = np.column_stack([drawn.accuracy_local, drawn.accuracy_edge])
    return QueryStream(instance, asked, accuracy)


# ------------------------------------------------------------------------------- online rules
@dataclass
class Batched:
    """A rule for snapshots as an online rule: queries released together are decided together.

    Parameters
    ----------
    rule : SnapshotPolicy
    """

    rule: SnapshotPolicy
    _decided: dict[int, int] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        return self.rule.name

    def reset(self, instance: OffloadingInstance) -> None:
        """Forget the last rollout."""
        self._decided = {}

    def act(self, observation: Observation) -> int:
        if observation.task not in self._decided:
            tasks = _released_now(observation)
            snapshot = snapshot_of(observation, tasks)
            self.rule.reset(snapshot)
            choice = np.asarray(self.rule.act(snapshot))
            self._decided = {
                int(k): int(j) + 1 if j != LOCAL else 0 for k, j in zip(tasks, choice, strict=True)
            }
        return self._decided[observation.task]


def _released_now(observation: Observation) -> NDArray[np.int64]:
    """The task at hand and those after it with the same release."""
    release = observation.instance.release_ns
    end = int(np.searchsorted(release, observation.now_ns, side="right"))
    return np.arange(observation.task, end)


def snapshot_of(observation: Observation, tasks: NDArray[np.int64]) -> QuerySnapshot:
    """The snapshot of queries released together, with committed work as queues.

    Every task must have the device as its first option and servers, each a channel and a server,
    as the others. Accuracies are not known to an offloading instance and are left at zero.

    Raises
    ------
    ValueError
        If the options of a task are of another form.
    """
    x = observation.instance
    count = np.diff(x.option_ptr)[tasks]
    first = x.option_ptr[tasks]
    stages = np.diff(x.stage_ptr)
    m = int(count[0]) - 1
    rows = first[:, None] + np.arange(1, m + 1)
    if m < 1 or (count != m + 1).any() or (stages[first] != 1).any() or (stages[rows] != 2).any():
        raise ValueError(
            "tasks: a snapshot rule needs the device as first option, then servers, each with an "
            "upload and a computing stage"
        )
    upload, compute = x.stage_ptr[rows], x.stage_ptr[rows] + 1
    wait = observation.backlog_s
    at = x.stage_resource
    queue = wait[at[upload[0]]] + wait[at[compute[0]]]
    n = len(tasks)
    local = x.believed_ns[x.stage_ptr[first]] * 1e-9 + wait[at[x.stage_ptr[first]]]
    # A megabit and a unit of work each: times then stand in rates and speeds.
    seconds = np.maximum(x.believed_ns[upload], 1) * 1e-9
    return QuerySnapshot(
        users=tuple(str(k) for k in tasks),
        servers=tuple(str(j) for j in range(m)),
        bits=np.full(n, 1e6),
        work=x.believed_ns[compute[:, 0]] * 1e-9,
        rate_bps=1e6 / seconds,
        speed=np.ones(m),
        queue_s=queue,
        room=np.full(m, n),
        local_s=local,
        uncertainty=np.clip(-x.fixed_cost_ns[rows[:, 0]] * 1e-9 / _scale(x, rows), 0.0, 1.0),
        accuracy_local=np.zeros(n),
        accuracy_edge=np.zeros(m),
        kappa_s=_scale(x, rows),
    )


def _scale(x: OffloadingInstance, rows: NDArray[Any]) -> float:
    """Kappa: the largest worth among queries, so that uncertainties lie between 0 and 1."""
    return max(float(-x.fixed_cost_ns[rows].min()) * 1e-9, 1e-9)


def rule(name: str, **asked: Any) -> Batched:
    """A rule for snapshots by name, as an online rule."""
    return Batched(by_name.make(name, **asked))


def _entry(name: str) -> Any:
    return plugins.rule_entry(name, lambda asked: rule(name, seed=asked.seed))


#: Entry points of the group ``mecopt.policies``.
goa_rule, delay_greedy_rule = _entry("goa"), _entry("delay-greedy")
goa_local_search_rule = _entry("goa-local-search")


def rules() -> Mapping[str, Batched]:
    """Every rule for snapshots as an online rule, by name."""
    return {name: rule(name) for name in by_name.NAMES}
