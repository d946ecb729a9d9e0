"""What every rule for a snapshot is: an answer for all users at once."""

from __future__ import annotations

from typing import Protocol

from numpy.typing import ArrayLike

from mecopt.accuracy_delay.instance import QuerySnapshot


class SnapshotPolicy(Protocol):
    """A rule for a snapshot.

    `reset` is called once before the decision; `act` returns a server per user, -1 for the device.
    """

    name: str

    def reset(self, instance: QuerySnapshot) -> None: ...

    def act(self, instance: QuerySnapshot) -> ArrayLike: ...
