"""Nodes whose executions go wrong more often from a moment on, which no rule is told.

A task that is released at that moment or later meets the new rate on such a node, whenever it is
served (our decision: so what becomes of an option does not depend on queues).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mecopt.collaboration.failures import FloatArray
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.units import to_ns
from mecopt.strict_json import shown


@dataclass(frozen=True)
class Drift:
    """A step in the execution failure rates of some nodes.

    Parameters
    ----------
    nodes : tuple of int
    from_s : float
        Release from which on the new rate holds.
    factor : float
        New rate over the old one, >= 1.
    """

    nodes: tuple[int, ...] = ()
    from_s: float = 0.0
    factor: float = 1.0

    def weakened(self, strength: FloatArray, release_s: FloatArray) -> FloatArray:
        """(K, resources) what tasks bear (`mecopt.collaboration.episode.World`), rates as told.

        A stage is damaged where rate x time >= strength, so that strength over the factor is rate
        times the factor.
        """
        out = strength.copy()
        out[np.ix_(self._holds(to_ns(release_s, "release_s")), self._which)] /= self.factor
        return out

    def times(self, instance: OffloadingInstance) -> FloatArray:
        """(S,) true rate over the told one, for every stage."""
        task = instance.task_of_option[instance.option_of_stage]
        drifts = np.isin(instance.stage_resource, self._which)
        return np.where(self._holds(instance.release_ns[task]) & drifts, self.factor, 1.0)

    @property
    def _which(self) -> NDArray[np.int64]:
        return np.array(self.nodes, dtype=np.int64)

    def _holds(self, release_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the new rate holds for tasks released then."""
        return release_ns >= to_ns([self.from_s], "from_s")[0]

    # ------------------------------------------------------------------ in the meta of an instance
    def document(self) -> dict[str, Any]:
        """JSON-able; `of` is the inverse."""
        return {**asdict(self), "nodes": list(self.nodes)}

    @classmethod
    def of(cls, instance: OffloadingInstance) -> Drift:
        """The drift of an episode; no rule may read it.

        Raises
        ------
        ValueError
            If the meta says something that is no drift.
        """
        said = instance.meta.get("drift")
        if said is None:
            return cls()
        try:
            nodes = tuple(int(v) for v in said["nodes"])
            return cls(nodes, float(said["from_s"]), float(said["factor"]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"meta.drift: cannot be read ({shown(error)})") from None
