"""Training of agents: short runs, what they leave behind, and how it decides."""

import json

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

import mecopt
from learning import recipes, zoo
from learning.collaboration import policy
from learning.collaboration import zoo as agents_zoo
from learning.collaboration.context import BatchContext, Moment, RulePrior, shares
from learning.collaboration.networks import ABSENT, Scores, Told, Value
from learning.collaboration.player import Player
from learning.collaboration.process.simulator import Simulator
from learning.collaboration.shape import Shape
from learning.collaboration.training import base, mappo, vdn
from mecopt.collaboration.scenarios import ledrl
from mecopt.offloading.policies import by_name
from tests.collaboration.hand_made import line

#: Seconds of training: enough to run every line, not to learn much.
SMALL = {
    "decisions": 1024,
    "segment": 512,
    "report": 256,
    "environments": 16,
    "episodes": 4,
    "hidden": 8,
}
NAMES = ("mappo", "ledrl", "vdn", "masac")
TINY = {name: SMALL | ({"horizon": 16} if name in ("mappo", "ledrl") else {}) for name in NAMES}


@pytest.fixture(autouse=True)
def _one_short_tuning_episode(monkeypatch):
    short = (ledrl.generate("paper", 1000, slots=10),)
    monkeypatch.setattr(base, "_tuning", lambda preset: short)


@pytest.mark.parametrize("name", NAMES)
def test_a_training_leaves_a_policy(name, tmp_path):
    """Equal settings and seeds give equal policies; rows of progress draw convergence curves."""
    folder = recipes.train(name, tmp_path / "a", seed=1, changes=TINY[name])
    again = recipes.train(name, tmp_path / "b", seed=1, changes=TINY[name])
    rows = pd.read_parquet(folder / "progress.parquet")
    assert rows["step"].tolist() == [256, 512, 768, 1024]
    assert rows["success_rate"].between(0.0, 1.0).all()
    x = ledrl.generate("paper", 1001, slots=10)
    one, other = (
        mecopt.rollout(x, zoo.load("collaboration", name, path)) for path in (folder, again)
    )
    assert np.array_equal(one.choice, other.choice)
    assert len(set(one.choice.tolist())) > 1


@pytest.mark.parametrize("name", ["ledrl", "vdn"])
def test_an_interrupted_training_ends_where_it_would_have(name, tmp_path):
    """Stopped in the second segment, it goes on from the state kept after the first."""

    def stop(step, total, row):
        if step > 512:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recipes.train(name, tmp_path / "a", changes=TINY[name], on_progress=stop)
    recipes.train(name, tmp_path / "a", changes=TINY[name])
    recipes.train(name, tmp_path / "b", changes=TINY[name])
    first, second = (
        (tmp_path / run / "checkpoint" / "model.safetensors").read_bytes() for run in "ab"
    )
    assert first == second


def told(player: Player) -> Told:
    return base.told_by(player.look(central=True))


@pytest.mark.parametrize("alignment", ["attention", "mlp"])
@pytest.mark.parametrize(("prior", "memory"), [(True, True), (True, False), (False, True)])
def test_shuffled_neighbours_give_shuffled_scores(alignment, prior, memory):
    """One network for any order of links; what is not allowed is never the greatest."""
    torch.manual_seed(0)
    shape = Shape(hidden=8, prior=prior, memory=memory, alignment=alignment)
    play = Simulator([ledrl.generate("paper", 10_000, slots=10)], places=4)
    player = Player(play, shape, RulePrior() if prior else None)
    for _ in range(20):
        player.step(play.mask.argmax(axis=1))
    seen = told(player)
    net, value = Scores(shape).eval(), Value(shape).eval()
    order = torch.tensor([2, 0, 3, 1])
    shuffled = Told({k: x if k in ("risk", "nodes") else x[:, order] for k, x in seen.items()})
    assert torch.allclose(net(shuffled), net(seen)[:, order], atol=1e-5)
    assert torch.allclose(value(shuffled), value(seen), atol=1e-5)
    assert (net(seen)[~seen["mask"]] == ABSENT).all()


def test_dropout_is_for_training_only():
    """In an evaluation equal inputs give equal scores."""
    torch.manual_seed(0)
    shape = Shape(hidden=8, memory=True, dropout=0.5)
    seen = told(Player(Simulator([ledrl.generate("paper", 10_000, slots=4)], places=4), shape))
    net = Scores(shape)
    assert not torch.equal(net.train()(seen), net(seen))
    assert torch.equal(net.eval()(seen), net(seen))


def test_the_policy_is_told_what_it_was_trained_with():
    """Prior, risk and memory of an ordinary rollout are those of the simulator."""
    x = ledrl.generate("paper", 10_003, slots=30, node_failure_per_s=0.1)
    shape = Shape(hidden=8, prior=True, memory=True)
    torch.manual_seed(3)
    net = Scores(shape)
    agents = policy.LearnedPolicy(net=net, kind="mappo", prior="rule")
    schedule = mecopt.rollout(x, agents)
    player = Player(Simulator([x]), shape, RulePrior())
    over = np.array([False])
    with torch.inference_mode():
        while not over[0]:
            action = net(base.told_by(player.look())).argmax(dim=1).numpy()
            _, over = player.step(action)
    assert np.array_equal(player.simulator.choices(0), schedule.choice)


def test_rule_prior_of_three_nodes():
    """A mean task has 10 bytes and 8 cycles, due after 5 s. From a, staying takes 8 s: no chance;
    b is reached after 1 s and takes 4; c after 2 s and takes 2. With c down, only b is left, and
    only just: exp(-0.1 x 4). With b's place taken for 3 s, c is the way.
    """
    network = line(execution_failure=0.1)

    def moment(up, wait):
        free = np.zeros(4)
        counts = np.zeros((3, 4, 4), dtype=np.int64)
        down = np.array(up), np.array(wait)
        return Moment(network, 5.0, 0.0, 10.0, 8.0, *down, free, counts, counts)

    ((prior, risk),) = RulePrior()([moment([True, True, False], [0.0, 0.0, 0.0])], 4)
    assert risk[0] == pytest.approx(1 - np.exp(-0.4))
    assert prior[0, 1] > 0.99
    assert prior[0, 2:].tolist() == [0.0, 0.0]
    ((prior, risk),) = RulePrior()([moment([True, True, True], [0.0, 3.0, 0.0])], 4)
    assert risk[0] == pytest.approx(1 - np.exp(-0.2))
    assert prior.sum(axis=1) == pytest.approx([1.0, 1.0, 1.0])


class Counted:
    """A prior that counts how often it is asked."""

    asked = 0

    told = 0

    def __call__(self, moments, candidates):
        self.asked += len(moments)
        self.told += sum(int(moment.lately.sum()) for moment in moments)
        return RulePrior()(moments, candidates)


def test_a_prior_is_asked_every_ten_slots():
    """25 slots without failures: at slots 0, 10 and 20; and again when a node goes down."""
    calm, prior = ledrl.generate("paper", 10_004, slots=25, node_failure_per_s=0.0), Counted()
    for x, least, most in (
        (calm, 3, 3),
        (ledrl.generate("paper", 10_004, slots=25, node_failure_per_s=0.2), 5, 60),
    ):
        prior.asked = prior.told = 0
        play = Simulator([x])
        context = BatchContext(play, prior)
        while True:
            share, risk = context.look()
            assert share.sum() == pytest.approx(1.0)
            assert 0 <= risk[0] <= 1
            last = play.state.counts[0].sum()
            play.step(play.mask.argmax(axis=1))
            if play.over[0]:
                break
        assert least <= prior.asked <= most
        assert 0 < prior.told <= last  # what became known since it was asked, once each


def test_memory_is_shares_of_what_ended():
    """Of four tasks one was on time, one late, one damaged, one lost with a node."""
    counts = np.array([[1, 1, 1, 1], [0, 0, 0, 0]])
    assert shares(counts).tolist() == [[0.25, 0.25, 0.5], [0.0, 0.0, 0.0]]


def test_windows_of_slots_begin_with_a_slot():
    """Decisions of slots 0 0 1 1 1 2 ...: after a draw in slot 0, the window begins with slot 1."""
    from learning.collaboration.training.replay import Replay

    memory = Replay(200)
    for group in np.repeat(np.arange(60), 3):
        memory.add({"mask": np.ones((1, 2))}, action=np.zeros(1), group=np.array([group]))
    time, _ = vdn._slots(memory, np.array([1, 5]), np.array([0, 0]))
    assert time[:, 0].tolist() == [3, 6]


def test_a_checkpoint_goes_through_a_file(tmp_path):
    """Saved and loaded, it decides the same; what is damaged or unknown is refused."""
    torch.manual_seed(1)
    shape = Shape(hidden=8, memory=True, alignment="mlp")
    agents = policy.LearnedPolicy(net=Scores(shape), kind="masac", drop_hopeless=False)
    agents.save(tmp_path)
    back = policy.load(tmp_path)
    assert (back.kind, back.drop_hopeless, back.net.shape) == ("masac", False, shape)
    x = ledrl.generate("paper", 1002, slots=6)
    assert np.array_equal(mecopt.rollout(x, agents).choice, mecopt.rollout(x, back).choice)
    marker = tmp_path / "mecopt.json"
    said = json.loads(marker.read_text())
    said["shape"]["hidden"] = 9
    marker.write_text(json.dumps(said))
    with pytest.raises(ValueError, match="not a checkpoint of these agents"):
        policy.load(tmp_path)
    said["shape"]["hidden"], said["prior"] = 8, "oracle"
    marker.write_text(json.dumps(said))
    with pytest.raises(ValueError, match="prior: unknown 'oracle'"):
        policy.load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gamma": 1.5}, "gamma = 1.5"),
        ({"prior": "oracle"}, "prior: unknown 'oracle'"),
        ({"view": "all"}, "view: unknown 'all'"),
        ({"alignment": "sum"}, "alignment: unknown 'sum'"),
        ({"dropout": 1.0}, "dropout = 1.0"),
        ({"preset": "seven"}, "preset: unknown 'seven'"),
        ({"horizon": 1, "environments": 1}, "horizon = 1: one decision an update is too few"),
    ],
)
def test_settings_that_cannot_be_used(changes, message):
    """Each names the field and its value."""
    with pytest.raises(ValueError, match=message):
        mappo.Settings(**changes)


@pytest.mark.parametrize("name", NAMES)
def test_shipped_agents_do_better_than_random_choices(name):
    """By name, on an episode that none was trained on."""
    x = ledrl.generate("paper", 1003, slots=40)
    agents = mecopt.rollout(x, agents_zoo.load(name))
    assert agents.drop_rate < mecopt.rollout(x, by_name.make("random")).drop_rate - 0.05
    with pytest.raises(AttributeError, match="no attribute 'nobody'"):
        _ = agents_zoo.nobody


def test_a_name_without_a_checkpoint_says_how_to_get_one(monkeypatch):
    """Neither shipped nor given."""
    monkeypatch.setattr(zoo, "shipped", lambda family, name: None)
    with pytest.raises(ValueError, match=r"mecopt train vdn --out FOLDER.*--checkpoint vdn=FOLDER"):
        agents_zoo.load("vdn")
