"""GOA's network (arXiv 2602.07958): users in a square, three edge servers, one query each.

The paper's tables are not available to us, so every number here is a decision of ours (D), and no
figure that comes of it is a reproduction of the paper's. Uploads carry the prompt as activations of
the first layer in half precision (4096 numbers of 16 bits per token), which is what makes links
matter; text alone would be free at these rates.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from mecopt import checks
from mecopt.accuracy_delay.instance import QuerySnapshot
from mecopt.accuracy_delay.margins import Margins

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Parameters of a snapshot, with units."""

    users: int = 30  # D, 5..50
    servers: int = 3  # D
    side_m: float = 500.0  # D, square
    bandwidth_mhz: float = 20.0  # D, per server
    power_dbm: float = 23.0  # D
    path_loss_db: tuple[float, float] = (128.1, 37.6)  # D, a + b log10(distance in km)
    noise_dbm_per_hz: float = -174.0  # D
    tokens_in: tuple[int, int] = (100, 200)  # D, uniform, both included
    tokens_out: tuple[int, int] = (10, 30)  # D, uniform, both included
    bits_per_token: float = 4096 * 16  # D, activations of one token
    device_tokens_per_s: float = 15.0  # D, 1B model
    server_tokens_per_s: float = 60.0  # D, 8B model
    queue_s: tuple[float, float] = (0.0, 0.2)  # D, uniform, per server
    room: int = 50  # D, most queries of a server
    uncertainty: tuple[float, float] = (2.0, 3.0)  # D, parameters of a beta distribution
    correct: tuple[float, float] = (0.95, 0.75)  # D, P(correct | u) = first - second u on devices
    correct_edge: float = 0.9  # D, 8B model
    kappa_s: float = 2.0  # D
    least_accuracy: float = 0.0  # D, none
    shares: str = "equal"  # D


#: Where each number comes from; carried into reports.
TAGS = dict.fromkeys(asdict(Parameters()), "D")

#: Users in the square: the sweep over density.
USERS = (5, 10, 20, 30, 40, 50)


def parameters(users: int | str = 30, **changes: object) -> Parameters:
    """Parameters for a number of users, with changes.

    Raises
    ------
    ValueError
        If the number of users or another parameter is unknown or malformed.
    """
    p = checks.changed(Parameters(users=check_users(users)), changes)
    checks.whole("servers", p.servers, 1)
    for name in ("tokens_in", "tokens_out", "queue_s"):
        low, high = checks.pair(name, getattr(p, name))
        if not 0 <= low <= high:
            raise ValueError(f"{name} = {getattr(p, name)!r} must be 0 <= low <= high")
    for name in ("side_m", "bandwidth_mhz", "device_tokens_per_s", "server_tokens_per_s"):
        if not getattr(p, name) > 0:
            raise ValueError(f"{name} = {getattr(p, name)!r} must be > 0")
    return p


def check_users(users: int | str) -> int:
    """A number of users, also as text; anything else is refused."""
    try:
        number = int(users)
    except (TypeError, ValueError):
        raise ValueError(f"users = {users!r} must be a whole number >= 1") from None
    checks.whole("users", number, 1)
    return number


def correct_on_device(uncertainty: FloatArray, p: Parameters) -> FloatArray:
    """P(correct | u) of the synthetic margins: falls in a line with u, between 0 and 1."""
    best, slope = p.correct
    return np.clip(best - slope * uncertainty, 0.0, 1.0)


def generate(
    users: int | str = 30,
    seed: int = 0,
    *,
    margins: Margins | None = None,
    **changes: object,
) -> QuerySnapshot:
    """One snapshot.

    Parameters
    ----------
    users : int
    seed : int
        Seed of places, queries and margins.
    margins : Margins, optional
        Measured uncertainties and calibrated probabilities of a correct answer on the device, in
        place of synthetic ones; users draw from its questions with replacement.
    **changes
        Overrides of `Parameters` fields.

    Raises
    ------
    ValueError
        Names the argument and the value that cannot be used.
    """
    p = parameters(users, **changes)
    checks.check_seed(seed)
    rng = np.random.default_rng([4, seed])
    n, m = p.users, p.servers
    rate = _rates(p, rng)
    tokens_in = rng.integers(int(p.tokens_in[0]), int(p.tokens_in[1]) + 1, n)
    tokens_out = rng.integers(int(p.tokens_out[0]), int(p.tokens_out[1]) + 1, n)
    queue = rng.uniform(*p.queue_s, m)
    uncertainty, correct = _margins(p, rng, margins)
    return QuerySnapshot(
        users=tuple(f"user {i}" for i in range(n)),
        servers=tuple(f"server {j}" for j in range(m)),
        bits=np.asarray(tokens_in * p.bits_per_token, dtype=np.float64),
        work=tokens_out.astype(np.float64),
        rate_bps=rate,
        speed=np.full(m, p.server_tokens_per_s),
        queue_s=queue,
        room=np.full(m, p.room),
        local_s=tokens_out / p.device_tokens_per_s,
        uncertainty=uncertainty,
        accuracy_local=correct,
        accuracy_edge=np.full(m, p.correct_edge),
        kappa_s=p.kappa_s,
        least_accuracy=p.least_accuracy,
        shares=p.shares,
        meta={
            "scenario": "goa",
            "preset": str(n),
            "seed": seed,
            "margins": "synthetic" if margins is None else margins.model,
            "parameters": asdict(p),
            "tags": TAGS,
        },
    )


def _rates(p: Parameters, rng: np.random.Generator) -> FloatArray:
    """(N, M) Shannon rates with the whole bandwidth, bit/s, from places in the square."""
    place = rng.uniform(0, p.side_m, (p.users, 2))
    site = server_places(p.servers, p.side_m)
    distance_km = np.maximum(np.hypot(*(place[:, None] - site).T).T, 1.0) / 1e3
    hertz = p.bandwidth_mhz * 1e6
    loss = p.path_loss_db[0] + p.path_loss_db[1] * np.log10(distance_km)
    snr_db = p.power_dbm - loss - p.noise_dbm_per_hz - 10 * np.log10(hertz)
    return hertz * np.log2(1 + 10 ** (snr_db / 10))


def server_places(servers: int, side_m: float) -> FloatArray:
    """(M, 2) places of servers: evenly on a circle of half the largest radius, one in the centre
    when there is only one.
    """
    if servers == 1:
        return np.full((1, 2), side_m / 2)
    angle = 2 * np.pi * (np.arange(servers) + 0.25) / servers
    return side_m / 2 + side_m / 4 * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _margins(
    p: Parameters, rng: np.random.Generator, measured: Margins | None
) -> tuple[FloatArray, FloatArray]:
    """Uncertainty and P(correct) on the device, (N,) each."""
    if measured is None:
        uncertainty = rng.beta(*p.uncertainty, p.users)
        return uncertainty, correct_on_device(uncertainty, p)
    pick = rng.integers(len(measured.uncertainty), size=p.users)
    return measured.uncertainty[pick], measured.calibrated[pick]
