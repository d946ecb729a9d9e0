"""Many episodes of failing nodes at once, each at a decision of one agent: the compiled core.

>>> from learning.collaboration.process.simulator import Simulator
>>> from mecopt.collaboration.scenarios import ledrl
>>> play = Simulator([ledrl.generate("paper", 10_000, slots=4)], places=2)
>>> play.rows.shape, play.mask.shape  # (episodes, candidates, columns)
((2, 4, 15), (2, 4))
>>> rewards = play.step(play.mask.argmax(axis=1))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from learning.collaboration.process import play
from learning.collaboration.process.batch import batch_of
from learning.collaboration.process.rows import VIEWS
from mecopt import checks
from mecopt.collaboration.network import Network
from mecopt.offloading.instance import OffloadingInstance

#: Candidates of a decision on a ring with chords: the node, two neighbours, the end of a chord.
CANDIDATES = 4


class Simulator:
    """E episodes in step. The state is at a decision with two candidates or more, always.

    Parameters
    ----------
    instances : sequence of OffloadingInstance
        Episodes to play, in turn.
    places : int
        Episodes side by side (E).
    candidates : int
        Most candidates of a decision (C).
    view : str
        ``"raw"``, ``"local"`` or ``"routes"`` (`learning.collaboration.process.rows`).
    drop_hopeless : bool
        A task that no option is believed to bring home in time is dropped at its release, as
        `expected-success` does; nobody is asked.
    hop_reward : float
        What a decision of a hop after a task's first brings.
    order : callable, optional
        ``order(n)`` gives the next n positions in `instances`; in turn unless given.

    Attributes
    ----------
    rows : (E, C, F) float32
        Of the present decisions; arrays are views, overwritten by `step`.
    mask : (E, C) bool
        Candidates that are allowed.
    state : play.State
    networks : list of Network
        Of the instances.
    invalid : (E,) int64
        Answers so far that were not allowed.

    Raises
    ------
    ValueError
        See `learning.collaboration.process.batch.batch_of`; the view is unknown, or an episode has
        no decision to make.
    """

    def __init__(
        self,
        instances: Sequence[OffloadingInstance],
        *,
        places: int = 1,
        candidates: int = CANDIDATES,
        view: str = "local",
        drop_hopeless: bool = True,
        hop_reward: float = play.HOP_REWARD,
        order: Callable[[int], NDArray[np.int64]] | None = None,
    ) -> None:
        checks.known("view", view, VIEWS)
        checks.whole("places", places, 1)
        self.instances = list(instances)
        self.batch = b = batch_of(self.instances, candidates)
        self.networks = [Network.of(x) for x in self.instances]
        self.view, self.drop_hopeless = view, drop_hopeless
        self._order = self._in_turn if order is None else order
        self._turn = 0
        tasks = int((b.episode["last"] - b.episode["first"]).max())
        options = int(np.diff(b.task["option"]).max())
        units, nodes = int(b.free_ptr[:, -1].max()), b.speed.shape[1]
        resources = b.free_ptr.shape[1] - 1
        room = tasks * (1 + int(b.option["hops"].max())) + 1

        def whole(*shape: int) -> NDArray[np.int64]:
            return np.zeros((places, *shape), dtype=np.int64)

        self.state = play.State(
            here=np.zeros(places, dtype=play.HERE),
            kept=np.zeros((places, tasks + 1), dtype=play.KEPT),
            free=whole(units),
            epoch=whole(nodes),
            heap_t=whole(tasks + 1),
            heap_s=whole(tasks + 1),
            seen=whole(nodes),
            up=np.ones((places, nodes), dtype=np.bool_),
            work=np.zeros((places, nodes)),
            chance=np.zeros((places, options)),
            head=whole(resources),
            tail=whole(resources),
            link=whole(room),
            at=whole(room),
            done=whole(room),
            counts=whole(nodes, candidates, len(play.OUTCOMES)),
        )
        self.state.here["hop_reward"] = hop_reward
        self._scratch = play.Scratch(
            *(np.zeros(n, dtype=np.int64) for n in (units, nodes, tasks + 1, tasks + 1, units))
        )
        self.rows = np.zeros((places, candidates, VIEWS[view]), dtype=np.float32)
        self.mask = np.zeros((places, candidates), dtype=np.bool_)
        self._seen = play.Seen(self.rows, self.mask, whole(candidates))
        self._reward, self.invalid = np.zeros(places), whole()
        self.reset()

    def _in_turn(self, n: int) -> NDArray[np.int64]:
        first, self._turn = self._turn, self._turn + n
        return np.arange(first, first + n) % len(self.instances)

    def reset(self) -> None:
        """Begin the next episode at every place."""
        places = len(self.mask)
        self.state.here["coming"] = self._order(places)
        self.invalid[:] = 0
        for e in range(places):
            play.begin(self.batch, self.state, self._scratch, self._seen, e, self.drop_hopeless)
        self.state.here["over"] = 0
        self.state.here["coming"] = self._order(places)
        self._check()

    def step(self, action: NDArray[np.integer]) -> NDArray[np.float64]:
        """Carry out one decision (E,) of every episode; returns its rewards (E,), overwritten.

        Where an episode ended (`over`) the next one is at its first decision.
        """
        play.step_all(
            self.batch, self.state, self._scratch, self._seen, action, self._reward, self.invalid,
            self.drop_hopeless,
        )  # fmt: skip
        over = self.over
        if over.any():
            self.state.here["coming"][over] = self._order(int(over.sum()))
            self._check()
        return self._reward

    def _check(self) -> None:
        if (self.node < 0).any():
            e = int(np.flatnonzero(self.node < 0)[0])
            raise ValueError(f"instance {self.episode[e]}: there is nothing to decide in it")

    @property
    def episode(self) -> NDArray[np.int64]:
        """(E,) positions in `instances` of what is played."""
        return self.state.here["episode"]

    @property
    def task(self) -> NDArray[np.int64]:
        """(E,) tasks that are decided, numbered within their episodes."""
        return self.state.here["task"] - self.batch.episode["first"][self.episode]

    @property
    def node(self) -> NDArray[np.int64]:
        """(E,) nodes whose agents decide now."""
        return self.state.here["node"]

    @property
    def hop(self) -> NDArray[np.int64]:
        """(E,) hops that the tasks have gone."""
        return self.state.here["hop"]

    @property
    def slot(self) -> NDArray[np.int64]:
        """(E,) number of the present slot."""
        return self.state.here["now"] // self.batch.episode["slot_ns"][self.episode]

    @property
    def over(self) -> NDArray[np.bool_]:
        """(E,) whether the last step ended an episode."""
        return self.state.here["over"] > 0

    @property
    def finished(self) -> NDArray[np.int64]:
        """(E, 2) tasks of the episode that ended last, and how many were on time."""
        here = self.state.here
        return np.stack([here["tasks"], here["on_time"]], axis=1)

    def choices(self, e: int) -> NDArray[np.int64]:
        """(K,) choices of the tasks of an episode so far; entries of later tasks mean nothing."""
        return self.state.kept["option"][e, : self.instances[self.episode[e]].n_tasks].copy()
