r"""Lower bounds on every caching rule that cannot see the future.

**The system.** Pairs p at servers n (rows q) get requests R_qt, slot by slot: a hidden phase, lull
or burst, changes with probability f from slot to slot, and R_qt is drawn anew from the law of the
phase (Poisson, in `mecopt.caching.scenarios.t2drl`). Rows are independent. A *rule* sees the
requests of a slot, then decides what is resident and how many are served (`mecopt.caching`). It may
know everything but the phases and what comes later: the popularity of every pair at every server,
f, the capacity of a shared link, all requests up to this slot, all states. That is more than
`mecopt.caching.observation.CachingObservation` shows, which says nothing of popularity, so every
rule of this package is one of them but those that are told phases (``rolling-rates``). V* is the
least expected cost of such a rule.

**Beliefs.** What a rule knows of the phase of q is the probability b of a burst. After r requests

.. math::

    \text{[belief]}\quad b' = (1 - f)\,\beta + f\,(1 - \beta), \qquad
    \beta = \frac{b\,P_1(r)}{b\,P_1(r) + (1 - b)\,P_0(r)},

whatever the rule decides. All rows start with b = 1/2.

**Pairs alone.** Put prices, fixed before any request is drawn, on residency (h_qt >= 0), on energy
(e_nt >= 0) and on tokens to a shared link (0 <= l_t <= overflow cost). Row q alone has the states
s: off, or age of thoughts 0, ..., K, and its least cost, prices included, solves

.. math::

    \text{[values]}\quad V_t(s, b) = \mathbb{E}_{r \mid b} \Big[ \min_{a, x \le r}\;
    c(s, r, a, x) + h_{qt} a + e_{nt} x + l_t (r - x) + V_{t+1}(s'(s, a, x), b') \Big],

with V_T = 0 and x at most what the energy of one slot allows (units left out). Every decision of a
rule fits its server, and energy is at most its budget in every slot, so

.. math::

    \text{[alone]}\quad \sum_q V_0(\text{off}, 1/2) - \sum_{nt} \max_{S\ \text{fits}\ n}
    \sum_{q \in S} h_{qt} - \sum_{nt} e_{nt} E_n - \sum_t l_t L_t \;\le\; V^*.

The maximum is a knapsack (`memory`). Any such prices are valid, and an ascent with the use that the
best rules of the rows expect chooses good ones (`alone`).

**Grid of beliefs.** V_t(s, .) is a minimum over rules of functions linear in b, hence concave, and
reading a table linearly between two beliefs gives no more than it: as if the rule was told by a
coin which of the two holds. So [alone] stays a lower bound with any grid, and there is no sampling
error. Numbers of requests beyond a law's table (less than 1e-10 of it) or less probable than 1e-12
are taken to cost nothing, then or later.

**Worlds.** Let W_t be the tables so read, m_t(s, r, b) the minimum in [values] with W_{t+1} behind
it for r requests, and

.. math::

    \text{[luck]}\quad z_t(s) = m_t(s, R_t, b_t) - \mathbb{E}_{r \mid b_t}\big[m_t(s, r, b_t)\big]

for the beliefs b_t that the world's requests lead to: computed, not interpolated, so that z_t(s_t)
has mean zero under every rule that cannot see the future, whatever the tables are. Hence

.. math::

    \text{[world]}\quad \mathbb{E}_{world} \Big[ \min_{decisions} \Big( cost
    - \sum_{q,t} z_{qt}(s_{qt}) \Big) \Big] \le V^*

(information relaxation with penalties: Brown, Smith, Sun 2010). In a known world z is a number for
each state, and the minimum is the clairvoyant problem with these taken off: `worlds` bounds it
from below by the two relaxations of `formulations.caching.oracle`, prices of the world's own on
every choice. They begin with h, e and l, where the bound of the world is at least [alone] at these
prices: the sum over a row telescopes to V_0 and regrets, none negative (nor is what reading
between beliefs left out, again because V is concave). Student's t over worlds gives the interval.

**Luck of a rule.** E[cost] = E[cost - sum z] for every such rule, and the right side varies far
less: `control` takes [luck] off measured costs.

**Servers that serve each other's requests** (``forwarding``) are refused. With a shared link
(``backhaul``) the capacity L_t is that of the instance: other worlds are drawn with the same link.

Reference: Brown, Smith, Sun, Operations Research 58(4), 2010.
"""

from formulations.online.caching.route import METHODS as METHODS
from formulations.online.caching.route import bound_of as bound_of
from formulations.online.caching.route import online_bound as online_bound
