"""Independent states: the evaluation of COMLLM (Yang, Cheng, Zhang, arXiv 2604.07148, Table II).

States are drawn uniformly, without repetition, from the decision states of one-step-oracle
trajectories; every policy is asked what it would do in each. Its cost in a state is the believed
cost of its option given the work committed so far
(`mecopt.offloading.observation.Observation.cost_s`: the latency, or the drop cost when late or
dropped), so

    PR = mean cost of the one-step oracle / mean cost of the policy   <= 1

here. Nothing that a decision does to later tasks is seen: trajectories and their gap to the bound
(`mecopt bench`) say that. A policy that looks ahead is *worse* here on purpose.

Fairness (the paper's LBI is not defined in what is public): `backlog_fairness` is Jain's index of
the servers' backlog that the decision leaves behind, averaged over states (before the decision it
is the same for everybody); `assignment_fairness` is Jain's index of tasks per server, where servers
of different episodes are matched by their rank in speed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.offloading.states import decision_states as decision_states
from learning.offloading.states.decision_states import States
from mecopt.checks import check_seed
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.metrics import parse_rate, server_mask
from mecopt.offloading.observation import Observation
from mecopt.offloading.policies.protocol import Policy
from mecopt.offloading.policies.simple import OneStepOracle
from mecopt.offloading.scenarios import comllm
from mecopt.offloading.units import to_ns
from mecopt.statistics import jain

#: Seeds of test episodes; training uses 10000 and above, tuning 1000:1100.
TEST_SEEDS = (0, 1000)
#: Few states an episode, so that states are close to independent.
STATES_PER_EPISODE = 10
FEWEST_EPISODES = 20


@dataclass(frozen=True, eq=False)
class Sample:
    """B independent states over J servers, with what the core says about every option.

    Parameters
    ----------
    states : States
    cost_slots : (B, J + 2) float64
        Believed cost of local, every server, and the drop.
    late : (B, J + 2) bool
        Options that miss the deadline, and the drop.
    backlog_s, backlog_after_s : (B, J) float64
        Server backlog at the state, and backlog of a server had it been given the task.
    speed_rank : (B, J) int64
        Rank of each server by GHz within its episode, 0 the fastest.
    """

    states: States
    cost_slots: NDArray[np.float64]
    late: NDArray[np.bool_]
    backlog_s: NDArray[np.float64]
    backlog_after_s: NDArray[np.float64]
    speed_rank: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.cost_slots)

    @property
    def n_servers(self) -> int:
        """Number of servers, J."""
        return self.backlog_s.shape[1]


@dataclass(frozen=True, eq=False)
class Answers:
    """What a policy decided in every state of a sample.

    Parameters
    ----------
    option : (B,) int64
        0 = local, 1..J = servers, J + 1 = drop.
    parse_rate : float
        Share of answers that named a valid option.
    """

    option: NDArray[np.int64]
    parse_rate: float = 1.0


def ask(
    policies: Mapping[str, Policy],
    *,
    preset: str = "paper",
    count: int = 1000,
    servers: int | None = None,
    seed: int = 0,
    size_mbit: float | None = None,
    **changes: Any,
) -> tuple[Sample, dict[str, Answers]]:
    """Draw a sample of states and ask every policy in each.

    Policies with ``decide(states)`` are asked in one batch; the others act on the observation,
    while the oracle's trajectory passes it.

    Parameters
    ----------
    policies : mapping of name to Policy
    preset : str
        COMLLM preset.
    count : int
        States, B.
    servers : int, optional
        In place of the preset's.
    seed : int
        Of the sample: which test episodes, and which states of them.
    size_mbit : float, optional
        Size of the task to decide, in place of its own; the network around it stays as it is.
    **changes
        Other parameters of `mecopt.offloading.scenarios.comllm.Parameters`.

    Raises
    ------
    ValueError
        If an argument is out of range, or there are not that many states.
    """
    if size_mbit is not None and not 0 < size_mbit < np.inf:
        raise ValueError(f"size_mbit = {size_mbit} must be > 0")
    instances = episodes(preset, count, seed, servers=servers, **changes)
    wanted = _draw(instances, count, seed)
    batched = {name: p for name, p in policies.items() if hasattr(p, "decide")}
    asked = {name: p for name, p in policies.items() if name not in batched}
    rows = []
    options: dict[str, list[int]] = {name: [] for name in asked}
    valid = {name: _ValidShare(policy) for name, policy in asked.items()}
    for instance, tasks in zip(instances, wanted, strict=True):
        if not len(tasks):
            continue
        for name, policy in asked.items():
            valid[name].close()
            policy.reset(instance)
        visited = decision_states.visit_one(
            instance, OneStepOracle(), set(tasks.tolist()), int(tasks[-1])
        )
        for observation in visited:
            if size_mbit is not None:
                observation = _resized(observation, size_mbit)
            rows.append(_read(observation))
            for name, policy in asked.items():
                if size_mbit is not None:
                    valid[name].close()
                    policy.reset(observation.instance)
                answer = policy.act(observation)
                valid[name].answers += 1
                options[name].append(answer if answer >= 0 else observation.n_options)
    sample = _sample(rows)
    answers = {
        name: Answers(np.array(found, dtype=np.int64), valid[name].close())
        for name, found in options.items()
    }
    for name, policy in batched.items():
        policy.reset(instances[0])
        answers[name] = decide(policy, sample.states)
    return sample, {name: answers[name] for name in policies}


@dataclass
class _ValidShare:
    """Share of valid answers over several resets: a policy counts since its last one."""

    policy: Any
    answers: int = 0  # since the last reset
    _asked: int = 0
    _valid: float = 0.0

    def close(self) -> float:
        """Take in what was answered since the last reset; the share of all so far."""
        if self.answers:
            self._valid += self.answers * parse_rate(self.policy)
            self._asked += self.answers
            self.answers = 0
        return self._valid / self._asked if self._asked else parse_rate(self.policy)


def decide(policy: Any, states: States) -> Answers:
    """Ask a policy that decides batches; it must have been reset."""
    option = np.asarray(policy.decide(states), dtype=np.int64)
    return Answers(option, parse_rate(policy))


def episodes(
    preset: str, count: int, seed: int, *, servers: int | None = None, **changes: Any
) -> list[OffloadingInstance]:
    """Test episodes for `count` states, `STATES_PER_EPISODE` each on average.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    if count < 1:
        raise ValueError(f"states = {count} must be >= 1")
    check_seed(seed)
    if servers is not None:
        if servers < 1:
            raise ValueError(f"servers = {servers} must be >= 1")
        changes["servers"] = servers
    first, end = TEST_SEEDS
    n = min(end - first, max(FEWEST_EPISODES, -(-count // STATES_PER_EPISODE)))
    seeds = first + np.random.default_rng([seed, 0]).permutation(end - first)[:n]
    return [comllm.generate(preset, int(s), **changes) for s in seeds]


def _draw(instances: list[OffloadingInstance], count: int, seed: int) -> list[NDArray[np.int64]]:
    """Tasks to look at in each episode: uniform over all decision states together."""
    edges = np.cumsum([0, *(x.n_tasks for x in instances)])
    if count > edges[-1]:
        raise ValueError(f"states = {count}: the test episodes have only {edges[-1]}")
    rng = np.random.default_rng([seed, 1])
    chosen = np.sort(rng.choice(edges[-1], size=count, replace=False))
    cuts = np.searchsorted(chosen, edges)
    return [chosen[cuts[i] : cuts[i + 1]] - edges[i] for i in range(len(instances))]


def _resized(observation: Observation, size_mbit: float) -> Observation:
    """The same moment of an instance in which the released task has another size."""
    x, k = observation.instance, observation.task
    stages = slice(x.stage_ptr[x.option_ptr[k]], x.stage_ptr[x.option_ptr[k + 1]])
    factor = size_mbit / decision_states.of(observation).size_mbit[0]
    service = x.service_ns.copy()
    service[stages] = to_ns(service[stages] * factor * 1e-9)
    return replace(observation, instance=replace(x, service_ns=service, believed_ns=service))


def _read(observation: Observation) -> tuple[Any, ...]:
    """What a sample keeps of an observation, which is not kept: the fields of `Sample`."""
    x = observation.instance
    state = decision_states.of(observation)
    cost = np.append(observation.cost_s, observation.drop_cost_s) / float(x.meta["slot_s"])
    late = observation.completion_ns - observation.now_ns > x.deadline_ns[observation.task]
    servers = np.flatnonzero(server_mask(x))
    rank = np.argsort(np.argsort(-state.server_ghz[0], kind="stable"), kind="stable")
    after = [_backlog_after_s(observation, 1 + j, int(r)) for j, r in enumerate(servers)]
    backlog = observation.backlog_s[servers]
    return state, cost, np.append(late, True), backlog, np.array(after), rank


def _sample(rows: list[tuple[Any, ...]]) -> Sample:
    """Everything that was read, state by state."""
    states, *columns = zip(*rows, strict=True)
    return Sample(decision_states.concat(states), *map(np.array, columns))


def _backlog_after_s(observation: Observation, option: int, resource: int) -> float:
    """Wait at the back of a server's queue (one at a time) once it is given the task, s.

    The new stage takes its place in the order of arrival; later arrivals move back.
    """
    x = observation.instance
    stage = x.stage_ptr[x.option_ptr[observation.task] + option + 1] - 1
    service = int(x.believed_ns[stage])
    arrival = int(observation.completion_ns[option]) - service
    head, _, link, at, done = observation.entries
    before = after = int(observation.free_ns[x.arrays.free_ptr[resource]])
    waiting, e = True, int(head[resource])
    while e >= 0:
        if waiting and at[e] > arrival:
            after, waiting = max(after, arrival) + service, False
        own = int(done[e]) - max(before, int(at[e]))
        before, after = int(done[e]), max(after, int(at[e])) + own
        e = int(link[e])
    if waiting:
        after = max(after, arrival) + service
    return max(0, after - observation.now_ns) * 1e-9


# -------------------------------------------------------------------------------------- figures
def figures(sample: Sample, answers: Answers) -> dict[str, float]:
    """Figures of a policy's answers: cost, agreement with the oracle, drops, fairness."""
    rows, j = np.arange(len(sample)), sample.n_servers
    option = answers.option
    cost, least = sample.cost_slots[rows, option], sample.cost_slots.min(axis=1)
    sent = np.flatnonzero((option >= 1) & (option <= j))
    server = option[sent] - 1
    backlog = sample.backlog_s.copy()
    backlog[sent, server] = sample.backlog_after_s[sent, server]
    tasks = np.bincount(sample.speed_rank[sent, server], minlength=j)
    return {
        "pr": float(least.mean() / cost.mean()),
        "agreement": float((cost <= least + 1e-9).mean()),  # ties agree
        "drop_rate": float(sample.late[rows, option].mean()),
        "mean_cost_slots": float(cost.mean()),
        "backlog_fairness": float(np.mean([jain(state) for state in backlog])),
        "assignment_fairness": jain(tasks),
        "parse_rate": answers.parse_rate,
    }


def records(sample: Sample, answers: Mapping[str, Answers]) -> list[dict[str, Any]]:
    """One record per policy, as ``mecopt bench comllm --states`` writes it."""
    return [
        {"policy": name, "servers": sample.n_servers, **figures(sample, found)}
        for name, found in answers.items()
    ]
