r"""Route B: information relaxation with penalties per option (Brown, Smith, Sun 2010).

Let task k be decided when all that happened before, and all that the task shows at its release, is
known: F_k. For any figure g_k(j, omega) of option j in world omega, the future included, put

.. math::

    \text{[penalty]}\quad z_k(j) = g_k(j, \omega) - \mathbb{E}[\, g_k(j, \cdot) \mid F_k \,],
    \qquad z_k(\text{drop}) = 0 .

A rule that cannot see the future decides by F_k (and dice of its own), so E[ z_k(its option) ] = 0
whatever g is, and its expected cost is the mean of cost - sum z. In each world that is at least the
least cost - sum z over *all* decisions, the future seen:

    [bound]     E_world[ min over decisions of (cost - sum_k z_k(option of k)) ] <= V*.

g_k depends on the option alone, not on other decisions, so that the inner problem is the same
offloading instance in which option j costs z_k(j) less, and drops cost less by max(0, the largest
z_k), because a late task has the penalty of the option it was given (`inner`). Its certified bound
by `formulations.solve` is a lower bound on the minimum, and its certificate one of the world's
figure; what is left to chance is the sampling of worlds, which Student's t covers.

**What the rules bounded here know.** The law of the world, every arrival up to now with its owner
and what it shows (all tasks of a slot, where tasks come in slots), and how long tasks that were
decided before really take. That is more than `Observation` shows. Where services are uncertain
(traces: the output length) the task's own is not known before it is decided.

**What g is.** Two parts.

* [own] What option j costs its task when nothing waits, as it really is: the drop cost where that
  is late. Its mean given F_k is exact, a sum over finitely many output lengths. Where services are
  known at the release it is zero. It is the price of not knowing one's own service.
* [crowding] theta times what those who follow pay more if they find option j in the queues: they
  are served by a simple rule, in simplified queues, from a reference state (the simple rule's own
  path), with option j and without, for some seconds (`kernel`).

**Sampled means stay valid.** The mean of [crowding] is estimated by M futures drawn apart from the
world, with the task's own service redrawn given F_k. An estimate is unbiased and independent of
the rest of the world given F_k, so that z still has mean zero under every rule, also when the same
futures serve all tasks of a world. Only tightness suffers, for any M: the inner minimum may use the
noise. Futures must be independent of the past, which they are where arrivals are (Bernoulli slots,
Poisson windows).

Nothing here needs theta, horizon or the simple rule to be good: a bad choice lowers the bound. They
were chosen on tuning seeds (`route.SHAPES`). With theta = 1 the bound may fall below the
clairvoyant one, because penalties that are linear in each decision are exploited jointly.
"""
