"""Decisions hop by hop: the compiled simulator against what a policy sees in a rollout."""

import numpy as np
import pytest

import mecopt
from learning.collaboration.process import rows
from learning.collaboration.process.batch import batch_of
from learning.collaboration.process.play import HOP_REWARD
from learning.collaboration.process.simulator import Simulator
from learning.collaboration.process.walk import Ends, Walk
from mecopt.collaboration.policies.beliefs import Beliefs
from mecopt.collaboration.policies.misled import Misled
from mecopt.collaboration.scenarios import ledrl
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import OnlineSystem
from tests.collaboration.hand_made import line, made

COLUMN = {name: i for i, name in enumerate(rows.COLUMNS)}


def pick(seen, mask) -> int:
    """An arbitrary allowed candidate that depends on every number seen."""
    mixed = (np.abs(seen).sum(axis=1) * 1e4).astype(np.int64) * 2_654_435_761 % 1000
    return int(np.where(mask, mixed, -1).argmax())


class Recorded(Walk):
    """Decides by `pick` and keeps what it saw."""

    def begin(self, network):
        self.saw = []
        self.ends = Ends(self._episode, len(network.nodes), self.candidates)

    def released(self, release, observation):
        self.ends.look(observation)
        self.network = release.work.copy(), release.seen.copy(), release.up.copy()

    def choose(self, decision):
        counts = self.ends.counts.copy()
        own = decision.rows.copy(), decision.mask.copy(), decision.node, decision.hop
        self.saw.append((*own, *self.network, counts))
        return pick(decision.rows, decision.mask)


@pytest.mark.parametrize("drop_hopeless", [True, False])
@pytest.mark.parametrize(
    ("seed", "changes"),
    [
        (0, {"slots": 40}),
        (1, {"slots": 40, "node_failure_per_s": 0.2}),
        (2, {"slots": 30, "topology": "random", "link_failure_per_s": (0.25, 0.25)}),
        (3, {"slots": 30, "nodes": 5, "places": 1, "most_hops": 2}),
    ],
)
def test_the_simulator_is_a_rollout(seed, changes, drop_hopeless):
    """Every decision sees the same numbers, and the rewards are those of the replay."""
    x = ledrl.generate("paper", seed, **changes)
    walk = Recorded(view="routes", drop_hopeless=drop_hopeless)
    schedule = mecopt.rollout(x, walk)
    play = Simulator([x], view="routes", drop_hopeless=drop_hopeless, candidates=walk.candidates)
    total = 0.0
    for i, saw in enumerate(walk.saw):
        state = play.state
        now = (play.rows[0], play.mask[0], play.node[0], play.hop[0])
        for mine, theirs in zip(saw, (*now, state.work[0], state.seen[0], state.up[0],
                                      state.counts[0]), strict=True):  # fmt: skip
            assert np.array_equal(mine, theirs)
        total += play.step(np.array([pick(saw[0], saw[1])]))[0]
        assert bool(play.over[0]) == (i == len(walk.saw) - 1)
    assert np.array_equal(play.choices(0), schedule.choice)
    on_time = round((1 - schedule.drop_rate) * x.n_tasks)
    assert play.finished[0].tolist() == [x.n_tasks, on_time]
    hops = batch_of([x], walk.candidates).option["hops"]
    sent = [hops[x.option_ptr[k] + c] for k, c in enumerate(schedule.choice) if c > 0]
    wanted = 2 * on_time - x.n_tasks + HOP_REWARD * sum(h - 1 for h in sent)
    assert total == pytest.approx(wanted)


def one_task() -> OffloadingInstance:
    """At a: 10 bytes, 8 cycles, due after 10 s. Staying takes 8 s; b is 1 s away and takes 4;
    c is 2 s away and takes 2.
    """
    return made(line(execution_failure=0.1, link_failure=0.2), [(0.0, 0, 10.0, 8.0)], 10.0)


def test_what_an_agent_sees():
    """Times are in deadlines of 10 s, rates in failures a deadline."""
    play = Simulator([one_task()], view="routes")
    assert play.mask[0].tolist() == [True, True, False, False]
    stay, to_b = ({n: float(play.rows[0, c, i]) for n, i in COLUMN.items()} for c in (0, 1))
    assert (stay["keep"], to_b["keep"]) == (1.0, 0.0)
    assert (stay["execution"], to_b["execution"]) == pytest.approx((0.8, 0.4))
    assert (stay["transfer"], to_b["transfer"]) == pytest.approx((0.0, 0.1))
    assert (stay["link_failures"], to_b["link_failures"]) == pytest.approx((0.0, 2.0))
    assert (stay["execution_failures"], to_b["execution_failures"]) == pytest.approx((1.0, 1.0))
    assert (stay["time_left"], to_b["time_left"]) == pytest.approx((1.0, 0.9))
    assert (stay["hops"], to_b["hops"]) == pytest.approx((0.0, 0.5))
    # exp(-0.1 x 8) here; exp(-0.2 x 1 - 0.1 x 4) there; exp(-0.4 - 0.2) behind it
    assert (stay["chance"], to_b["chance"]) == pytest.approx((np.exp(-0.8), np.exp(-0.6)))
    assert to_b["best_chance"] == pytest.approx(np.exp(-0.6))
    assert (play.rows[0, 2:] == 0).all()


def test_who_is_asked_next():
    """Sent to b, the task is b's to decide: keep it, or c; not back to a."""
    play = Simulator([one_task()])
    assert (play.node[0], play.hop[0]) == (0, 0)
    assert play.step(np.array([1]))[0] == 0.0  # the first hop costs nothing
    assert (play.node[0], play.hop[0]) == (1, 1)
    assert play.mask[0].tolist() == [True, False, True, False]
    # The second hop costs 0.3; at c nobody is asked, and the task is on time: 1.
    assert play.step(np.array([2]))[0] == pytest.approx(0.7)
    assert play.over[0]


def test_a_decision_is_told_what_it_costs_others():
    """Both tasks are due after 5 s. The first is on its way to b, there from 1 s to 5 s; the
    second is b's own and takes b's only place from 0 s to 4 s: the first becomes late.
    """
    tasks = [(0.0, 0, 10.0, 8.0), (0.0, 1, 10.0, 8.0)]
    play = Simulator([made(line(), tasks, 5.0)], drop_hopeless=False)
    assert play.step(np.array([1]))[0] == pytest.approx(0.0)
    assert play.step(np.array([0]))[0] == pytest.approx(1.0)
    assert play.node[0] == 1  # the second task
    assert play.step(np.array([0]))[0] == pytest.approx(1.0 - 2.0)


def test_chances_are_those_of_rules():
    """The kernel's chance of an option is `Beliefs.chance` of it."""
    x = ledrl.generate("paper", 4, slots=12)
    beliefs, system = Beliefs.of(x), OnlineSystem(x)
    b = batch_of([x], 4)
    out, scratch = np.empty(64), np.empty(1000, dtype=np.int64)
    for k in range(x.n_tasks):
        system.advance(k)
        seen = system.observe(k)
        rows.chances(b, 0, k, seen.now_ns, seen.free_ns, seen.entries, seen.up, scratch, out)
        assert out[: seen.n_options] == pytest.approx(beliefs.chance(seen))
        system.commit(k, k % seen.n_options)


def test_wrong_rates_are_believed():
    """Told rates twice or half as high, agents see those rates, and the queues as they are."""
    x = ledrl.generate("paper", 5, slots=3)
    plain = Recorded()
    misled = Misled(Recorded(), 2.0)
    for walk in (plain, misled):
        mecopt.rollout(x, walk)
    first, told = plain.saw[0][0], misled.rule.saw[0][0]
    rate = first[0, COLUMN["execution_failures"]]
    assert told[0, COLUMN["execution_failures"]] / rate in (
        pytest.approx(0.5), pytest.approx(2.0),
    )  # fmt: skip
    for name in ("place_wait", "execution", "transfer"):
        assert np.array_equal(first[:, COLUMN[name]], told[:, COLUMN[name]])


def test_answers_that_are_not_allowed_are_counted():
    """The allowed candidate listed first is taken instead."""
    play = Simulator([one_task()])
    play.step(np.array([3]))
    assert play.invalid[0] == 1
    assert play.over[0]
    play.step(np.array([-1]))
    assert play.invalid[0] == 2


def test_what_cannot_be_played_is_refused():
    """Each in one sentence."""
    with pytest.raises(ValueError, match="instances: is empty"):
        Simulator([])
    with pytest.raises(ValueError, match="candidates = 2: a node of instance 0 has 2 links"):
        Simulator([one_task()], candidates=2)
    with pytest.raises(ValueError, match="view: unknown 'all', one of raw, local, routes"):
        Simulator([one_task()], view="all")
    alone = made(line(), [(0.0, 0, 10.0, 8.0)], 10.0, most_hops=0)
    with pytest.raises(ValueError, match="instance 0: there is nothing to decide in it"):
        Simulator([alone])
    with pytest.raises(RuntimeError, match="reset"):
        Recorded().act(None)
