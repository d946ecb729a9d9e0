"""What a checkpoint needs to decide, and that names in tables, pyproject.toml and modules agree."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

pytest.importorskip("torch")

from learning import recipes, zoo
from learning.caching import zoo as caching
from learning.collaboration import strategists
from learning.collaboration import zoo as agents
from learning.offloading import zoo as offloading
from learning.task_graphs import zoo as distilled
from mecopt.collaboration.policies import by_name as failing
from mecopt.task_graphs.policies import by_name as graph_rules

ROOT = Path(__file__).parents[2]
#: What only training needs.
TRAINERS = ("trl", "peft", "datasets", "stable_baselines3", "sb3_contrib", "gymnasium")

#: Loads every shipped checkpoint and decides with it, with the packages of training blocked.
DECIDE = f"""
import sys
sys.modules.update(dict.fromkeys({TRAINERS}))
from learning.caching import zoo as caching
from learning.collaboration import strategists
from learning.offloading import zoo as offloading
from learning.task_graphs import zoo as task_graphs
from mecopt.caching.rollout import rollout as cached
from mecopt.caching.scenarios import t2drl
from mecopt.collaboration.scenarios import ledrl
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm

episode = comllm.generate("paper", 0, users=3, slots=4)
for name in offloading.NAMES:
    schedule = rollout(episode, offloading.load(name))
    print(name, schedule.mean_cost_s)
for preset in ("ten", "sticky"):
    episode = t2drl.generate(preset, 0, servers=1, slots=4)
    for name in caching.NAMES:
        print(preset, name, cached(episode, getattr(caching, name)()).x.sum())
print("planner", task_graphs.planner().write(["law ; 1 write long hard"]).texts)
episode = ledrl.generate("paper", 0, nodes=4, slots=4)
for name in strategists.NAMES:
    print(name, rollout(episode, getattr(strategists, name.replace("-", "_"))()).drop_rate)
"""

#: Loads a pretrained model with its adapter, as an outside checkpoint would be.
DECIDE_PRETRAINED = f"""
import sys
sys.modules.update(dict.fromkeys({TRAINERS}))
from learning.offloading import zoo
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm

print(rollout(comllm.generate("paper", 0, users=1, slots=3), zoo.load("own", sys.argv[1])).choice)
"""


def run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_shipped_checkpoint_decides_without_its_trainer():
    """torch, transformers and safetensors are enough; a trainer's package may be missing."""
    lines = run(DECIDE).splitlines()
    own = len(offloading.NAMES) + 2 * len(caching.NAMES)
    assert len(lines) == own + 1 + len(strategists.NAMES)


def test_a_lora_adapter_decides_without_peft(byte_model, tmp_path):
    """The adapter is added to the base model's weights by hand: W + (alpha / r) B A."""
    import torch
    from safetensors.torch import save_file
    from transformers import LlamaConfig, LlamaForCausalLM

    from learning.language import pretrained_models
    from learning.runs.folder import describe_checkpoint

    base, folder = byte_model, tmp_path / "adapter"
    folder.mkdir()
    place = "model.layers.0.self_attn.q_proj"
    down, up = torch.randn(2, 16), torch.randn(16, 2)
    named = {f"base_model.model.{place}.lora_{n}.weight": w for n, w in (("A", down), ("B", up))}
    save_file(named, folder / "adapter_model.safetensors")
    config = folder / "adapter_config.json"
    config.write_text('{"peft_type": "LORA", "r": 2, "lora_alpha": 4}')
    _, tokenizer = pretrained_models.load(str(base))
    tokenizer.save_pretrained(folder)
    describe_checkpoint(folder, "pretrained", base=str(base), dtype="float32")
    assert run(DECIDE_PRETRAINED, str(folder)).startswith("[")

    model, _ = pretrained_models.load(str(base))
    before = model.get_submodule(place).weight.detach().clone()
    pretrained_models.merge_adapter(model, folder)
    assert torch.allclose(model.get_submodule(place).weight, before + 2.0 * up @ down, atol=1e-6)

    other = LlamaForCausalLM(LlamaConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1,
                                         intermediate_size=8, num_attention_heads=1))  # fmt: skip
    with pytest.raises(ValueError, match="adapter does not fit the model"):
        pretrained_models.merge_adapter(other, folder)
    config.write_text('{"peft_type": "LORA", "r": 2, "lora_alpha": 4, "use_dora": true}')
    with pytest.raises(ValueError, match=r"adapter is no plain LoRA \(use_dora\)"):
        pretrained_models.merge_adapter(model, folder)


def test_tables_name_modules_that_exist():
    """A module is named as text, so that nothing is imported before it is asked for."""
    for kinds in zoo.KINDS.values():
        for module in kinds.values():
            assert callable(importlib.import_module(module).load)
    pytest.importorskip("gymnasium")
    for name, trainer in recipes.MODULES.items():
        module = importlib.import_module(trainer.module)
        assert callable(module.train)
        assert name in getattr(module, "RECIPES", {name: None})


#: Rules for snapshots of queries as online rules.
SNAPSHOT_RULES = ("goa", "goa-local-search", "delay-greedy")
#: Rules for task graphs, alone and with every planner.
GRAPH_RULES = (*graph_rules.NAMES, *distilled.NAMES)


def test_entry_points_of_the_project_are_the_names_of_the_tables():
    """pyproject.toml declares every trained policy, teacher and rule, and each entry loads."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {
        "mecopt.policies": {
            *(*offloading.NAMES, *offloading.TEACHERS, "checkpoint"),
            *(*SNAPSHOT_RULES, *GRAPH_RULES, *failing.RULES, *agents.NAMES),
            *strategists.NAMES,
        },
        "mecopt.caching_policies": {*caching.NAMES, "checkpoint", "pair-values"},
    }
    for group, names in declared.items():
        points = project["entry-points"][group]
        assert set(points) == names
        for name, value in points.items():
            assert callable(EntryPoint(name, value, group).load())
    with pytest.raises(AttributeError, match="no attribute 'no_such_policy'"):
        EntryPoint("x", "learning.offloading.zoo:no_such_policy", "mecopt.policies").load()


def test_shipped_checkpoints_are_those_that_are_named():
    """Every trained name comes with a checkpoint, and no checkpoint is left without a name."""
    others = {"offloading": set(), "collaboration": {"prior"}}  # a language model is no policy
    for family, names in (("offloading", offloading), ("collaboration", agents)):
        for name in names.NAMES:
            assert names.shipped(name) is not None
        folders = (ROOT / "learning" / family / "checkpoints").iterdir()
        assert {folder.name for folder in folders if folder.is_dir()} == {
            *names.NAMES,
            *others[family],
        }
        assert names.shipped("no-such-name") is None


def test_a_trained_policy_says_which_seeds_it_has_seen(tmp_path):
    """What its marker says; the ranges of tuning and training of a marker that says nothing."""
    import shutil

    from learning.offloading import zoo as offloading

    shipped = offloading.shipped("equivariant")
    seen = offloading.load("equivariant").seen_seeds
    assert seen == {"tune": (1_000, 9_999), "train": (10_000, 2**31 - 1)}
    folder = tmp_path / "own"
    shutil.copytree(shipped, folder)
    marker = folder / "mecopt.json"
    plain = json.loads(marker.read_text())
    marker.write_text(json.dumps({**plain, "seeds": {"train": [10_000, 10_007]}}))
    assert offloading.load("own", folder).seen_seeds == {"train": (10_000, 10_007)}
    marker.write_text(json.dumps({**plain, "seeds": 3}))
    with pytest.raises(ValueError, match="seeds = 3, expected first and last"):
        offloading.load("worse", folder)
