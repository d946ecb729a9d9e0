"""A law of which a trace could be a sample: what online rules may know of requests to come.

A recorded trace is one path and has no distribution. This is one made from its own statistics, our
decision (D) in every part:

* arrivals are Poisson, with a constant rate in each block of the window: the block's own count
  over its length. Bursts shorter than a block are smoothed away;
* each request has the prompt length of a random request of the whole trace, and an owner drawn
  from those of the window, both uniformly;
* its output length is that of a random request of the whole trace whose prompt is in the same
  tenth. So the mean that policies believe (`mecopt.edge.requests.mean_output_by_prompt`) is the
  mean given the prompt, and the output is not known before it has been written.

All draws are independent. Sites, users, hosts and radio are those of the window.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mecopt.checks import check_seed
from mecopt.edge.requests import Requests, prompt_bins
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.scenarios import traces

#: Length of a block, s (D).
BLOCK_S = 60.0
#: With fewer requests a window says nothing of rates, and a sampled one might be empty.
LEAST_REQUESTS = 20
#: Streams of random numbers: worlds of rules have one of their own.
_RULE_STREAM = 20


@dataclass(frozen=True, eq=False)
class TraceLaw:
    """Poisson arrivals by block, with sizes and owners of the trace.

    Parameters
    ----------
    setting : traces.Setting
        The window and what surrounds it.
    block_s : float
        Length of a block, s; the last one may be shorter.

    Raises
    ------
    ValueError
        If the block is not positive, or the window has fewer than `LEAST_REQUESTS`.
    """

    setting: traces.Setting
    block_s: float = BLOCK_S

    def __post_init__(self) -> None:
        if not self.block_s > 0:
            raise ValueError(f"block_s = {self.block_s} must be > 0")
        if len(self.setting.base) < LEAST_REQUESTS:
            raise ValueError(
                f"window = {self.setting.meta['window']}: {len(self.setting.base)} requests, at "
                f"least {LEAST_REQUESTS} are needed to estimate rates"
            )

    @cached_property
    def edges_s(self) -> NDArray[np.float64]:
        """(B + 1,) where blocks begin and end."""
        starts = np.arange(0.0, self.setting.length_s, self.block_s)
        return np.append(starts, self.setting.length_s)

    @cached_property
    def expected_requests(self) -> NDArray[np.int64]:
        """(B,) expected requests of each block: those of the trace."""
        return np.histogram(self.setting.base.arrival_s, self.edges_s)[0]

    @cached_property
    def bin_of_row(self) -> NDArray[np.int64]:
        """(rows,) quantile bin of the prompt of every request of the trace."""
        bins = self.setting.parameters.length_bins
        return prompt_bins(self.setting.everything.prompt_tokens, bins)

    @cached_property
    def outputs(self) -> tuple[NDArray[np.int64], ...]:
        """Output lengths of the trace by bin, sorted; each equally likely given the bin."""
        tokens, bins = self.setting.everything.output_tokens, self.setting.parameters.length_bins
        return tuple(np.sort(tokens[self.bin_of_row == b]) for b in range(bins))

    def draw(self, rng: np.random.Generator) -> tuple[Requests, NDArray[np.int64]]:
        """The requests of a sampled window in order, and the row (K,) of each one's prompt."""
        everything, at = self.setting.everything, []
        for start, end, mean in zip(
            self.edges_s, self.edges_s[1:], self.expected_requests, strict=False
        ):
            at.append(rng.uniform(start, end, size=rng.poisson(mean)))
        arrival = np.sort(np.concatenate(at))
        rows = rng.integers(len(everything), size=len(arrival))
        drawn = replace(
            everything.take(rows),
            arrival_s=arrival,
            output_tokens=self.output_at(self.bin_of_row[rows], rng.random(len(rows))),
            owner=rng.choice(self.setting.owners, size=len(rows)),
        )
        return drawn, rows

    def output_at(self, bins: NDArray[np.int64], unit: NDArray[np.float64]) -> NDArray[np.int64]:
        """Output lengths at quantiles ``unit`` (K, ...) in [0, 1) of the bins (K,)."""
        out = np.empty(unit.shape, dtype=np.int64)
        for b, tokens in enumerate(self.outputs):
            here = bins == b
            out[here] = tokens[(unit[here] * len(tokens)).astype(np.int64)]
        return out


def trace_law(
    trace: str = "azure-conv",
    window: Sequence[float] = (0.0, 600.0),
    seed: int = 0,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    block_s: float = BLOCK_S,
    **changes: object,
) -> TraceLaw:
    """The law of a window; arguments and errors as in `traces.generate` and `TraceLaw`."""
    setting = traces.read_setting(trace, window, seed, data_dir=data_dir, **changes)
    return TraceLaw(setting, block_s)


def rule_stream(law: TraceLaw, task_seed: int) -> np.random.Generator:
    """Random numbers of a world on which rules are measured.

    Online bounds and their tuning draw from other streams, so that no seed makes their worlds
    those of a rule.
    """
    check_seed(task_seed, "task_seed")
    return np.random.default_rng([_RULE_STREAM, law.setting.meta["seed"], task_seed])


def resampled(law: TraceLaw, task_seed: int) -> OffloadingInstance:
    """A window that the law may bring, to measure rules on; see `rule_stream`."""
    requests, _ = law.draw(rule_stream(law, task_seed))
    return law.setting.instance(requests, task_seed=task_seed, resampled_block_s=law.block_s)
