r"""What rules that know only rates can hope for: a second instance, and why its bound holds.

The clairvoyant bound of an episode knows which stages survive and when nodes are down; no rule can
come near it. `expected` makes an instance with the same tasks, options, places and times, in which
nothing fails and a task k that is on time by option o is worth the number :math:`W_{ko}` below.

Notation
    Option o has transfers and one execution, at node v. Stage s takes :math:`p_s` seconds on a
    resource of failure rate :math:`\rho_s`; x is the execution. Nodes fail at rate :math:`\lambda`
    and are repaired at rate :math:`\mu`, both memoryless and independent of everything else.

Worth
    .. math::

        W_{ko} = h(p_x) \prod_{s \in o} e^{-\rho_s p_s}, \qquad
        h(t) = \frac{P(\text{up during } [0, t])}{1 - P(\text{down and up again within } [0, t])}

    for a node that is up at 0 (`mecopt.collaboration.failures.uninterrupted`).

Claim
    For every rule, also one that knows all tasks in advance, sees which nodes are up, and learns at
    its planned end whether a task was damaged:

    .. math:: E[\text{tasks on time}] \le B,

    where B is the greatest :math:`\sum W_{ko}` of schedules of the second instance in which work
    may wait anywhere and be served in any order, or anything above it. The Lagrangian bounds of
    plan decomposition are above it; costs of replayed decisions are not
    (`mecopt.bench.collaboration.bounds`). No rule is bounded on a single episode: it may be
    lucky.

Proof
    Fix what happens, :math:`\omega`. Call an execution that is begun *counted* when its task would
    end by the deadline and its node is not down and up again before the planned end.

    1. *Counted executions are a schedule of the second instance.* They meet deadlines, with the
       transfers before them. At a moment when node v is up, a counted execution whose planned time
       covers it was never interrupted: had v gone down since its start, it would have come up
       again in time, and the execution would not be counted. So all of these are really in
       service, and no more than there are places. At a moment when v is down they were all in
       service together when it went down, by the same argument. Transfers keep their places
       anyhow. Hence :math:`\sum_{\text{counted}} W_{ko} \le B`, whatever :math:`\omega`.
    2. *A task on time is counted, and in expectation it brings its worth.* Given that an execution
       begins, and all that happened until then, it is counted with probability
       1 - P(down and up again within :math:`p_x`), and it is not interrupted with probability
       P(up during :math:`p_x`): the ratio is h. Decisions made later do not touch it, for service
       is not preemptive. Whether stages survive is independent of all that, with probability
       :math:`\prod e^{-\rho_s p_s}`: it is not seen before the planned end, and who occupies what
       does not depend on it. So E[on time] = E[:math:`\sum_{\text{counted}} W_{ko}`].

    Both together are the claim.

:math:`h(t) = e^{-\lambda t}` would not do: a node that fails frees the places of what it loses, and
when it is repaired soon, another task can be on time in the same place. Survival without waiting is
an upper bound, because a node must also be up when a task reaches it and while it waits.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mecopt.collaboration.drift import Drift
from mecopt.collaboration.failures import FloatArray, uninterrupted
from mecopt.collaboration.network import Network
from mecopt.offloading.instance import OffloadingInstance


def worth(
    instance: OffloadingInstance, network: Network | None = None, drift: Drift | None = None
) -> FloatArray:
    """(O,) :math:`W_{ko}` of every option.

    Parameters
    ----------
    instance : OffloadingInstance
        Of this family.
    network : Network, optional
        Rates to believe in, in place of those of the instance.
    drift : Drift, optional
        How true rates differ from those; not at all unless given.

    Raises
    ------
    ValueError
        If the instance has no network in its meta.
    """
    network = Network.of(instance) if network is None else network
    execution = instance.stage_ptr[1:] - 2  # the last stage but one: before the outcome
    survives = intact(instance, network, drift)
    seconds = instance.believed_ns[execution] * 1e-9
    return survives * uninterrupted(seconds, network.node_failure_per_s, network.repair_per_s)


def intact(
    instance: OffloadingInstance, network: Network, drift: Drift | None = None
) -> FloatArray:
    """(O,) probability that no stage of an option is damaged, nodes that go down left aside."""
    exponent = network.failure_per_s[instance.stage_resource] * instance.believed_ns * 1e-9
    if drift is not None:
        exponent *= drift.times(instance)
    return np.asarray(np.exp(-np.add.reduceat(exponent, instance.stage_ptr[:-1])))


def expected(instance: OffloadingInstance, *, drifting: bool = False) -> OffloadingInstance:
    """The instance in which nothing fails and an option on time is worth its chance.

    Minus a bound on its cost from prices is a bound on the expected number of tasks on time under
    every rule that knows rates only; see the module's text.

    Parameters
    ----------
    instance : OffloadingInstance
    drifting : bool
        Chances by the true rates where those of nodes drift (`mecopt.collaboration.drift`), for
        bounds; rules must not know them. The proof holds as it stands, with rates that depend on
        the task: the bound is one for rules that are told of the drift, and for all others.

    Raises
    ------
    ValueError
        If the instance has no network in its meta.
    """
    gain = worth(instance, drift=Drift.of(instance) if drifting else None)
    return replace(
        instance,
        down_ptr=np.zeros_like(instance.down_ptr),
        down_ns=np.empty((0, 2), dtype=np.int64),
        service_ns=instance.believed_ns,
        # Rounded away from zero: still a bound.
        fixed_cost_ns=np.floor(-1e9 * gain).astype(np.int64),
        meta={**instance.meta, "rates_only": True},
    )
