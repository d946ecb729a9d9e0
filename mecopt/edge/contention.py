"""What contention takes of a WiFi channel: Bianchi's fixed point, and airtimes that follow from it.

**Model** (Bianchi, IEEE JSAC 18(3), 2000). n saturated stations hear each other on a channel
without losses. The time between two changes of the backoff counters is a slot: idle, a success, or
a collision. A station draws its counter uniformly from 0 .. W_i - 1 at the i-th retry of a frame,
with W_i = min(2^i (CWmin + 1), CWmax + 1), transmits when it is at 0, and drops the frame when
retry i = R fails too (Bianchi has no limit; the finite sums are those of Wu et al., INFOCOM 2002).
Every transmission collides with the same probability p, whatever the past. So tau, the probability
that a station transmits in a slot, is the ratio of a frame's mean attempts to its mean slots:

    (T)  tau(p) = sum_i p^i / sum_i p^i (W_i + 1) / 2,      i = 0 .. R
    (P)  p = 1 - (1 - tau)^(n - 1)

As windows never shrink, tau(p) does not rise in p, so p - 1 + (1 - tau(p))^(n-1) rises strictly,
from at most 0 at p = 0 to at least 0 at p = 1: the solution is unique, and bisection finds it.

**Channel.** A slot holds a transmission with probability Ptr = 1 - (1 - tau)^n, which succeeds with
probability Ps = n tau (1 - tau)^(n-1) / Ptr. Per success there are, with 1 - p = (1 - tau)^(n-1),

    (I)  (1 - Ptr) / (Ptr Ps) = (1 - tau) / (n tau)                           idle slots
    (C)  (1 - Ps) / Ps = (tau + p - tau p) / (n tau (1 - p)) - 1              collisions

**Airtime.** The simulator holds the channel as one resource that serves one upload at a time, in
order of arrival. The time an upload occupies it is therefore the mean channel time per delivered
frame, which is a frame's payload over Bianchi's throughput, and not the longer time for which its
own station waits while others send; that wait is the queue for the resource:

    (A)  DIFS + (I) slot + frame + SIFS + block ack + (C) (frame + DIFS)

A frame is a preamble and payload / rate; a collision lasts as long as the upload's own frame (D).
The payload travels in the fewest frames that neither exceed the largest aggregate nor the longest
duration; the last one may be shorter. Headers of the subframes, padding to whole symbols, the
propagation delay and drops after the last retry are left out (D).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mecopt import checks

FloatArray = NDArray[np.float64]

#: Largest payload of a frame, bits: an A-MPDU with a maximum length exponent of 3 (D).
AMPDU_BITS = 65_535 * 8
#: Width of the interval at which bisection for the collision probability stops.
TOLERANCE = 1e-12


@dataclass(frozen=True)
class Contention:
    """Parameters of the distributed coordination function, and durations of a frame's parts.

    Parameters
    ----------
    cw_min, cw_max : int
        Smallest and largest contention window, the largest counter that can be drawn (15, 1023: P).
    retry_limit : int
        Retransmissions of a frame before it is dropped (7: P; that the first attempt is not counted
        is D).
    slot_s, sifs_s, difs_s : float
        Slot and spaces between frames in s (9, 16 and 34 us: P).
    preamble_s : float
        Preamble of a frame in s (48 us: D, between the 43.2 us and the 52 us that an HE frame of
        one user and one stream has with its shorter and its longest training field).
    block_ack_s : float
        Block acknowledgement in s (32 us: D, 32 bytes at the legacy rate of 24 Mbit/s).
    longest_frame_s : float
        Longest duration of a frame in s (5.484 ms: N, aPPDUMaxTime of IEEE 802.11ax-2021).

    Raises
    ------
    ValueError
        If windows or retries are no whole numbers, if windows would fall, or if a duration is
        negative or infinite.
    """

    cw_min: int = 15
    cw_max: int = 1023
    retry_limit: int = 7
    slot_s: float = 9e-6
    sifs_s: float = 16e-6
    difs_s: float = 34e-6
    preamble_s: float = 48e-6
    block_ack_s: float = 32e-6
    longest_frame_s: float = 5.484e-3

    def __post_init__(self) -> None:
        checks.whole("cw_min", self.cw_min, least=1)
        checks.whole("cw_max", self.cw_max, least=self.cw_min)
        checks.whole("retry_limit", self.retry_limit)
        for name in ("slot_s", "sifs_s", "difs_s", "preamble_s", "block_ack_s", "longest_frame_s"):
            value = getattr(self, name)
            checks.refuse(
                ~(np.isfinite(value) & (value >= 0)), name, value, "must be >= 0 and finite"
            )
        if self.longest_frame_s <= self.preamble_s:
            raise ValueError(
                f"longest_frame_s = {self.longest_frame_s} must exceed preamble_s = "
                f"{self.preamble_s}"
            )

    @property
    def windows(self) -> FloatArray:
        """(retry_limit + 1,) numbers of values that the counter can have, by attempt."""
        sizes = [
            min(2**i * (self.cw_min + 1), self.cw_max + 1) for i in range(self.retry_limit + 1)
        ]
        return np.array(sizes, dtype=np.float64)


#: The parameters of the task-graph network.
DCF = Contention()


@dataclass(frozen=True)
class FixedPoint:
    """Bianchi's fixed point for a number of saturated stations.

    Parameters
    ----------
    parameters : Contention
    stations : int
    transmit_probability : float
        tau, the probability that a station transmits in a slot.
    collision_probability : float
        p, the probability that a transmission collides.
    mean_backoff_slots : float
        Mean number of backoff slots that a frame draws over its attempts, delivered or dropped.
    idle_slots_per_success : float
        Idle slots of the channel per delivered frame, (I).
    collisions_per_success : float
        Collisions on the channel per delivered frame, (C).
    """

    parameters: Contention
    stations: int
    transmit_probability: float
    collision_probability: float
    mean_backoff_slots: float
    idle_slots_per_success: float
    collisions_per_success: float


def fixed_point(stations: int, parameters: Contention = DCF) -> FixedPoint:
    """Solve (T) and (P) for a number of saturated stations.

    Raises
    ------
    ValueError
        If `stations` is no whole number of at least 1.

    Examples
    --------
    >>> alone = fixed_point(1)
    >>> alone.collision_probability, alone.idle_slots_per_success
    (0.0, 7.5)
    """
    checks.whole("stations", stations, least=1)
    windows = parameters.windows
    p = _collision_probability(stations, windows)
    tau = _transmit_probability(p, windows)
    return FixedPoint(
        parameters=parameters,
        stations=stations,
        transmit_probability=tau,
        collision_probability=p,
        mean_backoff_slots=float(_attempts(p, windows) @ (windows - 1.0) / 2.0),
        idle_slots_per_success=(1.0 - tau) / (stations * tau),
        collisions_per_success=(tau + p - tau * p) / (stations * tau * (1.0 - p)) - 1.0,
    )


def airtime_s(
    bits: ArrayLike, rate_bps: ArrayLike, contention: FixedPoint, frame_bits: int = AMPDU_BITS
) -> FloatArray:
    """Mean time in s for which an upload occupies the channel, by (A) over all of its frames.

    Parameters
    ----------
    bits : array_like
        Payloads in bits; a payload of 0 takes no time.
    rate_bps : array_like
        Rates of the physical layer in bit/s, of a shape that broadcasts with the payloads. Where a
        rate is 0 nothing gets through, and the time is infinite whatever the payload.
    contention : FixedPoint
        The stations that contend.
    frame_bits : int
        Largest payload of a frame.

    Raises
    ------
    ValueError
        If payloads or rates are negative or not finite, or `frame_bits` is no whole number above 0.
    """
    checks.whole("frame_bits", frame_bits, least=1)
    payload, rate = (np.asarray(v, dtype=np.float64) for v in (bits, rate_bps))
    for name, values in (("bits", payload), ("rate_bps", rate)):
        checks.refuse(
            ~(np.isfinite(values) & (values >= 0)), name, values, "must be >= 0 and finite"
        )
    payload, rate = np.broadcast_arrays(payload, rate)
    linked = np.where(rate > 0, rate, 1.0)  # keeps the division finite, replaced below
    frames = np.ceil(payload / np.minimum(frame_bits, _longest_bits(linked, contention.parameters)))
    airtime = frames * frame_overhead_s(contention)
    airtime = airtime + (1.0 + contention.collisions_per_success) * payload / linked
    return np.where(rate > 0, airtime, np.inf)


def frame_overhead_s(contention: FixedPoint) -> float:
    """What a frame takes of the channel beside its payload, in s: (A) without payload / rate.

    The payload itself takes 1 + (C) times payload / rate, for collided frames are as long.
    """
    x, collisions = contention.parameters, contention.collisions_per_success
    idle = contention.idle_slots_per_success * x.slot_s
    alone = x.difs_s + idle + x.preamble_s + x.sifs_s + x.block_ack_s
    return alone + collisions * (x.preamble_s + x.difs_s)


def largest_frame_bits(
    rate_bps: float, contention: FixedPoint, frame_bits: int = AMPDU_BITS
) -> float:
    """Payload of the largest frame at a rate in bit/s > 0: by aggregation or by duration, bits."""
    return min(frame_bits, _longest_bits(rate_bps, contention.parameters))


def _longest_bits(rate_bps: Any, parameters: Contention) -> Any:
    return rate_bps * (parameters.longest_frame_s - parameters.preamble_s)


def _attempts(p: float, windows: FloatArray) -> FloatArray:
    """Probabilities that a frame gets to its first, second, ... attempt."""
    return p ** np.arange(len(windows), dtype=np.float64)


def _transmit_probability(p: float, windows: FloatArray) -> float:
    """Evaluate tau by (T)."""
    reached = _attempts(p, windows)
    return float(reached.sum() / (reached @ (windows + 1.0) / 2.0))


def _collision_probability(stations: int, windows: FloatArray) -> float:
    """Solve (P) for p by bisection."""

    def excess(p: float) -> float:
        return p - 1.0 + (1.0 - _transmit_probability(p, windows)) ** (stations - 1)

    low, high = 0.0, 1.0
    if excess(low) >= 0.0:
        return low
    while high - low > TOLERANCE:
        middle = (low + high) / 2.0
        low, high = (low, middle) if excess(middle) >= 0.0 else (middle, high)
    return (low + high) / 2.0
