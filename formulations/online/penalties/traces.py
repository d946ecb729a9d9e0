r"""Windows resampled from a trace as a law: outputs are known only when they have been written.

Service times are polynomials of second degree in the output length (`mecopt.edge.roofline`: a
sequence reads its own growing cache). Three instances with equal outputs therefore give those of
every output length, and means over the outputs of a tenth are sums over finitely many values.

The luck of a world has mean zero by construction:

.. math::

    \text{[trace luck]}\quad \sum_k v(\text{prompt}_k, \text{owner}_k) - \bar v\, \mathbb{E} K

with v about what a request costs when nothing waits, and its mean exact over all rows of the trace
and all owners: a table of groups of like prompts by owner, and what a prompt costs more than its
group's own for a few owners. Whatever v is, the mean is zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formulations.online.penalties.worlds import Drawn
from mecopt.edge.requests import Requests
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.scenarios.resampled import TraceLaw
from mecopt.offloading.units import DEFAULT_SLOT_S, INFINITE_NS

#: Groups of prompts, owners that tell the prompts of a group apart, and their stream.
_GROUPS, _OWNERS, _STREAM = 64, 6, 24
#: Options whose outputs are worked through at once.
_CHUNK = 4_000


@dataclass(frozen=True, eq=False)
class ResampledTrace:
    """Worlds of a `mecopt.offloading.scenarios.resampled.TraceLaw`."""

    law: TraceLaw

    @property
    def slot_s(self) -> float:
        """The unit of costs of traces, which have no slots."""
        return DEFAULT_SLOT_S

    @property
    def expected_tasks(self) -> float:
        return float(self.law.expected_requests.sum())

    @property
    def entropy(self) -> tuple[int, ...]:
        return (int(self.law.setting.meta["seed"]),)

    @property
    def provenance(self) -> Mapping[str, Any]:
        meta = self.law.setting.meta
        kept = ("scenario", "trace", "window", "seed", "parameters", "files")
        return {
            **{name: meta[name] for name in kept},
            "block_s": self.law.block_s,
            "expected_requests": self.law.expected_requests.tolist(),
        }

    def world(self, rng: np.random.Generator, redraws: int) -> Drawn:
        return self.world_of(*self.law.draw(rng), rng, redraws)

    def future(self, rng: np.random.Generator) -> Drawn:
        return self.world_of(*self.law.draw(rng), rng, 0)

    def world_of(
        self, requests: Requests, rows: NDArray[np.int64], rng: np.random.Generator, redraws: int
    ) -> Drawn:
        """Given requests and the rows of their prompts, with expectations and redrawn services."""
        x = self.law.setting.instance(requests)
        service = self._service_s(requests)
        bins = self.law.bin_of_row[rows]
        own = self._expected_own_s(x, service, bins)
        # Draw m of a request is uniform by itself; the draws of one request are spread evenly.
        steps = np.argsort(rng.random((len(rows), redraws)), axis=1)
        unit = (steps + rng.random((len(rows), redraws))) / max(1, redraws)
        tokens = self.law.output_at(bins, unit)
        stage_task = x.task_of_option[x.option_of_stage]
        redrawn = _at(service, tokens.T[:, stage_task] / self._longest)
        return Drawn(x, own, redrawn, self._luck_s(requests, rows))

    @cached_property
    def _longest(self) -> int:
        return int(self.law.setting.everything.output_tokens.max())

    def _service_s(self, requests: Requests) -> NDArray[np.float64]:
        """(3, S) coefficients of the service of each stage in output length over the longest."""
        nodes = np.array([0, self._longest // 2, self._longest])
        found = []
        for tokens in nodes:
            equal = replace(requests, output_tokens=np.full(len(requests), tokens))
            found.append(self.law.setting.instance(equal).service_ns * 1e-9)
        powers = np.vander(nodes / self._longest, 3, increasing=True)
        return np.asarray(np.linalg.solve(powers, np.stack(found)))

    def _expected_own_s(
        self, x: OffloadingInstance, service: NDArray[np.float64], bins: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """(O,) mean over outputs of what an option costs when nothing waits."""
        latency = np.add.reduceat(service, x.stage_ptr[:-1], axis=1)
        task = x.task_of_option
        drop = np.where(x.drop_cost_ns < INFINITE_NS, x.drop_cost_ns * 1e-9, np.inf)[task]
        deadline, fixed = x.deadline_ns[task] * 1e-9, x.fixed_cost_ns * 1e-9
        out = np.empty(x.n_options)
        for b, tokens in enumerate(self.law.outputs):
            value, count = np.unique(tokens, return_counts=True)
            here = np.flatnonzero(bins[task] == b)
            for o in np.split(here, np.arange(_CHUNK, len(here), _CHUNK)):
                time = _at(latency[:, o, None], value / self._longest)
                run = x.latency_weight[task[o], None] * time + fixed[o, None]
                cost = np.where(time <= deadline[o, None], run, drop[o, None])
                out[o] = cost @ (count / count.sum())
        return out

    # ------------------------------------------------------------------------------------- luck
    @cached_property
    def _typical_s(self) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
        """v in two parts: (groups, U) of groups by owner, and (rows,) group and rest of a row."""
        prompts, owners = self.law.setting.everything.prompt_tokens, self.law.setting.owners
        order = np.argsort(prompts, kind="stable")
        parts = np.array_split(order, min(_GROUPS, len(order)))
        group = np.empty(len(order), dtype=np.int64)
        for g, part in enumerate(parts):
            group[part] = g
        typical = np.array([part[len(part) // 2] for part in parts])
        rows = np.repeat(typical, len(owners))
        table = self._least_s(rows, np.tile(owners, len(typical))).reshape(len(typical), -1)
        some = np.random.default_rng([_STREAM, *self.entropy]).choice(owners, size=_OWNERS)
        prompt, first, which = np.unique(prompts, return_index=True, return_inverse=True)
        few = self._least_s(np.repeat(first, _OWNERS), np.tile(some, len(prompt)))
        of_row = few.reshape(-1, _OWNERS).mean(axis=1)[which]
        return table, group, of_row - of_row[typical][group]

    def _least_s(self, rows: NDArray[np.int64], owner: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n,) expected cost of the cheapest option of requests that meet nobody."""
        requests = replace(self.law.setting.everything.take(rows), owner=owner)
        requests = replace(requests, arrival_s=np.zeros(len(rows)))
        x = self.law.setting.instance(requests)
        own = self._expected_own_s(x, self._service_s(requests), self.law.bin_of_row[rows])
        return np.asarray(np.minimum.reduceat(own, x.option_ptr[:-1]))

    def _luck_s(self, requests: Requests, rows: NDArray[np.int64]) -> float:
        table, group, rest = self._typical_s
        owner = np.searchsorted(self.law.setting.owners, requests.owner)
        mean = (table.mean(axis=1)[group] + rest).mean()
        found = table[group[rows], owner] + rest[rows]
        return float(found.sum() - self.expected_tasks * mean)


def _at(coefficients: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The polynomial of second degree at x."""
    return np.asarray(coefficients[0] + x * (coefficients[1] + x * coefficients[2]))
