"""What every caching policy is: an answer to the state of one slot."""

from __future__ import annotations

from typing import Protocol

from numpy.typing import ArrayLike

from mecopt.caching.instance import CachingInstance
from mecopt.caching.observation import CachingObservation


class CachingPolicy(Protocol):
    """An online rule for all servers.

    `reset` is called once per rollout with the instance *without its requests*. `act` returns
    what is resident, a (N, P), and the requests served, x (N, P) where they were born, or flows
    (N, 3, P): ``flow[n, j]`` served at n, born at n + j - 1 (forwarding only).
    """

    name: str

    def reset(self, instance: CachingInstance) -> None: ...

    def act(self, observation: CachingObservation) -> tuple[ArrayLike, ArrayLike]: ...
