"""Whether a call of the look-ahead pays: gap, turns, parse rate and decision time.

    python -m benchmarks.learning.tool_calls

Trains what is missing below ``runs/learning/tool-calls`` (about two minutes of CPU time per
price), then plays the test episodes. Compared are the checkpoint that training starts
from, the same training with a price that no call is worth (one turn), a call without a price,
the look-ahead rule over all options and over the two and three of least believed cost, and a rule
without training or grammar: roll out the two likeliest options of the start, and take the cheaper.
Decision times are CPU time of one thread per decision, from the observation to the choice; the
futures that a rollout plays are drawn before an episode begins and are not counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from time import thread_time
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.common import interval, write
from benchmarks.learning import evaluate
from learning.offloading import zoo
from learning.offloading.policies import tool_calls as policies
from learning.offloading.policies.language import LanguagePolicy
from learning.offloading.policies.tool_calls import OptionLookahead
from learning.offloading.prompts import forms_compact_natural as prompts
from learning.offloading.states import decision_states as states
from learning.offloading.training import tool_calls
from learning.offloading.training.tool_calls import Settings
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation, OnlineSystem
from mecopt.offloading.policies.lookahead import Lookahead
from mecopt.offloading.policies.protocol import Policy
from mecopt.offloading.replay import replay
from mecopt.offloading.scenarios import comllm
from mecopt.statistics import paired_difference

RUNS = Path("runs/learning/tool-calls")
PRESETS = ("paper", "busy", "slow-servers")
#: Test episodes whose bounds are known (`benchmarks.learning.evaluate`).
SEEDS = evaluate.EPISODE_SEEDS[:8]
#: Price of a call in slots, by name; no call is worth the last.
PRICES = {"calls": 0.0, "one turn": 10.0}
ONE_TURN = "one turn"
#: Of every price; less than the recipe's own.
TRAINING = Settings(states=4_000, warm_steps=1_200, states_per_step=32, steps=60)


def trained(price_slots: float, seed: int = 0) -> Path:
    """Training folder of a price; trained unless it is there."""
    folder = RUNS / f"price-{price_slots:g}-seed-{seed}"
    settings = replace(TRAINING, price_slots=price_slots)
    return tool_calls.train(settings, folder, seed=seed, resume=True)


@dataclass
class Checked:
    """A one-turn model's two likeliest options rolled out; the cheaper one is taken."""

    model: LanguagePolicy
    name: str = "favourites rolled out"

    def reset(self, instance: OffloadingInstance) -> None:
        self._tool = OptionLookahead()
        self._tool.reset(instance)

    def act(self, observation: Observation) -> int:
        state = states.of(observation)
        score = self.model.scores(state, prompts.in_order(state))[0]
        second, first = (int(o) for o in np.argsort(score)[-2:])
        difference = self._tool.difference_slots(observation, second, first)
        return states.to_choice(second if difference < 0 else first, state.n_servers)


def compared() -> dict[str, Policy]:
    """Every policy by its name in the table."""
    start = zoo.load("sft-lookahead")
    assert isinstance(start, LanguagePolicy)
    language = {}
    for name, price in PRICES.items():
        folder = trained(price)
        language[name] = policies.load(folder)
        if price == 0:
            language[f"{name}, SFT alone"] = warm = policies.load(folder / "warm")
            free = replace(warm, constrained=True)
            language[f"{name}, SFT alone, constrained"] = free
    return {
        "sft-lookahead": start,
        **language,
        Checked.name: Checked(start),
        "lookahead, 2 options": Lookahead(candidates=2),
        "lookahead, 3 options": Lookahead(candidates=3),
        "lookahead": Lookahead(),
    }


def played(instance: OffloadingInstance, policy: Policy) -> dict[str, float]:
    """One episode: cost in s, CPU ms per decision, mean turns and share of valid answers."""
    policy.reset(instance)
    system = OnlineSystem(instance)
    choice = np.full(instance.n_tasks, -1, dtype=np.int64)
    seconds = 0.0
    for k in range(instance.n_tasks):
        system.advance(k)
        begin = thread_time()
        choice[k] = policy.act(system.observe(k))
        seconds += thread_time() - begin
        system.commit(k, int(choice[k]))
    return {
        "cost_s": replay(instance, choice).objective,
        "decision_ms": 1e3 * seconds / instance.n_tasks,
        "turns": getattr(policy, "turns", 1.0),
        "parse_rate": getattr(policy, "parse_rate", 1.0),
    }


def measure() -> pd.DataFrame:
    """One row per policy and episode."""
    bounds, rows = evaluate.known_bounds(), []
    chosen = compared()
    for policy in chosen.values():  # compiled before anything is timed
        played(comllm.generate("paper", SEEDS[0], slots=5), policy)
    for preset in PRESETS:
        for seed in SEEDS:
            x = comllm.generate(preset, seed)
            bound = bounds[x.content_hash]["bound_s"]
            for name, policy in chosen.items():
                found = played(x, policy)
                rows.append({"policy": name, "preset": preset, "seed": seed, **found})
                rows[-1]["gap"] = found["cost_s"] / bound - 1
        print(f"{preset}: played", flush=True)
    return pd.DataFrame(rows)


def table(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Means per policy and preset, with intervals, and paired with the two policies of one turn."""
    gap = frame.pivot(index=["preset", "seed"], columns="policy", values="gap")
    out = []
    for (preset, name), part in frame.groupby(["preset", "policy"], sort=False):
        of = gap.loc[preset]
        out.append(
            {
                "preset": preset,
                "policy": name,
                "gap": part["gap"].mean(),
                "gap_interval": interval(part["gap"]),
                "less_start": paired_difference(of[name], of["sft-lookahead"]),
                "less_one_turn": paired_difference(of[name], of[ONE_TURN]),
                "turns": part["turns"].mean(),
                "parse_rate": part["parse_rate"].mean(),
                "decision_ms": part["decision_ms"].median(),
            }
        )
    return out


def main() -> None:
    """Measure and write results/learning_tool_calls.json."""
    torch.set_num_threads(1)
    frame = measure()
    rows = table(frame)
    print(pd.DataFrame(rows).to_string())
    summary = {"episodes": len(SEEDS), "training_seeds": 1, "prices_slots": PRICES, "rows": rows}
    print(write("learning_tool_calls", summary, records=frame))


if __name__ == "__main__":
    main()
