r"""Lower bounds on every rule that cannot see the future.

**The system.** Users u release at most one task per slot t = 0, ..., T - 1, each slot with
probability p, independently of everything else. A task has times xi = (upload and compute time at
every server, local time) from a known distribution. A *rule* decides each task at its release. It
may know the distribution, p, the speeds of all servers, the state of every queue, and every task
released in this slot or before, of all users. That is more than
`mecopt.offloading.observation.Observation` shows, so that every rule of this package is one of
them. It does not know later arrivals. V* is the least expected total cost of such a rule.

**Users alone.** Three relaxations, each of which lowers the cost of every rule:

* [no waits at servers] A server never makes anybody wait. By induction over releases, waits at the
  user's own uplink and device are then what they were and no task ends later.
* [late is dropped] A task that would end after its deadline is dropped: the same cost, and shorter
  queues afterwards.
* [cells] A service is rounded down to whole cells when it is added to a queue. A task's own time is
  not rounded, only the wait that it finds is.

What is left are independent users, and what one user sees of the others is worthless to it. One
user alone has the state (i, j): waits at uplink and device in cells at the start of a slot, both
multiples of the cell and reduced by whole slots. With V_T = 0 its least expected cost solves

.. math::

    \text{[values]}\quad V_t(s) = (1 - p)\, V_{t+1}(\downarrow s)
        + p\, \mathbb{E}_\xi \Big[ \min_a\; c(s, \xi, a) + V_{t+1}(\downarrow(s + a(\xi))) \Big],

where a runs over local, each server and the drop, c is the task's own time (or the drop cost), and
the arrow takes one slot off both waits. V_t grows with both waits: shorter queues leave every
option it had, at no higher cost. So a wait may also be cut to the longest one that is tabulated
(the [cells] argument), and

    [alone]     users x V_0(0, 0) <= V*.

**Expectations.** Where xi takes finitely many values, [values] is computed as it stands. Elsewhere
xi is replaced, stage by stage, by the uniform distribution on N sampled tasks, drawn anew for each
stage: points of a shifted lattice, each of which alone is distributed as xi. Call its value
V_0^N. For any *fixed* rule that knows the true distribution only, the expected cost over a sampled
path of tasks, one per stage, each of which is distributed as the true path is, equals its true
cost. V_0^N is at most that rule's cost in the sampled system, so that

    [samples]   E[ V_0^N ] <= V_0.

Whatever N is, the mean over independent replicates is a lower bound but for sampling error, which
Student's t over the replicates covers (one-sided, 95 %). There is no quadrature error to cover.

**Tolls on servers.** On-time work at server k between the first moment f at which work can arrive
and any moment e cannot exceed e - f. With prices lambda_k >= 0

    [tolls]     users x V_0^lambda(0, 0) - sum_k lambda_k (e - f) <= V*,

where V^lambda charges lambda_k for a second of server k within [f, e] and lets a task wait at the
server until e when that is cheaper. Lagrangian duality: any lambda is valid, and an ascent on
coarse tables chooses a good one. Tolls price mean loads only, so they matter where servers are full
(`very-slow-servers`); what users do to each other by chance is left out.

**Shared servers.** [shared], in `formulations.online.servers`, adds to [alone] what users must give
up in a sampled world for sharing its servers. It is never below [alone] and is the default.

**Penalties.** [bound], in `formulations.online.penalties`, needs no structure: worlds with
penalties per option, each bounded by `formulations.solve`. It is the route for traces.

**Rounding.** Instances hold whole nanoseconds, so services are taken `tasks.ROUNDING_SLOTS` shorter
than drawn; sums of floats are covered by `bound.FLOATS`. An episode without any arrival, to which
the generator adds a task, costs more than it counts for here.

References: Brown, Smith, Sun, Operations Research 58(4), 2010 (information relaxations); Kleywegt,
Shapiro, Homem-de-Mello, SIAM J. Optim. 12(2), 2002 ([samples]: the expected optimal value of a
sampled problem is below the true one).
"""

from formulations.online.bound import OnlineBound as OnlineBound
from formulations.online.bound import mean as mean
from formulations.online.route import METHODS as METHODS
from formulations.online.route import online_bound as online_bound
