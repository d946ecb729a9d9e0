"""Requests of a public LLM trace: arrivals, token counts, owners, and what a policy believes."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mecopt.data.folder import find
from mecopt.data.tables import Table, read
from mecopt.data.trace_formats import read_trace

#: Traces with a name: arrival, prompt and output columns, seconds per unit of arrival.
TRACES = {
    "azure-conv": ("arrival_s", "context_tokens", "generated_tokens", 1.0),
    "azure-code": ("arrival_s", "context_tokens", "generated_tokens", 1.0),
    "mooncake-conversation": ("arrival_ms", "input_tokens", "output_tokens", 1e-3),
}
#: Suffixes of traces that people bring.
SUFFIXES = (".csv", ".csv.gz")
#: Traces whose stamps are quantised and get jitter.
QUANTISED = ("mooncake-conversation",)


@dataclass(frozen=True, eq=False)
class Requests:
    """Requests in order of arrival.

    Parameters
    ----------
    arrival_s : (K,) float
    prompt_tokens, output_tokens : (K,) int
        The output length is what the clairvoyant optimum knows.
    believed_output_tokens : (K,) float
        The output length a policy expects.
    owner : (K,) int
        Index of the user.
    """

    arrival_s: NDArray[np.float64]
    prompt_tokens: NDArray[np.int64]
    output_tokens: NDArray[np.int64]
    believed_output_tokens: NDArray[np.float64]
    owner: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.arrival_s)

    def take(self, rows: NDArray[np.int64]) -> Requests:
        """The requests of some rows, in that order."""
        return Requests(*(getattr(self, f.name)[rows] for f in fields(self)))

    @property
    def mean_context_tokens(self) -> float:
        """Mean of prompt plus half of the output: what a slot holds on average."""
        return float(np.mean(self.prompt_tokens + self.output_tokens / 2.0))


def read_requests(
    trace: str, data_dir: Path, *, users: int, seed: int, jitter_s: float, length_bins: int
) -> tuple[Requests, Table, int]:
    """All requests of a trace, each with a user drawn uniformly.

    Times of your own trace count from its first request.

    Parameters
    ----------
    trace : str
        A key of `TRACES`, or the path of a CSV file in one of `mecopt.data.trace_formats.FORMATS`.
    data_dir : Path
    users, seed : int
        Owners are drawn for the whole trace, so a request has the same owner in every window.
    jitter_s : float
        Uniform jitter added to the stamps of the traces in `QUANTISED`.
    length_bins : int
        See `mean_output_by_prompt`.

    Returns
    -------
    Requests, Table, int
        The requests, the file's content, and how many failed requests of it were left out.

    Raises
    ------
    FileNotFoundError, ValueError
        Names the trace where it is unknown, and what is wrong in its file where it is malformed.
    """
    left_out = 0
    arrival, prompt, output, unit_s = TRACES.get(trace, TRACES["azure-conv"])
    if trace in TRACES:
        table = read(find(trace), data_dir)
    elif trace.lower().endswith(SUFFIXES):
        table, left_out, _ = read_trace(trace)
    else:
        raise ValueError(f"trace: unknown {trace!r}, one of {', '.join(TRACES)}, or a .csv file")
    rng = np.random.default_rng([1, seed])
    owner = rng.integers(users, size=len(table))
    at = table[arrival] * unit_s
    if trace in QUANTISED:
        at = at + rng.uniform(0.0, jitter_s, size=len(table))
    believed = mean_output_by_prompt(table[prompt], table[output], length_bins)
    requests = Requests(at, table[prompt], table[output], believed, owner)
    return requests.take(np.argsort(at, kind="stable")), table, left_out


def prompt_bins(prompt_tokens: NDArray[np.int64], bins: int) -> NDArray[np.int64]:
    """(K,) quantile bin of each prompt length, from 0."""
    edges = np.quantile(prompt_tokens, np.arange(1, bins) / bins)
    return np.searchsorted(edges, prompt_tokens, side="right").astype(np.int64)


def mean_output_by_prompt(
    prompt_tokens: NDArray[np.int64], output_tokens: NDArray[np.int64], bins: int
) -> NDArray[np.float64]:
    """(K,) mean output length of the requests whose prompt is in the same quantile bin."""
    group = prompt_bins(prompt_tokens, bins)
    total = np.bincount(group, weights=output_tokens, minlength=bins)
    count = np.bincount(group, minlength=bins)
    return (total / np.maximum(count, 1))[group]


def resample(everything: Requests, base: Requests, length_s: float, seed: list[int]) -> Requests:
    """Other requests for the owners of `base`: a future a policy may imagine.

    Real gaps from elsewhere in the trace (a window that starts at a random time, the trace closed
    to a circle); each arrival gets the tokens of a random request of the trace and a random owner
    of `base`. Arrivals count from the start of the window, which is never empty.
    """
    rng = np.random.default_rng(seed)
    circle = float(everything.arrival_s[-1]) + 1e-9
    at = np.sort((everything.arrival_s - rng.uniform(0.0, circle)) % circle)
    at = at[at < length_s]
    at = at if len(at) else np.zeros(1)
    tokens = everything.take(rng.integers(len(everything), size=len(at)))
    owners = np.unique(base.owner)
    return replace(tokens, arrival_s=at, owner=rng.choice(owners, size=len(at)))
