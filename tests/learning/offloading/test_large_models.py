"""What trainings of real model sizes need: memory, any field of TRL, chat templates, own functions.

The models are the random Llama of a few thousand parameters that other tests train, too.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from learning import recipes
from learning.language import pretrained_models
from learning.language.chat import Frame, frame_of
from learning.language.token_label_sft import labelled_row
from learning.offloading.policies import pretrained as pretrained_policy
from learning.offloading.policies.pretrained import PretrainedPolicy
from learning.offloading.prompts import forms_compact_natural as prompts
from learning.offloading.states import decision_states as states
from learning.offloading.training import pretrained
from learning.offloading.training.pretrained import Settings
from learning.runs import folder as training_run
from learning.runs import own_code, trl_fields
from mecopt.offloading.scenarios import comllm

CHAT = (
    "{{ bos_token }}{% for m in messages %}<{{ m['role'] }}>\n{{ m['content'] | trim }}\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<assistant>\n{% endif %}"
)


@pytest.fixture(scope="module")
def folder(byte_model) -> Path:
    return byte_model


@pytest.fixture(scope="module")
def chatty(folder, tmp_path_factory) -> Path:
    """The same model with a chat template and a token that begins texts."""
    copy = tmp_path_factory.mktemp("chat") / "model"
    shutil.copytree(folder, copy)
    _, tokenizer = pretrained_models.load(str(folder))
    tokenizer.bos_token, tokenizer.chat_template = "<end>", CHAT
    tokenizer.save_pretrained(copy)
    return copy


@pytest.fixture(scope="module")
def found():
    return states.collect([comllm.generate("paper", 0, servers=3, slots=3)])[:3]


def tiny(folder: Path, **changes: object) -> Settings:
    small = Settings(
        model=str(folder), presets=("paper",), states=4, batch=2, rank=2, group=2, save_steps=1,
        evaluation_states=4,
    )  # fmt: skip
    return replace(small, **changes)  # type: ignore[arg-type]


def adapter(run: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(run / "checkpoint" / "adapter_model.safetensors")


# ---------------------------------------------------------------------------------------- memory
@pytest.mark.parametrize("loss", ["soft", "hard"])
def test_less_memory_is_the_same_training(folder, tmp_path, loss):
    """A batch of two in two parts, with activations worked out again, moves the weights alike.

    Two updates of Adam move a weight by up to 2e-3; what is rounded differently is far below.
    """
    plain = tiny(folder, loss=loss, checkpointing=False)
    small = replace(plain, accumulation=2, checkpointing=True)
    one = adapter(pretrained.train(plain, tmp_path / "one", seed=0))
    two = adapter(pretrained.train(small, tmp_path / "two", seed=0))
    assert max(float(w.abs().max()) for n, w in one.items() if "lora_B" in n) > 5e-4
    # Of unequal answers TRL's own loss takes the mean over tokens, which is that of both parts too.
    assert all(torch.allclose(w, two[n], atol=5e-5) for n, w in one.items())


def test_equal_seeds_give_equal_adapters_to_the_last_bit(folder, tmp_path):
    runs = [pretrained.train(tiny(folder), tmp_path / name, seed=3) for name in ("a", "b")]
    first, second = map(adapter, runs)
    assert all(torch.equal(w, second[n]) for n, w in first.items())


def test_shares_must_be_whole(folder, tmp_path):
    with pytest.raises(ValueError, match=r"batch = 2 must be a multiple .* accumulation = 3"):
        pretrained.train(tiny(folder, accumulation=3), tmp_path / "run", seed=0)
    assert not (tmp_path / "run").exists()


def test_fewer_bits_need_their_library(monkeypatch):
    monkeypatch.setattr(pretrained_models, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="nf4 needs bitsandbytes: pip install bitsandbytes"):
        pretrained_models.quantised("nf4", torch.bfloat16)
    with pytest.raises(ValueError, match="quantise: unknown 'int2', one of int8, nf4"):
        pretrained_models.quantised("int2", torch.bfloat16)
    assert pretrained_models.quantised("", torch.bfloat16) == {}


def test_a_policy_computes_on_the_device_that_is_there(folder, monkeypatch):
    """The device "meta" stands for a GPU; a model that is spread over devices is not moved."""
    monkeypatch.setattr(pretrained_models, "device", lambda: torch.device("meta"))
    model, tokenizer = pretrained_models.load(str(folder))
    model.hf_device_map = {"": "cpu"}
    assert PretrainedPolicy(model, tokenizer).model.device.type == "cpu"
    del model.hf_device_map
    assert PretrainedPolicy(model, tokenizer, device="cpu").model.device.type == "cpu"
    assert PretrainedPolicy(model, tokenizer).model.device.type == "meta"


def test_types_are_those_of_the_machine(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pretrained_models.torch_dtype("auto") == torch.float32
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert pretrained_models.torch_dtype("auto") == torch.bfloat16
    assert pretrained_models.torch_dtype("float32") == torch.float32


# ----------------------------------------------------------------------------- any field of TRL
def test_fields_of_trl_are_read_as_their_types():
    from trl import GRPOConfig, SFTConfig

    text = {"gradient_accumulation_steps": "8", "packing": "true", "learning_rate": "1e-5",
            "gradient_checkpointing_kwargs": '{"use_reentrant": false}'}  # fmt: skip
    assert trl_fields.read(SFTConfig, text) == {
        "gradient_accumulation_steps": 8, "packing": True, "learning_rate": 1e-5,
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
    }  # fmt: skip
    given = {"vllm_mode": "server", "vllm_gpu_memory_utilization": 0.5, "beta": 0}
    assert trl_fields.read(GRPOConfig, given) == given


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("gradient_acumulation_steps", "8", "no such field; close: gradient_accumulation_steps"),
        ("zzz", "8", r"trl\.zzz: SFTConfig has no such field$"),
        ("gradient_accumulation_steps", "many", r"trl\.gradient_accumulation_steps: 'many' cannot"),
        ("packing", "8", "'8' cannot be read as bool"),
        ("per_device_train_batch_size", 2.5, "2.5 cannot be read as int"),
        ("seed", "3", r"trl\.seed: --seed decides it"),
        ("output_dir", "x", r"trl\.output_dir: --out decides it"),
    ],
)
def test_fields_that_trl_has_not_are_refused_before_anything_is_written(
    folder, tmp_path, field, value, message
):
    with pytest.raises(ValueError, match=message):
        pretrained.train(tiny(folder, trl={field: value}), tmp_path / "run", seed=0)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["sft", "grpo", "planner", "lora-sft", "grpo-multi-turn"])
def test_every_recipe_with_trl_takes_its_fields(name):
    """Set one by one on the command line; the others of the recipe stay."""
    changes = {"trl.weight_decay": "0.25", "trl.max_grad_norm": "0.5"}
    assert recipes.settings(name, changes).trl == {"weight_decay": "0.25", "max_grad_norm": "0.5"}


def test_a_field_of_trl_comes_before_the_recipes(folder, tmp_path):
    """With a learning rate of 1e-6 a weight moves by about that in an update, not by 1e-3."""
    settings = tiny(folder, trl={"learning_rate": "1e-6"})
    moved = adapter(pretrained.train(settings, tmp_path / "run", seed=0))
    assert 0 < max(float(w.abs().max()) for n, w in moved.items() if "lora_B" in n) < 1e-5


def test_a_reporter_that_is_not_installed_is_one_line(folder, tmp_path):
    with pytest.raises(ValueError, match="needs|requires") as error:
        pretrained.train(tiny(folder, trl={"report_to": "comet_ml"}), tmp_path / "run", seed=0)
    assert "\n" not in str(error.value)


def test_steps_start_and_learning_rates_mean_the_same(tmp_path):
    """``--steps`` are updates, ``--start`` a checkpoint; GRPO has its published rate."""
    chosen = recipes.settings("lora-grpo", {"start": "runs/sft", "steps": "7"})
    assert (chosen.start, chosen.updates, chosen.rate) == ("runs/sft", 7, 1e-5)
    assert recipes.settings("lora-sft").rate == 1e-3
    assert recipes.settings("lora-sft", {"states": 40, "batch": 8}).updates == 5
    assert recipes.settings("lora-grpo", {"learning_rate": "0.002"}).rate == 2e-3


@pytest.mark.parametrize(
    ("name", "field"), [("sft", "steps"), ("dqn", "steps"), ("mappo", "decisions"),
                        ("t2drl", "rollouts"), ("lora-sft", "steps")],
)  # fmt: skip
def test_every_recipe_has_a_length(name, field):
    """``--steps`` sets whatever the progress of a recipe counts."""
    pytest.importorskip("stable_baselines3")
    pytest.importorskip("pettingzoo")
    assert getattr(recipes.settings(name, {"steps": 20_000}), field) == 20_000


def test_a_recipe_that_begins_anew_takes_no_checkpoint():
    with pytest.raises(ValueError, match="start: sft begins with new weights"):
        recipes.settings("sft", {"start": "runs/sft"})


# ---------------------------------------------------------------------------------- chat template
def test_the_template_is_taken_apart(chatty, folder):
    """The token that begins texts is left to the tokenizer where that adds it by itself."""
    _, plain = pretrained_models.load(str(folder))
    assert frame_of(plain) == Frame("", "")
    _, tokenizer = pretrained_models.load(str(chatty))
    assert frame_of(tokenizer) == Frame("<end><user>\n", "\n<assistant>\n")
    assert Frame("a", "b").answer("local") == "local"
    assert Frame().answer("local") == " local"
    tokenizer.chat_template = "{{ 'deaf' }}"
    with pytest.raises(ValueError, match="does not show what the user says; set chat=false"):
        frame_of(tokenizer)


def test_options_are_scored_within_the_template(chatty, found):
    """Log-probability of every name from one plain forward pass over the whole conversation."""
    model, tokenizer = pretrained_models.load(str(chatty))
    policy = PretrainedPolicy(model, tokenizer, chat=True)
    naming = prompts.in_order(found)
    score = policy.scores(found, naming)
    text = prompts.natural_texts(found, naming)[0]
    said = tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
    )
    for o, name in enumerate(prompts.option_names(naming, 0)):
        head, tail = (tokenizer(t, add_special_tokens=False)["input_ids"] for t in (said, name))
        with torch.no_grad():
            logps = model(torch.tensor([head + tail])).logits[0].log_softmax(dim=-1)
        alone = sum(float(logps[len(head) - 1 + j, t]) for j, t in enumerate(tail))
        assert score[0, o] == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize("changes", [{}, {"loss": "hard"}, {"method": "grpo"}])
def test_the_checkpoint_says_how_it_was_asked(chatty, tmp_path, found, changes):
    """Marker and card name the template; the policy asks as the training did."""
    run = pretrained.train(tiny(chatty, **changes), tmp_path / "run", seed=0)
    marker = json.loads((run / "checkpoint" / "mecopt.json").read_text())
    first, last = marker["seeds"]["train"]
    assert marker["chat"] is True
    assert 10_000 <= first <= last
    card = (run / "checkpoint" / "README.md").read_text()
    assert "| chat template | the tokenizer's, around every prompt |" in card
    assert "training seed 0" in card
    policy = pretrained_policy.load(run)
    assert policy.frame == Frame("<end><user>\n", "\n<assistant>\n")
    assert policy.decide(found).shape == (3,)


def test_the_template_can_be_left_out(chatty, tmp_path):
    run = pretrained.train(tiny(chatty, chat=False), tmp_path / "run", seed=0)
    assert pretrained_policy.load(run).frame == Frame()
    assert "| chat template | none |" in (run / "checkpoint" / "README.md").read_text()


def test_labels_stand_after_the_lines_of_options_not_of_the_template(chatty):
    """Three options after one line of question: labels at two line ends, the answer and the end."""
    _, tokenizer = pretrained_models.load(str(chatty))
    text, after = "5 local\n3 A\n9 drop\nAnswer:", "\n<assistant>\n"
    row = labelled_row(
        tokenizer, "Choose.\n", text, ["local", "A", "drop"], [0, 1, 2], np.array([5.0, 3.0, 9.0]),
        temperature_slots=0.01, lines_weight=1.0, after=after,
    )  # fmt: skip
    words = tokenizer.convert_ids_to_tokens(row["input_ids"])
    begin = len(tokenizer("Choose.\n")["input_ids"])
    ends = [begin + text.index(line) + len(line) for line in ("3 A", "9 drop")]
    answer = begin + len(text + after) - 1
    assert sorted(set(row["place"])) == [*ends, answer, answer + 1]
    assert words[answer + 1] == "A"


# ------------------------------------------------------------------------------------- evaluation
@pytest.mark.parametrize(
    ("changes", "figure"),
    [({}, "eval_loss"), ({"loss": "hard"}, "eval_loss"), ({"method": "grpo"}, "eval_reward")],
)
def test_evaluation_on_tuning_states_is_in_the_progress(folder, tmp_path, changes, figure):
    run = pretrained.train(tiny(folder, evaluate_every=1, **changes), tmp_path / "run", seed=0)
    _, _, progress = training_run.read(run)
    assert progress[figure].notna().sum() == 2  # after each of two updates


# -------------------------------------------------------------------------------------- own code
MODULE = """
from transformers import TrainerCallback

steps = []

def length(completions, options, cost, **columns):
    return [float(len(text)) for text in completions]

class Count(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        steps.append(state.global_step)
"""


def test_own_rewards_and_callbacks_by_name(folder, tmp_path, monkeypatch):
    """From a module in the present folder; the reward of a text is its length."""
    (tmp_path / "my_offloading.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    settings = tiny(
        folder, method="grpo", learning_rate=1e-3, reward_functions=("my_offloading:length",),
        callbacks=("my_offloading:Count",),
    )  # fmt: skip
    run = pretrained.train(settings, tmp_path / "run", seed=0)
    import my_offloading

    assert my_offloading.steps == [1, 2]
    _, _, progress = training_run.read(run)
    assert progress["reward"].min() > 0  # costs would be negative
    assert "| reward | my_offloading:length |" in (run / "checkpoint" / "README.md").read_text()


def test_own_rewards_and_callbacks_as_objects(folder, tmp_path):
    from transformers import TrainerCallback

    class Seen(TrainerCallback):
        steps = 0

        def on_step_end(self, *args, **kwargs):
            self.steps += 1

    seen, asked = Seen(), []

    def reward(completions, **columns):
        asked.append(sorted(set(columns) & {"options", "cost"}))
        return [0.0] * len(completions)

    settings = tiny(folder, method="grpo")
    pretrained.train(
        settings, tmp_path / "run", seed=0, callbacks=[seen], reward_functions=[reward]
    )
    assert seen.steps == 2
    assert asked[0] == ["cost", "options"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("json", "'json' is not MODULE:NAME"),
        ("no_such_module:f", "No module named 'no_such_module'"),
        ("json:no_such", "module 'json' has no 'no_such'"),
        ("json:__name__", "cannot be called"),
    ],
)
def test_own_code_that_is_not_there_is_one_line(name, message):
    with pytest.raises(ValueError, match=f"callbacks: .*{message}|callbacks: {message}"):
        own_code.load("callbacks", name)


# ------------------------------------------------------------------------------ models of all sorts
def test_a_relative_path_is_kept_absolute(folder, tmp_path, monkeypatch):
    """So that the checkpoint loads from any folder."""
    monkeypatch.chdir(folder.parent)
    run = pretrained.train(tiny(Path(folder.name)), tmp_path / "run", seed=0)
    monkeypatch.chdir(tmp_path)
    assert pretrained_policy.load(run).model is not None
    assert pretrained_models.stored("smollm2-135m") == "smollm2-135m"
    assert pretrained_models.stored("someone/some-model") == "someone/some-model"


def without(folder: Path, target: Path, **tokens: object) -> Path:
    """A copy of the model whose tokenizer has other special tokens."""
    shutil.copytree(folder, target)
    said = json.loads((target / "tokenizer_config.json").read_text())
    (target / "tokenizer_config.json").write_text(json.dumps({**said, **tokens}))
    return target


def test_tokenizers_without_an_end_are_refused(folder, tmp_path):
    """Neither end nor padding: not loaded. Padding alone: it can score, and not be trained."""
    neither = without(folder, tmp_path / "neither", eos_token=None, pad_token=None)
    with pytest.raises(ValueError, match="neither a padding token nor an end of text"):
        pretrained_models.load(str(neither))
    padded = without(folder, tmp_path / "padded", eos_token=None, pad_token="<end>")
    with pytest.raises(ValueError, match=r"names no end of text.*set eos_token"):
        pretrained.train(tiny(padded), tmp_path / "run", seed=0)


def test_tokenizers_that_join_line_ends_are_refused():
    """Words are split at blanks: the end of a line belongs to the next word."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {word: i for i, word in enumerate(["<end>", "local", "drop"])}
    inner = Tokenizer(models.WordLevel(words, unk_token="<end>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>")
    with pytest.raises(ValueError, match=r"reads a line end together.*use loss = hard"):
        labelled_row(
            tokenizer, "Choose.\n", "local\ndrop\nAnswer:", ["local", "drop"], [0, 1],
            np.array([1.0, 2.0]), temperature_slots=0.1, lines_weight=1.0,
        )  # fmt: skip
