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
        tasks = int(np.diff(b.task_ptr).max())
        options = int(np.diff(b.option_ptr).max())
        units, nodes = int(b.free_ptr[:, -1].max()), b.speed.shape[1]
        resources = b.free_ptr.shape[1] - 1
        room = tasks * (1 + int(b.hops.max())) + 1

        def whole(*shape: int) -> NDArray[np.int64]:
            return np.zeros((places, *shape), dtype=np.int64)

        self.state = play.State(
            episode=whole(), coming=whole(), begun=whole(), task=whole(), place=whole(4),
            now=whole(),
            free=whole(units), epoch=whole(nodes), heap_t=whole(tasks + 1), heap_s=whole(tasks + 1),
            size=whole(), settled=whole(), value=whole(), option=whole(tasks),
            result=np.zeros((places, tasks), dtype=np.int8), known=whole(tasks), seen=whole(nodes),
            size_sum=np.zeros((places, 2)), up=np.ones((places, nodes), dtype=np.bool_),
            work=np.zeros((places, nodes)), chance=np.zeros((places, options)),
            head=whole(resources), tail=whole(resources), link=whole(room), at=whole(room),
            done=whole(room), open_task=whole(tasks + 1), open_size=whole(),
            counts=whole(nodes, candidates, len(play.OUTCOMES)),
            carried=np.zeros(places), hop_reward=np.array([float(hop_reward)]),
            over=np.zeros(places, dtype=np.bool_), finished=whole(2),
        )  # fmt: skip
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
        self.state.coming[:] = self._order(places)
        self.invalid[:] = 0
        for e in range(places):
            play.begin(self.batch, self.state, self._scratch, self._seen, e, self.drop_hopeless)
        self.state.over[:] = False
        self.state.coming[:] = self._order(places)
        self._check()

    def step(self, action: NDArray[np.integer]) -> NDArray[np.float64]:
        """Carry out one decision (E,) of every episode; returns its rewards (E,), overwritten.

        Where an episode ended (`state.over`) the next one is at its first decision.
        """
        play.step_all(
            self.batch, self.state, self._scratch, self._seen, action, self._reward, self.invalid,
            self.drop_hopeless,
        )  # fmt: skip
        if self.state.over.any():
            ended = np.flatnonzero(self.state.over)
            self.state.coming[ended] = self._order(len(ended))
            self._check()
        return self._reward

    def _check(self) -> None:
        if (self.node < 0).any():
            e = int(np.flatnonzero(self.node < 0)[0])
            raise ValueError(f"instance {self.state.episode[e]}: there is nothing to decide in it")

    @property
    def node(self) -> NDArray[np.int64]:
        """(E,) nodes whose agents decide now."""
        return self.state.place[:, 0]

    @property
    def hop(self) -> NDArray[np.int64]:
        """(E,) hops that the tasks have gone."""
        return self.state.place[:, 1]

    @property
    def slot(self) -> NDArray[np.int64]:
        """(E,) number of the present slot."""
        return self.state.now // self.batch.slot_ns[self.state.episode]
