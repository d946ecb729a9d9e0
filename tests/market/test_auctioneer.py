"""The learned auctioneer: its training, its rule, and the best policy it is measured against."""

import json
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from learning import zoo
from learning.market import environment, policy, train
from learning.market.zoo import steps as zoo_steps
from mechanisms import rules
from mechanisms.double_dutch import adaptive
from mechanisms.double_dutch.walk import State
from mecopt.market import Market
from mecopt.market import scenarios as markets

TINY = train.Settings(kind="balanced", traders=5, ticks=20, steps=4, auctions=8, log_every=2)


@pytest.fixture(autouse=True)
def few_markets(monkeypatch):
    """Training draws from 200 markets instead of 20,000."""
    first = train.MARKETS[0]
    monkeypatch.setattr(train, "MARKETS", range(first, first + 200))


def draw(seed):
    return markets.generate("balanced", seed, n=5)


def gains(sample, outcomes):
    """Welfare of outcomes, and the most there is."""
    pairs = list(zip(sample, outcomes, strict=True))
    gain = sum(m.bids[o.buyer_units > 0].sum() - m.asks[o.seller_units > 0].sum() for m, o in pairs)
    best = sum(np.clip(np.sort(m.bids)[::-1] - np.sort(m.asks), 0, None).sum() for m in sample)
    return float(gain), float(best)


def test_training_is_seeded(tmp_path):
    """Equal seeds give equal weights to the last bit, other seeds others."""
    files = [
        (train.train(TINY, tmp_path / name, seed=seed) / "checkpoint" / policy.FILE).read_bytes()
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert files[0] == files[1] != files[2]


@pytest.mark.parametrize("longest", [1, 6])
def test_simulated_auctions_are_those_of_the_rule(longest):
    """Jump by jump the same states. One tick at a time, and every price another tick, nothing is
    left to the lot, and the welfare is the same as well."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        prices = rng.permutation(21)[:10] / 20
        market = Market.of(prices[:5], prices[5:], price_range=(0, 1))
        pool = environment.make_pool(lambda _, m=market: m, range(1), ticks=20)
        seen, jumps = [], []

        def steps(state, seen=seen, jumps=jumps, rng=rng):
            seen.append(state)
            jumps.append(int(rng.integers(1, longest + 1)))
            return jumps[-1]

        outcome = adaptive.run(market, policy=steps, ticks=20, alternation="unit")
        at, ended = environment.begin(np.zeros(1, dtype=np.int64)), np.array([False])
        for state, jump in zip(seen, jumps, strict=True):
            assert not ended[0]
            told = environment.state(pool, at)
            assert [int(np.ravel(field)[0]) for field in told] == list(state)
            at, ended = environment.after(pool, at, np.array([jump]))
        assert ended[0]
        if longest == 1:
            gain, best = gains([market], [outcome])
            assert environment.lost(pool, at)[0] == pytest.approx(1 - gain / best)


def test_a_dear_broadcast_teaches_longer_jumps(tmp_path):
    """Announcements for a tenth of the optimum each, or free."""
    rounds = {}
    for cost in (0.0, 0.1):
        settings = train.Settings(
            kind="balanced", traders=5, steps=120, auctions=16, broadcast_cost=cost
        )
        learned = policy.load(train.train(settings, tmp_path / str(cost), seed=0))
        runs = [adaptive.run(draw(s), policy=learned, alternation="unit") for s in range(40)]
        rounds[cost] = np.mean([run.rounds for run in runs])
    assert rounds[0.1] < rounds[0.0] / 2


def test_the_shipped_auctioneer_beats_every_fixed_step():
    """On 150 markets of its distribution: welfare less 0.002 a broadcast, in shares of W*."""
    sample = [markets.generate("two-classes", seed, n=20) for seed in range(150)]

    def reached(run):
        outcomes = [run(market) for market in sample]
        gain, best = gains(sample, outcomes)
        return gain / best - 0.002 * np.mean([o.rounds for o in outcomes])

    learned = reached(rules.mechanism("dda-learned"))
    for jump in (*range(1, 16), 20, 25, 33, 50):
        fixed = adaptive.constant(jump)
        rival = reached(lambda m, p=fixed: adaptive.run(m, policy=p, alternation="unit"))
        assert learned > rival + 0.01, jump


def test_another_grid_is_the_same_one_scaled():
    """On 10 ticks and the same prices as on 100 it jumps a tenth of the ticks, at least one."""
    learned = zoo_steps()
    on_hundred = State(100, 0, 80, 20, 3, 2, 1, 20, 10, 20, 20)
    on_ten = on_hundred._replace(ticks=10, buyer_clock=8, seller_clock=2, last_jump=2, other_jump=1)
    assert learned(on_ten) == max(1, round(learned(on_hundred) / 10))


def test_other_checkpoints_and_broken_ones(tmp_path):
    """A training folder of one's own can be used; what is damaged says so in one line."""
    folder = train.train(TINY, tmp_path / "run", seed=0)
    market = draw(3)
    assert rules.run("dda-learned", market, checkpoint=folder, ticks=20).rounds > 0
    broken = tmp_path / "broken"
    shutil.copytree(folder / "checkpoint", broken)
    (broken / policy.FILE).write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    with pytest.raises(ValueError, match="holds no auctioneer"):
        zoo.load("market", "auctioneer", broken)
    marker = broken / "mecopt.json"
    marker.write_text(json.dumps(json.loads(marker.read_text()) | {"kind": "dqn"}))
    with pytest.raises(ValueError, match="kind is 'dqn', one of auctioneer"):
        zoo.load("market", "auctioneer", broken)


def test_markets_that_cannot_be_learned_from():
    """All must have as many traders, and in some of them somebody must be able to trade."""
    with pytest.raises(ValueError, match="another size"):
        environment.make_pool(lambda s: markets.generate("thin", s), range(40), ticks=20)
    poor = Market.of([1], [2], price_range=(0, 10))
    with pytest.raises(ValueError, match="nobody could trade"):
        environment.make_pool(lambda _: poor, range(3), ticks=10)


@pytest.mark.parametrize(
    "changes, message",
    [({"kind": "graph"}, "kind"), ({"jumps": (0,)}, "jumps"), ({"learning_rate": 0.0}, "rate")],
)
def test_settings_that_no_auctioneer_can_have(changes, message):
    with pytest.raises(ValueError, match=message):
        train.Settings(**changes)
