"""A family in thirty lines: jobs choose a machine, and one machine has room for few of them.

Used by tests/contract and shown in docs/new_family.md. Every job costs 1 on the small machine and
its own price on the large one; the small machine takes at most `room` jobs. The best decision sends
the dearest jobs to the small machine; summing the two least costs without the limit is a bound, and
a price on the room makes it exact.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, ClassVar

import numpy as np

from mecopt import files
from mecopt.bench.columns import DECISIONS, GAPS, Column
from mecopt.bench.families import Family, Scenario
from mecopt.certificates.checked import Checked
from mecopt.plugins import PolicyNames
from mecopt.result import BoundKind, Result, Termination

FORMAT = files.Format("toy.instance", version=1)


@dataclass(frozen=True)
class ToyInstance:
    """Prices of jobs on the large machine, and how many the small one takes."""

    price: tuple[float, ...]
    room: int
    family: ClassVar[str] = "toy"
    cost_unit: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if not self.room >= 0:
            raise ValueError(f"room = {self.room} must be >= 0")

    @property
    def content_hash(self) -> str:
        return sha256(repr((self.price, self.room)).encode()).hexdigest()

    def spread(self, cost: float) -> str:
        return f"({cost / len(self.price):.3g} per job)"

    def to_document(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_document(cls, body: dict[str, Any]) -> ToyInstance:
        return cls(tuple(body["price"]), body["room"])

    def save(self, path: Any) -> None:
        FORMAT.write(path, self.to_document())

    @classmethod
    def load(cls, path: Any) -> ToyInstance:
        return cls.from_document(FORMAT.read(path))


@dataclass(frozen=True)
class ToySchedule:
    """Which jobs go to the small machine; made by `replay`."""

    instance: ToyInstance
    small: tuple[bool, ...]
    objective: float


def replay(instance: ToyInstance, small: Any) -> ToySchedule:
    """Cost of a decision; jobs beyond the room cost as on the large machine."""
    taken = np.cumsum(small) <= instance.room
    chosen = np.asarray(small, dtype=bool) & taken
    cost = np.where(chosen, 1.0, instance.price).sum()
    return ToySchedule(instance, tuple(chosen.tolist()), float(cost))


# ------------------------------------------------------------------------------------ rules
class FirstCome:
    """Every job takes the small machine as long as there is room."""

    name = "first-come"

    def reset(self, instance: ToyInstance) -> None:
        pass

    def act(self, price: float) -> bool:
        return True


class Choosy(FirstCome):
    """Only jobs that would cost more than 5 on the large machine."""

    name = "choosy"

    def act(self, price: float) -> bool:
        return price > 5


RULES = PolicyNames[FirstCome](
    "toy.policies", {rule.name: lambda _, rule=rule: rule() for rule in (FirstCome, Choosy)}
)


def play(instance: ToyInstance, policy: Any) -> tuple[ToySchedule, dict[str, float]]:
    policy.reset(instance)
    schedule = replay(instance, [policy.act(price) for price in instance.price])
    return schedule, {column.name: 1e-6 for column in DECISIONS}


# -------------------------------------------------------------------- optimum, bound and proof
def solve(
    instance: ToyInstance, *, time_limit: Any, gap: float, seed: int, verbose: bool
) -> Result:
    """The dearest jobs go to the small machine; its price is what the first left out would save."""
    order = np.argsort(instance.price)[::-1]
    small = np.zeros(len(instance.price), dtype=bool)
    small[order[: instance.room]] = True
    small &= np.asarray(instance.price) > 1
    schedule = replay(instance, small)
    savings = sorted((max(p - 1.0, 0.0) for p in instance.price), reverse=True)
    price = savings[instance.room] if instance.room < len(savings) else 0.0
    bound = bound_of(instance, price)
    asked = {"time_limit": time_limit, "gap": gap, "seed": seed}
    return Result(
        instance, schedule, bound, BoundKind.CERTIFIED, Termination.OPTIMAL, "sorting", asked, 0.0,
        proof=price,
    )  # fmt: skip


def bound_of(instance: ToyInstance, price: float) -> float:
    """Lagrangian value of a price on the room: a lower bound, whatever the price."""
    return float(sum(min(p, 1.0 + price) for p in instance.price) - price * instance.room)


FAMILY, COST_UNIT = "toy", ""


def body(result: Result) -> dict[str, Any]:
    """What a certificate says."""
    return {
        "instance": result.instance.to_document(),
        "small": list(result.schedule.small),
        "objective": result.objective,
        "bound": result.bound,
        "price": result.proof,
    }


def check(document: dict[str, Any], where: str, budget: Any) -> Checked:
    """Replay the decision and recompute the bound from the price."""
    x = ToyInstance.from_document(document["instance"])
    budget.spend(len(x.price))
    objective, bound = replay(x, document["small"]).objective, bound_of(x, document["price"])
    problems = []
    if objective > document["objective"] + 1e-9:
        problems.append("the schedule costs more than is claimed")
    if bound < document["bound"] - 1e-9:
        problems.append("the price proves less than is claimed")
    return Checked(objective, bound, 1, problems, x.content_hash)


# --------------------------------------------------------------------------------- the family
def generate(preset: str, seed: int, options: Any = None, data_dir: Any = None) -> ToyInstance:
    """Ten jobs with prices between 0 and 10, room for three."""
    prices = np.random.default_rng(seed).uniform(0, 10, 10).round(3)
    return ToyInstance(tuple(prices.tolist()), room=3)


TOY = Family(
    name="toy",
    instance=ToyInstance,
    format=FORMAT,
    policies=RULES,
    play=play,
    reference="first-come",
    scenarios=(
        Scenario(
            "toy",
            "Benchmark on ten jobs and two machines.",
            presets=lambda: ("ten-jobs",),
            generate=generate,
            defaults={
                "preset": "ten-jobs",
                "solve_preset": "ten-jobs",
                "seeds": "0:8",
                "policies": "first-come,choosy",
                "time_limit": 1.0,
                "gap": 0.0,
            },
        ),
    ),
    columns=(Column("cost", "cost"), *GAPS, *DECISIONS),
    size=("n_jobs", "jobs"),
    describe=lambda result, best, reference: {"n_jobs": len(result.instance.price)},
    methods={"sorting": "tests.support.toy_family:solve"},
    certificate=sys.modules[__name__],
)
