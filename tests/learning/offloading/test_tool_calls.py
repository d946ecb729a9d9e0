"""Tool calls: the grammar, what a call is answered with, and training on transcripts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from learning import zoo
from learning.language import tiny_model, vocabulary
from learning.language.vocabulary import WORD_ID
from learning.offloading.policies import tool_calls as policies
from learning.offloading.policies.tool_calls import OptionLookahead, ToolCallPolicy
from learning.offloading.prompts import forms_calls as calls
from learning.offloading.training import call_states, call_trainers, tool_calls
from learning.offloading.training.call_states import CallStates
from learning.offloading.training.tool_calls import Settings
from learning.runs.folder import TrainingRun
from mecopt import rollout
from mecopt.offloading.policies.lookahead import Lookahead
from mecopt.offloading.scenarios import comllm
from mecopt.offloading.scenarios.futures import generated_futures

#: Nothing is used that transformers, TRL or peft will not know any more.
pytestmark = pytest.mark.filterwarnings("error::FutureWarning", "error::DeprecationWarning")

TWO = {"samples": 2, "horizon_s": 0.3}
LOCAL, DROP = WORD_ID[vocabulary.LOCAL], WORD_ID[vocabulary.DROP]
S01, S02, ABSENT = vocabulary.FIRST_NAME, vocabulary.FIRST_NAME + 1, vocabulary.FIRST_NAME + 31


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    tiny_model.save(tiny_model.create(0, **sizes), folder)
    return folder


def writer(start: Path, *words: int) -> tuple[ToolCallPolicy, list[np.ndarray]]:
    """A policy that writes these words one after the other, and what it read before each."""
    policy = ToolCallPolicy(tiny_model.load(start))
    read: list[np.ndarray] = []
    coming = list(words)

    def forward(ids, after=0):
        read.append(ids[0])
        logits = np.zeros((1, len(vocabulary.WORDS)), dtype=np.float32)
        logits[0, coming[(len(read) - 1) % len(coming)]] = 1.0
        return logits

    policy.forward = forward
    return policy, read


def told() -> CallStates:
    """One state with the options local, two servers and the drop; the first server costs least."""
    prompt = np.array([[vocabulary.id_of("u1.00"), vocabulary.id_of("act")]])
    return CallStates(
        ids=prompt,
        words=np.array([[LOCAL, S01, S02, DROP]]),
        reference=np.array([1]),
        ahead_slots=np.array([[0.5, 0.0, -1.25, 9.0]]),
        cost_slots=np.array([[3.0, 2.0, 1.0, 20.0]]),
    )


# --------------------------------------------------------------------------------------- grammar
def test_a_transcript_reads_as_the_grammar_says():
    """5 - 1.25 = 3.75 and 5 + 9 is cut to 10; before it the call and the reference."""
    row = told().transcripts(np.array([0, 0]), np.array([2, 3]))
    found = [" ".join(vocabulary.word_of(int(t)) for t in r[2:]) for r in row]
    assert found == ["<end> s02 s01 x3.75 act", "<end> drop s01 x10.00 act"]


def test_names_are_read_strictly():
    words = np.array([LOCAL, S01, WORD_ID[vocabulary.PAD], DROP])
    named = [calls.option_of(w, words) for w in (LOCAL, DROP, ABSENT, WORD_ID[vocabulary.PAD])]
    assert named == [0, 3, None, None]


# ---------------------------------------------------------------------------------------- policy
def test_the_number_served_is_the_difference_of_lookahead_costs(start):
    """Two options alone are rolled out, with the result of the rule that tries all of them."""
    x = comllm.generate("busy", 3, slots=6)
    rule, tool = (kind(**TWO, futures=generated_futures()) for kind in (Lookahead, OptionLookahead))
    compared = []

    class Watching(Lookahead):
        def act(self, observation):
            cost = self.candidate_costs(observation)
            n = observation.n_options
            for option in range(n + 1):
                found = tool.difference_slots(observation, option, 0)
                compared.append((found, (cost[option] - cost[0]) / 0.1))
            return self.best(observation, cost)

    tool.reset(x)
    chosen = rollout(x, Watching(**TWO)).choice
    served, expected = np.array(compared).T
    assert served == pytest.approx(expected, abs=1e-9) and np.ptp(served) > 1
    assert np.array_equal(chosen, rollout(x, rule).choice)


def test_a_name_at_once_is_a_decision_of_one_turn(start):
    x = comllm.generate("paper", 0, slots=3)
    policy, read = writer(start, LOCAL)
    assert np.all(rollout(x, policy).choice == 0)
    assert (policy.turns, policy.parse_rate, len(read)) == (1.0, 1.0, x.n_tasks)


def test_a_call_is_answered_and_the_next_word_decides(start):
    x = comllm.generate("paper", 0, slots=3)
    policy, read = writer(start, calls.CALL, S02, LOCAL)
    assert np.all(rollout(x, policy).choice == 0)
    assert (policy.turns, policy.parse_rate, len(read)) == (2.0, 1.0, 3 * x.n_tasks)
    words = [vocabulary.word_of(int(t)) for t in read[2][-5:]]
    assert words[:2] == ["<end>", "s02"] and words[3][0] == "x" and words[4] == "act"


@pytest.mark.parametrize(
    "words",
    [(ABSENT,), (calls.CALL, ABSENT), (calls.CALL, calls.CALL), (calls.CALL, S01, calls.CALL)],
    ids=["no option", "call of no option", "call of a call", "second call"],
)
def test_what_the_grammar_does_not_have_drops_the_task_and_is_counted(start, words):
    x = comllm.generate("paper", 0, slots=3)
    policy, read = writer(start, *words)
    assert np.all(rollout(x, policy).choice == -1)
    assert policy.parse_rate == 0.0 and policy.invalid == x.n_tasks
    assert len(read) == len(words) * x.n_tasks  # never a third turn


def test_constrained_to_the_grammar_no_answer_is_invalid(start):
    """The likeliest word is no option; the first of those that may stand there is taken."""
    x = comllm.generate("paper", 0, slots=3)
    policy, _ = writer(start, ABSENT)
    policy.constrained = True
    assert np.all(rollout(x, policy).choice == 0)
    assert (policy.parse_rate, policy.turns) == (1.0, 1.0)


def test_the_fast_forward_pass_reads_words_after_a_prompt(start):
    """Its logits are those of the model itself, after each of the five words of a call."""
    model = tiny_model.load(start)
    x = comllm.generate("paper", 0, slots=3)
    policy, read = writer(start, calls.CALL, S02, LOCAL)
    rollout(x, policy)
    whole = torch.from_numpy(read[2])[None]
    fast = ToolCallPolicy(model).forward
    for after in range(calls.CALLED + 1):
        ids = whole[:, : whole.shape[1] - calls.CALLED + after]
        with torch.no_grad():
            own = model(ids, attention_mask=torch.ones_like(ids)).logits[:, -1]
        assert np.allclose(fast(ids.numpy(), after), own.numpy(), atol=1e-5)


# -------------------------------------------------------------------------------------- training
def trainer(start: Path, tmp_path: Path) -> call_trainers.ToolCallGRPOTrainer:
    settings = tiny(start, group=4, states_per_step=1, states=1)
    run = TrainingRun.open(tmp_path / "run", policies.KIND, settings, seed=0, resume=False)
    made = tool_calls.make_trainer(tiny_model.load(start), settings, told(), run, seed=0)
    made.model.train()
    return made


def scripted(made: call_trainers.ToolCallGRPOTrainer, words: list[list[int]]) -> None:
    """Let the trainer draw these words, one list per turn, at their own log-probabilities."""
    coming = iter(words)

    def draw(ids):
        found = torch.tensor(next(coming))[:, None]
        with torch.no_grad():
            logps = made._next_word(made.model, torch.from_numpy(ids))
        return found[:, 0].numpy(), logps.gather(1, found)[:, 0].double().numpy()

    made._draw = draw


def test_words_of_the_environment_are_masked_and_costs_are_those_of_the_last_word(start, tmp_path):
    """Four transcripts: one turn, a call that ends with s02, one that is no option, a bad call."""
    made = trainer(start, tmp_path)
    call = calls.CALL
    scripted(made, [[S01, call, call, call], [S02, S02, ABSENT], [S02, ABSENT]])
    out = made._rollout(["0"] * 4, made)
    assert [len(c) for c in out["completion_ids"]] == [1, 6, 6, 2]
    assert out["env_mask"] == [[1], [1, 1, 0, 0, 0, 1], [1, 1, 0, 0, 0, 1], [1, 1]]
    assert [value == 0 for value in out["logprobs"][1]] == [False, False, True, True, True, False]
    assert out["decision_cost"] == [2.0, 1.0, 25.0, 25.0]  # an invalid answer: a drop and 5 more
    assert out["called"] == [0, 1, 1, 1]


def test_each_own_word_is_scored_after_what_stands_before_it(start, tmp_path):
    """The trainer's log-probabilities are those that the words were drawn with."""
    made = trainer(start, tmp_path)
    scripted(made, [[calls.CALL, LOCAL, calls.CALL, LOCAL], [S02, S01], [S02, DROP]])
    output = made._generate_and_score_completions([{"prompt": "0"} for _ in range(4)])
    ids = torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1)
    mask = torch.cat([output["prompt_mask"], output["completion_mask"]], dim=1)
    with torch.no_grad():
        found, _, _ = made._get_per_token_logps_and_entropies(
            made.model, ids, mask, output["completion_ids"].shape[1], compute_entropy=True
        )
    own = output["tool_mask"].bool() & output["completion_mask"].bool()
    assert own.sum() == 2 * 3 + 2
    assert torch.allclose(found[own], output["sampling_per_token_logps"][own], atol=1e-5)
    assert torch.all(found[~own] == 0)


def test_a_call_costs_its_price():
    """-2.5 for a decision at once; -(2.0 + 0.25) for a better one after a call."""
    reward = call_trainers.call_reward(["", ""], [2.5, 2.0], [0.0, 1.0], price_slots=0.25)
    assert reward == [-2.5, -2.25]
    with pytest.raises(ValueError, match="holds a NaN"):
        call_trainers.call_reward([""], [float("nan")], [0.0])


def test_labels_ask_for_calls_whose_mean_gain_is_positive():
    """Gains 0.3 and -0.1 in two states that look alike: the loss -0.3 log p - 0.1 log(1 - p) is
    least at p = 3/4, where the larger half is for the call."""
    rows = told().transcripts(np.array([0, 0]), np.array([2, 2]))
    columns = {
        "input_ids": torch.from_numpy(rows),
        "words": torch.from_numpy(told().words).expand(2, -1),
        "cost_slots": torch.from_numpy(told().cost_slots).float().expand(2, -1),
        "name_share": torch.zeros(2, 4),
        "stake": torch.tensor([0.3, -0.1]),
    }

    def loss(chance: float) -> float:
        n = len(vocabulary.WORDS)
        logits = torch.zeros(2, 3, n)
        logits[:, 0, calls.CALL] = np.log(chance / (1 - chance) * (n - 1))

        def model(**_: object) -> SimpleNamespace:
            return SimpleNamespace(logits=logits)

        return float(call_trainers.call_loss(model, **columns, temperature_slots=0.1))

    assert min((0.55, 0.65, 0.75, 0.85, 0.95), key=loss) == 0.75


def tiny(start: Path, **changes: object) -> Settings:
    """Two steps of either kind on a few states of episodes of three slots."""
    small = Settings(
        start=str(start), presets=("busy",), states=6, drawn=0.5, episode_slots=3, warm_steps=2,
        warm_batch=4, states_per_step=2, steps=2, group=2, save_steps=1,
    )  # fmt: skip
    return replace(small, **changes)  # type: ignore[arg-type]


def test_training_leaves_a_policy_and_equal_seeds_agree(start, tmp_path):
    runs = [tool_calls.train(tiny(start), tmp_path / name, seed=0) for name in ("a", "b")]
    weights = [tiny_model.load(run / "checkpoint").state_dict() for run in runs]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    before = tiny_model.load(start).state_dict()
    assert any(not torch.equal(value, before[name]) for name, value in weights[0].items())
    policy = zoo.load("offloading", "mine", runs[0])
    assert isinstance(policy, ToolCallPolicy)
    x = comllm.generate("paper", 1, slots=3)
    assert len(rollout(x, policy).choice) == x.n_tasks
    assert 1 <= policy.turns <= 2 and 0 <= policy.parse_rate <= 1


def test_costs_and_served_numbers_come_from_other_futures():
    found, cost, ahead = call_states.collect(["busy"], 5, 0.0, seed=0, slots=4)
    assert cost.shape == ahead.shape == (5, found.n_servers + 2)
    difference = ahead - ahead[:, :1]
    assert np.abs(difference - (cost - cost[:, :1])).max() > 1e-3
    known = call_states.told(found, cost, ahead, seed=0)
    at_reference = np.take_along_axis(known.ahead_slots, known.reference[:, None], axis=1)
    assert np.all(at_reference == 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"price_slots": -1.0}, "price_slots = -1"),
        ({"drawn": 1.5}, "drawn = 1.5"),
        ({"states": 3, "states_per_step": 4}, "states_per_step = 4 is more than states = 3"),
        ({"scale_rewards": "never"}, "scale_rewards: unknown 'never'"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Settings(**changes)


def test_a_checkpoint_of_another_kind_is_refused(start):
    with pytest.raises(ValueError, match="kind is 'language', expected 'tool-calls'"):
        policies.load(start)
