"""Snapshots by decomposition: certified bounds and decisions, with equal or optimal shares.

Prices on users and on accuracy make servers independent (`formulations.accuracy_delay.servers`);
the Lagrangian bounds every decision, and `formulations.accuracy_delay.tree` raises it to the
optimum. Decisions come from GOA with local search and from the sets that servers choose under
prices, each improved by moves and exchanges.

Constraints: (assign) every query is answered once; (room) at most ``room`` queries at a server;
(accuracy) the expected accuracies add up to what is asked for.
"""

from __future__ import annotations

from formulations.accuracy_delay.accuracy import infeasible, reachable_accuracy
from formulations.accuracy_delay.compact import first_decisions
from formulations.accuracy_delay.tree import Tree
from formulations.dual.progress import Progress
from formulations.methods import routes
from mecopt.accuracy_delay.assignment import Assignment, replay, seconds_of
from mecopt.accuracy_delay.instance import UNITS_PER_NS, IntArray, QuerySnapshot
from mecopt.accuracy_delay.policies.local_search import Search
from mecopt.result import BoundKind, Result

#: What prices on the grid of proofs and floats may leave of a closed gap, relative.
ROUNDING = 1e-12
#: Shakes of the search after every split of the tree.
_SHAKES = 2


def solve_plans(
    instance: QuerySnapshot,
    *,
    time_limit: float | None = None,
    gap: float = 1e-4,
    seed: int = 0,
    verbose: bool = False,
) -> Result[QuerySnapshot, Assignment]:
    """Certified interval and decision by prices and branching.

    Parameters and errors are those of `formulations.solve`; `seed` is that of the local search. A
    snapshot whose accuracy no decision reaches is infeasible; ``details["why"]`` says what can be
    reached.
    """
    limit = routes("accuracy_delay").time_limit if time_limit is None else time_limit
    progress = Progress(limit, gap, seed, verbose)
    best = reachable_accuracy(instance)
    if not best.is_feasible:
        return infeasible(progress, instance, best, "plans", BoundKind.CERTIFIED)
    search = first_decisions(instance, best, progress)
    tree = Tree(instance, _Offers(search, progress.deadline).take, progress.deadline)

    def target() -> float:
        """L in ns at which the gap that was asked for is closed."""
        units = replay(instance, search.choice).units
        slack = gap * abs(units) / (1.0 + gap)
        return (units - slack) / UNITS_PER_NS

    def rest() -> None:
        search.shake(_SHAKES, progress.deadline)
        progress.note(seconds_of(tree.bound_units), replay(instance, search.choice).objective)

    if not progress.is_late:
        tree.begin(target())
        rest()
        tree.grow(target, rest)
    found = replay(instance, search.choice)
    return progress.result(
        instance,
        found,
        seconds_of(min(tree.bound_units, found.units)),
        method="plans",
        bound_kind=BoundKind.CERTIFIED,
        late=progress.is_late or tree.ran_out,
        rounding=ROUNDING,
        proof=tree.proof(),
        details={"leaves": tree.leaves, "evaluations": tree.evaluations},
    )


class _Offers:
    """Decisions handed to a search, each only once."""

    def __init__(self, search: Search, until: float) -> None:
        self._search, self._until = search, until
        self._seen: set[bytes] = set()

    def take(self, choice: IntArray) -> None:
        """Improve a decision that was not seen before."""
        key = choice.tobytes()
        if key not in self._seen:
            self._seen.add(key)
            self._search.offer(choice, self._until)
