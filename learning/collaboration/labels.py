"""What a strategist learns from: where a look-ahead would send the tasks of the next ten slots.

The teacher, `expected-lookahead`, knows the true rates and plays whole episodes. At every node on
the way of a task its costs say how good each candidate is: that of the best option which goes on
that way. Candidates are given softmax(-cost / temperature), so that those that are about as good
have about the same share. (Which of several equally good ones the teacher takes is chance: its
decisions alone say little more than equal shares do.)

Every two slots each node looks around. Its label is the mean of these shares over the decisions
made there in the next ten slots, and whether more of its own tasks than usual (the median) are
late, damaged or lost. In one half of the episodes the teacher's decisions are not always carried
out, so that fuller queues are seen than it leaves. In one half nodes are told wrong rates of some
executions: memory then says what the rates do not.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from learning import seeds
from learning.collaboration.memory import Evaluator, Memory, Recollection, nothing_known
from learning.collaboration.sight import Moment, Seen, Sight, together
from mecopt import files
from mecopt.collaboration.failures import FloatArray
from mecopt.collaboration.network import Network
from mecopt.collaboration.policies.futures import lookahead
from mecopt.collaboration.scenarios import ledrl
from mecopt.collaboration.walk import Walks
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.policies.lookahead import Lookahead
from mecopt.offloading.replay import rollout
from mecopt.offloading.status import NEVER, ON_TIME

#: Slots of a label (P: how often the model is asked), slots between looks (D).
WINDOW, EVERY = 10, 2
#: Shares of decisions not carried out in exploring episodes, of rates told wrong in misled ones,
#: of rows without memory (D).
EXPLORED, WRONG, FORGOTTEN = 0.3, 0.5, 0.3
#: Candidates whose costs differ by this much, in tasks, differ by a factor e (D).
TEMPERATURE = 0.05
#: Told rates are off by a factor between these, either way (D).
FACTORS = (2.0, 5.0)
#: Arrays of a file, in the order of the fields.
_SEEN, _KNOWN = ("deadline", "count", "places", "up"), ("trouble", "share", "lately")


@dataclass(frozen=True, eq=False)
class Labelled:
    """Rows to learn from.

    Parameters
    ----------
    seen : Seen
        What nodes saw, without their networks.
    strategy : (P, C) float
        The teacher's shares of the candidates.
    bad : (P,) float
        Share of the node's own tasks that were not on time.
    """

    seen: Seen
    strategy: FloatArray
    bad: FloatArray

    def __len__(self) -> int:
        return len(self.bad)

    def risky(self, median: float) -> NDArray[np.bool_]:
        """(P,) whether more tasks than usual were not on time."""
        return self.bad > median

    def __getitem__(self, which: NDArray[np.int64]) -> Labelled:
        """Some of the rows."""
        return Labelled(self.seen[which], self.strategy[which], self.bad[which])


@dataclass
class Watched:
    """Plays the teacher, or now and then something else, and notes what nodes see.

    Parameters
    ----------
    teacher : Lookahead
    told : Network
        What nodes are told of rates.
    explored : float
        Share of decisions that are any option in place of the teacher's.
    rng : Generator
    """

    teacher: Lookahead
    told: Network
    explored: float
    rng: np.random.Generator
    name: str = "watched"
    looks: list[tuple[int, Seen]] = field(default_factory=list)
    decisions: list[tuple[int, int, FloatArray]] = field(default_factory=list)

    def reset(self, instance: OffloadingInstance) -> None:
        self.teacher.reset(instance)
        self._sight = replace(Sight.of(instance), network=self.told)
        self._walks = Walks.of(instance, self.told)
        self._slot_s = float(instance.meta["slot_s"])
        memory = Memory.of(self._sight.node, self._slot_s)
        self._evaluator = Evaluator(instance, self._walks, memory)
        self._wide = self._sight.node.shape[1]
        self.looks, self.decisions, self._next = [], [], 0

    def act(self, observation: Observation) -> int:
        slot = round(observation.now_ns * 1e-9 / self._slot_s)
        if slot >= self._next:
            self._evaluator.watch(observation)
            moment = Moment.of(observation, self._evaluator.memory)
            self.looks.append((slot, self._sight.look(moment)))
            self._next = slot + EVERY
        costs = self.teacher.candidate_costs(observation)
        choice = self.teacher.best(observation, costs)
        if choice >= 0:
            self._note(slot, observation, costs[:-1], choice)
        if self.rng.random() < self.explored:
            return int(self.rng.integers(observation.n_options))
        return choice

    def _note(self, slot: int, observation: Observation, costs: FloatArray, choice: int) -> None:
        """Shares of the candidates at each node on the way."""
        options = observation.instance.options_of(observation.task)
        candidate = self._walks.candidate[options.start : options.stop]
        node = self._walks.node[options.start + choice]
        alike = np.isfinite(costs) & (observation.completion_ns < NEVER)
        for hop in range(int((node >= 0).sum())):
            best = np.full(self._wide, np.inf)
            np.minimum.at(best, candidate[alike, hop], costs[alike])
            share = np.exp(-(best - best.min()) / TEMPERATURE)
            self.decisions.append((slot, int(node[hop]), share / share.sum()))
            alike &= candidate[:, hop] == candidate[choice, hop]


def misled(network: Network, rng: np.random.Generator) -> Network:
    """The network with some execution failure rates told too high or too low."""

    def told(rate: float) -> float:
        factor = rng.uniform(*FACTORS)
        if rng.random() >= WRONG:
            return rate
        return rate * factor if rng.random() < 0.5 else rate / factor

    nodes = tuple(
        replace(n, execution_failure_per_s=told(n.execution_failure_per_s)) for n in network.nodes
    )
    return replace(network, nodes=nodes)


def episode(seed: int, kind: int, preset: str = "paper") -> Labelled:
    """Rows of one episode.

    Parameters
    ----------
    seed : int
    kind : int
        Odd ones explore; of each four the last two mislead.
    preset : str
    """
    rng = np.random.default_rng([13, seed])
    changes: dict[str, Any] = {"link_failure_per_s": (0.0, 0.25)} if rng.random() < 0.3 else {}
    x = ledrl.generate(preset, seed, **changes)
    told = misled(Network.of(x), rng) if kind % 4 >= 2 else Network.of(x)
    teacher = lookahead(seed)
    watched = Watched(teacher, told, EXPLORED if kind % 2 else 0.0, rng)
    done = rollout(x, watched)
    return _labelled(x, watched, done.status != ON_TIME)


def _labelled(x: OffloadingInstance, watched: Watched, bad: NDArray[np.bool_]) -> Labelled:
    """What was seen, with what followed."""
    slot = np.rint(x.release_ns * 1e-9 / float(x.meta["slot_s"])).astype(np.int64)
    nodes, wide = watched.looks[0][1].up.shape
    when, where, share = (np.array(column) for column in zip(*watched.decisions, strict=True))
    parts = []
    for at, seen in watched.looks:
        inside = (when >= at) & (when < at + WINDOW)
        total = np.zeros((nodes, wide))
        np.add.at(total, where[inside], share[inside])
        own = (slot >= at) & (slot < at + WINDOW)
        lost = np.bincount(x.owner[own], weights=bad[own], minlength=nodes)
        tasks = np.bincount(x.owner[own], minlength=nodes)
        some = np.flatnonzero(total.sum(axis=1))
        strategy = total[some] / total[some].sum(axis=1, keepdims=True)
        bare = replace(seen, where=())[some]
        parts.append(Labelled(bare, strategy, (lost / np.maximum(tasks, 1))[some]))
    return concat(parts)


def collect(preset: str, episodes: int, first_seed: int, part: str = "train") -> Labelled:
    """Rows of several episodes; equal arguments give equal rows.

    Raises
    ------
    ValueError
        If the seeds are not of this part (`learning.seeds`).
    """
    used = range(first_seed, first_seed + episodes)
    seeds.check([used.start, used.stop - 1], part)
    found = concat([episode(seed, i, preset) for i, seed in enumerate(used)])
    forgets = np.random.default_rng([14, first_seed]).random(len(found)) < FORGOTTEN
    nothing = nothing_known(*found.seen.up.shape)
    known = found.seen.known
    kept = [
        np.where(forgets[:, None], none, own)
        for none, own in (
            (nothing.trouble, known.trouble),
            (nothing.share, known.share),
            (nothing.lately, known.lately),
        )
    ]
    return replace(found, seen=replace(found.seen, known=Recollection(*kept)))


def concat(parts: Sequence[Labelled]) -> Labelled:
    """Rows one after the other."""
    seen = together([part.seen for part in parts])
    wide = seen.up.shape[1]
    shares = [np.pad(p.strategy, [(0, 0), (0, wide - p.strategy.shape[1])]) for p in parts]
    return Labelled(seen, np.concatenate(shares), np.concatenate([p.bad for p in parts]))


# ------------------------------------------------------------------------------------------ files
def write(labelled: Labelled, file: Path) -> None:
    """Keep rows in one file, whole or not at all."""
    seen, buffer = labelled.seen, io.BytesIO()
    np.savez_compressed(
        buffer,
        **{name: getattr(seen, name) for name in _SEEN},
        **{name: getattr(seen.known, name) for name in _KNOWN},
        strategy=labelled.strategy,
        bad=labelled.bad,
    )
    files.write_bytes(file, buffer.getvalue())


def read(file: Path) -> Labelled:
    """Rows that `write` kept.

    Raises
    ------
    ValueError
        If the file is damaged, or holds anything but arrays of numbers.
    """
    try:
        with np.load(file, allow_pickle=False) as kept:
            known = Recollection(*(kept[name] for name in _KNOWN))
            seen = Seen(where=(), known=known, **{name: kept[name] for name in _SEEN})
            return Labelled(seen, kept["strategy"], kept["bad"])
    except (AttributeError, EOFError, KeyError, TypeError, ValueError, BadZipFile) as error:
        raise ValueError(f"{file}: no labelled rows ({error})") from None
