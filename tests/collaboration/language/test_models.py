"""The small model, any causal model, checkpoints, and a training that learns."""

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from learning import recipes, zoo
from learning.collaboration import labels, small_model, strategists, train, words
from learning.collaboration.embedded import EmbeddedModel
from learning.collaboration.labels import Labelled
from learning.collaboration.pretrained import CausalModel, next_tokens
from learning.language import pretrained_models
from learning.runs import folder as training_run
from mecopt.collaboration.network import Network
from mecopt.collaboration.scenarios import ledrl
from tests.collaboration.hand_made import line, made
from tests.collaboration.language.cases import seen
from tests.learning.conftest import byte_model  # noqa: F401 - a fixture


def test_the_forward_pass_is_the_model():
    """Logits after `risk` and `act`, with the model's own code and with ours; priors from them."""
    model = small_model.create(0, hidden=16, layers=2)
    fast = EmbeddedModel(model)
    for _, ids in words.prompts(seen()):
        tokens = torch.from_numpy(ids)
        with torch.inference_mode():
            slow = model(input_ids=tokens).logits[:, -2:]
        assert torch.allclose(fast.logits(tokens), slow, atol=1e-5)
        p = slow[0, 1].softmax(dim=-1)[[words.ID["A"], words.ID["B"]]].numpy()
        if len(tokens[0]) == 18:  # a or c: two candidates
            row = int(next(w[0] for w, i in words.prompts(seen()) if i is not None and len(w) == 2))
            found = fast.answer(replace(seen()))
            assert not found.valid[row] or found.prior[row, :2] == pytest.approx(p / p.sum())


def test_near_numbers_are_near_from_the_start():
    """Of all numbers of a key the nearest vectors are those of the neighbours."""
    vectors = small_model.create(0, hidden=64, layers=1).get_input_embeddings().weight
    one, near, far = (vectors[words.ID[f"w{x}"]] for x in ("1", "1.2", "15"))
    assert (one - near).norm() < 0.5 * (one - far).norm()


def test_any_causal_model(byte_model):  # noqa: F811
    """Random weights over bytes: every answer is a distribution, the same in batches of one."""
    loaded = pretrained_models.load(str(byte_model))
    model = CausalModel(*loaded, batch=2)
    found, alone = model.answer(seen()), CausalModel(*loaded, batch=1).answer(seen())
    assert found.prior.sum(axis=1) == pytest.approx(1.0) and found.prior[0, 2] == 0
    assert found.prior == pytest.approx(alone.prior, abs=1e-5)
    assert found.risk == pytest.approx(alone.risk, abs=1e-5)


def test_a_chat_template_is_used(byte_model):  # noqa: F811
    model, tokenizer = pretrained_models.load(str(byte_model))
    tokenizer.chat_template = "{{ '#' + messages[0]['content'] + '#' }}"
    asked = CausalModel(model, tokenizer)
    text = tokenizer.decode(asked._head("what it sees"))
    assert text.startswith("#You place") and text.endswith("what it sees#")


def test_a_context_that_is_too_short_is_refused(byte_model):  # noqa: F811
    model, tokenizer = pretrained_models.load(str(byte_model))
    model.config.max_position_embeddings = 100
    with pytest.raises(ValueError, match=r"prompt: \d+ tokens, the model's context holds 100"):
        CausalModel(model, tokenizer).answer(seen())


def test_answers_must_differ_in_one_token():
    """`ab` and `ac` share a; `ab` and `a` end together."""
    split = lambda text, **_: {"input_ids": [ord(c) for c in text]}  # noqa: E731
    assert next_tokens(split, ["ab", "ac"]) == ([97], [98, 99])
    with pytest.raises(ValueError, match="cannot tell 'ab' from other answers"):
        next_tokens(split, ["ab", "ab"])


# -------------------------------------------------------------------------------------- training
TINY = train.Settings(
    episodes=1, hidden=16, layers=1, steps=6, batch=4, log_every=2, save_every=3
)  # fmt: skip


@pytest.fixture(scope="module")
def labelled():
    """Rows of an episode of five nodes and 16 slots."""
    x = ledrl.generate("paper", 10_000, nodes=5, slots=16)
    watched = labels.Watched(labels.lookahead(0), Network.of(x), 0.0, np.random.default_rng(0))
    done = labels.rollout(x, watched)
    return labels._labelled(x, watched, done.status != labels.ON_TIME)


def test_labels_are_shares_of_candidates(labelled):
    """Looks at slots 0, 2, ..., 14 of five nodes; what is no candidate has no share."""
    assert 8 < len(labelled) <= 8 * 5
    absent = np.arange(labelled.strategy.shape[1]) >= labelled.seen.count[:, None]
    assert (labelled.strategy[absent] == 0).all() and absent.any()
    assert labelled.strategy.sum(axis=1) == pytest.approx(1.0)
    assert ((labelled.bad >= 0) & (labelled.bad <= 1)).all()


def test_rows_are_kept_in_a_file(labelled, tmp_path):
    labels.write(labelled, tmp_path / "rows.npz")
    again = labels.read(tmp_path / "rows.npz")
    assert np.array_equal(again.strategy, labelled.strategy)
    assert np.array_equal(again.seen.places, labelled.seen.places)
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 no rows")
    with pytest.raises(ValueError, match=r"bad.npz: no labelled rows"):
        labels.read(tmp_path / "bad.npz")


def test_shares_by_costs():
    """From a: to stay costs -0.5 tasks, to b and stay -0.6, on to c -0.7. At a the best by its
    neighbour is -0.7: shares 1 and exp(-0.2 / 0.05). The task goes to c: at b -0.6 and -0.7, so
    exp(-0.1 / 0.05) and 1; there back is no option. At c there is one.
    """
    x = made(line(), [(0.0, 0, 1.0, 1.0)], 9.0)

    class Teacher:
        def reset(self, instance):
            pass

        def candidate_costs(self, observation):
            return np.array([-0.5, -0.6, -0.7, 0.0])

        def best(self, observation, costs):
            return int(costs.argmin())

    x = replace(x, meta={**x.meta, "slot_s": 0.5})
    watched = labels.Watched(Teacher(), Network.of(x), 0.0, np.random.default_rng(0))
    assert labels.rollout(x, watched).choice.tolist() == [2]
    (_, a, at_a), (_, b, at_b), (_, c, at_c) = watched.decisions
    assert (a, b, c) == (0, 1, 2) and at_c.tolist() == [1.0, 0.0, 0.0]
    assert at_a == pytest.approx([np.exp(-4) / (1 + np.exp(-4)), 1 / (1 + np.exp(-4)), 0.0])
    assert at_b == pytest.approx([np.exp(-2) / (1 + np.exp(-2)), 0.0, 1 / (1 + np.exp(-2))])


def test_labels_come_from_training_seeds_only():
    with pytest.raises(ValueError, match="seed 3 is not one of train"):
        labels.collect("paper", 1, 3)


def test_neighbours_are_shuffled_with_their_labels(labelled):
    """The node stays first; every row keeps its candidates, in another order."""
    mixed = train.shuffled(labelled, np.random.default_rng(0))
    assert np.array_equal(mixed.strategy[:, 0], labelled.strategy[:, 0])
    assert not np.array_equal(mixed.strategy, labelled.strategy)
    for i in range(len(mixed)):
        n = labelled.seen.count[i]
        lines = (
            sorted((*rows.seen.places[i, c].tolist(), rows.strategy[i, c]) for c in range(n))
            for rows in (labelled, mixed)
        )
        assert next(lines) == next(lines)


def test_a_training_learns_who_is_quick():
    """Made up: everything goes to the candidate of the shorter execution. After 150 steps the
    model says so in nine rows of ten, and its risk is low where that is quick enough.
    """
    rng = np.random.default_rng(0)
    n = 400
    places = np.zeros((n, 2, 8), np.uint8)
    places[..., 0] = rng.integers(0, 28, (n, 2))
    base = seen()[np.zeros(n, dtype=int)]
    known = base.known
    cut = {name: getattr(known, name)[:, :2] for name in ("trouble", "share", "lately")}
    rows = replace(
        base, where=(), places=places, up=np.ones((n, 2), bool), known=type(known)(**cut)
    )
    quick = places[..., 0].argmin(axis=1)
    rule = Labelled(rows, np.eye(2)[quick], (places[..., 0].min(axis=1) > 10).astype(float))
    settings = train.Settings(hidden=32, layers=2, steps=150, batch=32, log_every=50)
    model = small_model.create(0, hidden=32, layers=2)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    data = train.training_rows(rule, settings.steps * settings.batch, seed=0)
    for first in range(0, len(data), settings.batch):
        batch = train.collate([data[i] for i in range(first, first + settings.batch)])
        optimiser.zero_grad()
        train.answer_loss(model, **batch, risk_weight=0.3).backward()
        optimiser.step()
    found = EmbeddedModel(model.eval()).answer(rows)
    assert found.valid.all()
    assert (found.prior.argmax(axis=1) == quick).mean() > 0.9


def test_an_interrupted_training_is_taken_up(labelled, tmp_path):
    """Stopped after three steps and gone on with: the weights of the whole training."""
    whole = train.train(TINY, tmp_path / "whole", seed=1, labelled=labelled)

    class Stop(Exception):
        pass

    def stop(step, steps, figures):
        if step == 4:
            raise Stop

    with pytest.raises(Stop):
        train.train(TINY, tmp_path / "half", seed=1, labelled=labelled, on_progress=stop)
    half = train.train(TINY, tmp_path / "half", seed=1, labelled=labelled, resume=True)
    assert training_run.digest(whole) == training_run.digest(half)
    parameters, manifest, progress = training_run.read(whole)
    assert parameters["kind"] == "ledrl-prior" and manifest["rows"] == len(labelled)
    assert len(progress) == 3
    model = strategists.load(whole)
    assert model.answer(seen()).prior.sum(axis=1) == pytest.approx(1.0)


def test_settings_that_cannot_be():
    with pytest.raises(ValueError, match="hidden = 20 must be a multiple of 8"):
        recipes.settings("ledrl-prior", {"hidden": 20})
    with pytest.raises(ValueError, match="preset: unknown 'x'"):
        recipes.settings("ledrl-prior", {"preset": "x"})


# ----------------------------------------------------------------------------------- checkpoints
def test_a_folder_may_name_a_model_elsewhere(byte_model, tmp_path):  # noqa: F811
    causal = strategists.describe(tmp_path / "causal", "causal", model=str(byte_model))
    assert strategists.model(causal).name == "causal"
    served = strategists.describe(
        tmp_path / "served", "endpoint", url="http://127.0.0.1:1/v1", model="any", timeout_s=2.0
    )
    assert strategists.model(served).timeout_s == 2.0


def test_checkpoints_that_cannot_be_used(tmp_path):
    training_run.describe_checkpoint(tmp_path, "strategist", source="dream")
    with pytest.raises(ValueError, match="source is 'dream', one of embedded, causal, endpoint"):
        strategists.model(tmp_path)
    served = strategists.describe(tmp_path / "served", "endpoint", url="http://a", colour="red")
    with pytest.raises(ValueError, match="cannot be loaded"):
        strategists.model(served)
    with pytest.raises(ValueError, match="source: unknown 'x', one of causal, endpoint"):
        strategists.describe(tmp_path, "x")


def test_the_shipped_strategist_decides():
    """Policies are made of it by name, and all of its answers can be used."""
    x = ledrl.generate("paper", 0, nodes=6, slots=12)
    for name, evaluates in strategists.EVALUATES.items():
        policy = getattr(strategists, name.replace("-", "_"))(seed=3)
        assert policy.name == name and policy.evaluator == evaluates
        done = labels.rollout(x, policy)
        assert policy.parse_rate == 1.0 and done.drop_rate < 1.0
    said = json.loads((zoo.shipped("collaboration", "prior") / "mecopt.json").read_text())
    assert (said["kind"], said["source"]) == ("strategist", "embedded")
