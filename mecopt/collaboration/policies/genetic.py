"""AGSP: genetic search with simulated annealing over the tasks that are released together.

An individual gives every task of the moment one of its options, or drops it; its fitness is the sum
of believed chances behind all work committed so far. In each generation every individual is crossed
with a random other one, gene by gene, and mutated; the child takes the parent's place when it is
fitter, or else with probability exp(-loss / temperature). The best one ever seen is carried out.

The paper prints no parameters; those below are our decision (D).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush, heapreplace
from math import exp

import numpy as np

from mecopt.checks import check_seed
from mecopt.collaboration.policies.beliefs import Beliefs, Believing
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation

#: D: individuals, generations, chance that a gene is drawn anew, temperatures (in tasks).
POPULATION, GENERATIONS, MUTATION, HOT, COLD = 12, 16, 0.15, 0.2, 0.01


@dataclass
class GeneticSearch(Believing):
    """AGSP; equal seeds give equal decisions."""

    seed: int = 0
    name: str = "agsp"
    _rng: np.random.Generator = field(default_factory=np.random.default_rng, repr=False)
    _plan: dict[int, int] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        check_seed(self.seed)

    def reset(self, instance: OffloadingInstance) -> None:
        super().reset(instance)
        self._rng = np.random.default_rng([self.seed, int(instance.content_hash[:15], 16)])
        self._plan = {}

    def act(self, observation: Observation) -> int:
        if observation.task not in self._plan:
            x, first = observation.instance, observation.task
            end = int(np.searchsorted(x.release_ns, x.release_ns[first], side="right"))
            together = list(range(first, end))
            best = _search(Moment(observation, self.beliefs, together), self._rng)
            self._plan = dict(zip(together, best, strict=True))
        return self._plan[observation.task]


class Moment:
    """Tasks released together, and the work that they find."""

    def __init__(self, observation: Observation, beliefs: Beliefs, tasks: list[int]) -> None:
        x, a = observation.instance, observation.instance.arrays
        self.now = observation.now_ns
        self._free = [
            _units(observation, r) if a.free_ptr[r + 1] > a.free_ptr[r] else []
            for r in range(x.n_resources)
        ]
        self._failure_per_ns = beliefs.network.node_failure_per_s * 1e-9
        #: Per task its options: stages (resource, ns) and the chance that none is damaged.
        self.options: list[list[tuple[list[tuple[int, int]], float]]] = []
        self._deadline = [self.now + int(x.deadline_ns[k]) for k in tasks]
        for k in tasks:
            mine = []
            for o in x.options_of(k):
                stages = range(x.stage_ptr[o], x.stage_ptr[o + 1] - 1)  # all but the outcome
                way = [(int(x.stage_resource[s]), int(x.believed_ns[s])) for s in stages]
                up = observation.up[way[-1][0]]
                mine.append((way, float(beliefs.intact[o]) if up else 0.0))
            self.options.append(mine)

    def fitness(self, genes: list[int]) -> float:
        """Sum of believed chances of a decision (-1 drops a task)."""
        free: dict[int, list[int]] = {}
        ways = [self.options[i][g] if g >= 0 else ([], 0.0) for i, g in enumerate(genes)]
        heap = [(self.now, i, 0) for i, (way, _) in enumerate(ways) if way]
        total = 0.0
        while heap:
            t, i, s = heappop(heap)
            way, chance = ways[i]
            r, service = way[s]
            if r not in free:
                free[r] = self._free[r].copy()
            end = max(t, free[r][0]) + service
            heapreplace(free[r], end)
            if s + 1 < len(way):
                heappush(heap, (end, i, s + 1))
            elif end <= self._deadline[i]:
                total += chance * exp(-self._failure_per_ns * (end - self.now))
        return total


def _units(observation: Observation, r: int) -> list[int]:
    """When the units of a resource are free of all committed work, as a heap."""
    a = observation.instance.arrays
    units = observation.free_ns[a.free_ptr[r] : a.free_ptr[r + 1]].tolist()
    heapify(units)
    head, _, link, _, done = observation.entries
    e = head[r]
    while e >= 0:
        heapreplace(units, int(done[e]))
        e = link[e]
    return units


def _search(moment: Moment, rng: np.random.Generator) -> list[int]:
    """The fittest decision that the search meets."""
    count = np.array([len(options) for options in moment.options])
    population = [rng.integers(count).tolist() for _ in range(POPULATION)]
    fitness = [moment.fitness(genes) for genes in population]
    best = int(np.argmax(fitness))
    champion, record = population[best], fitness[best]
    for generation in range(GENERATIONS):
        temperature = HOT * (COLD / HOT) ** (generation / (GENERATIONS - 1))
        for i in range(POPULATION):
            mate = population[int(rng.integers(POPULATION))]
            draw = rng.random((2, len(count)))
            fresh = rng.integers(-1, count)
            child = [
                int(fresh[k]) if draw[0, k] < MUTATION else mate[k] if draw[1, k] < 0.5 else own
                for k, own in enumerate(population[i])
            ]
            value = moment.fitness(child)
            if value >= fitness[i] or rng.random() < exp((value - fitness[i]) / temperature):
                population[i], fitness[i] = child, value
                if value > record:
                    champion, record = child, value
    return champion
