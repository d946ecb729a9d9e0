"""The language prior of failing nodes: what it says, what it is worth alone, and what memory adds.

    python -m benchmarks.collaboration.language [--parts answers,paper,drift] [--seeds 0:8]

``answers``: strategies against those of the teacher on held-out seeds (cross-entropy; equal shares
and a rule prior beside it), usable answers, time. ``paper``: Reflexion on episodes as printed, with
and without its evaluator, drawn and greedy, and with other answers in place of the model's; model
time charged as measured and as that of Qwen3-4B on a small machine. ``drift``: three nodes whose
rates rise fourfold, untold; every rule's loss. Writes ``results/collaboration/language_PART.json``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.common import interval, write
from learning.collaboration import labels, prompts, strategists
from learning.collaboration.answers import Answers, uniform
from learning.collaboration.reflexion import Reflexion
from learning.collaboration.rule_model import RuleModel
from learning.collaboration.sight import Seen
from learning.collaboration.strategist import Strategist
from mecopt.bench.reading import parse_range
from mecopt.collaboration.charge import charged
from mecopt.collaboration.scenarios import ledrl
from mecopt.offloading.policies import by_name
from mecopt.offloading.replay import rollout
from mecopt.task_graphs.network import roofline

#: Episodes of the answers: tuning seeds, nothing was chosen by them.
HELD_OUT = (2000, 8)
TEMPERATURES = (0.1, 0.2, 0.5, 1.0)
#: Qwen3-4B on a machine of 20 TFLOPS and 0.2 TB/s (D): a prompt of four letters a token, and an
#: answer of ten tokens.
PARAMS, FLOP_PER_S, BYTES_PER_S, LETTERS_PER_TOKEN, ANSWER_TOKENS = 4e9, 20e12, 0.2e12, 4, 10
#: Three of ten nodes drift to four times the rate (D).
DRIFT: dict[str, Any] = {"drift_nodes": 3, "drift_factor": 4.0}
RULES = ("ratc", "earliest-start", "expected-success", "expected-lookahead")


class Uniform:
    """Equal shares in place of a model's answers."""

    name = "uniform"

    def answer(self, seen: Seen) -> Answers:
        n = len(seen)
        prior = uniform(seen.count, seen.up.shape[1])
        return Answers(prior, np.full(n, 0.5, dtype=np.float32), np.ones(n, dtype=bool))


def cross_entropy(strategy: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """(P,) nats."""
    return -(strategy * np.log(np.maximum(prior, 1e-9))).sum(axis=1)


def answers() -> tuple[dict[str, Any], pd.DataFrame]:
    """Strategies against the teacher's, and the time that they take."""
    held = labels.collect("paper", HELD_OUT[1], HELD_OUT[0], "tune")
    model: Any = strategists.model()
    model.answer(held.seen)  # warm
    begin = time.process_time()
    found = model.answer(held.seen)
    batched_s = (time.process_time() - begin) / len(held)
    alone = []
    for i in range(200):
        begin = time.process_time()
        model.answer(held.seen[np.array([i])])
        alone.append(time.process_time() - begin)
    said = {"model": found.prior, "uniform": uniform(held.seen.count, held.strategy.shape[1])}
    said |= {f"rule, temperature {t:g}": RuleModel(t).answer(held.seen).prior for t in TEMPERATURES}
    rows = pd.DataFrame({name: cross_entropy(held.strategy, p) for name, p in said.items()})
    rows["teacher"] = cross_entropy(held.strategy, held.strategy)
    risky = held.risky(float(np.median(held.bad)))
    ranks = pd.Series(found.risk).rank().to_numpy()
    pairs = risky.sum() * (~risky).sum()
    below = ranks[risky].sum() - risky.sum() * (risky.sum() + 1) / 2
    best = found.prior.argmax(axis=1)
    return {
        "rows": len(held),
        "cross_entropy_nats": rows.mean().to_dict(),
        "agreement_of_likeliest": float((best == held.strategy.argmax(axis=1)).mean()),
        "agreement_uniform": float((1 / held.seen.count).mean()),
        "risk_auc": float(below / pairs),
        "usable_answers": float(found.valid.mean()),
        "milliseconds_alone_p50": 1e3 * float(np.median(alone)),
        "milliseconds_alone_p99": 1e3 * float(np.quantile(alone, 0.99)),
        "prompts_per_second_batched": 1.0 / batched_s,
    }, rows


def qwen_seconds(x: Any) -> float:
    """Time of a question to Qwen3-4B, from the length of a prompt of an episode."""
    from learning.collaboration.sight import Moment, Sight

    sight = Sight.of(x)
    n, links = len(sight.network.nodes), len(sight.network.links)
    text = prompts.texts(sight.look(Moment(0.0, np.ones(n, bool), np.zeros(n), np.zeros(links))))
    letters = len(prompts.instructions()) + len(prompts.FORMAT) + float(np.mean([*map(len, text)]))
    per_prompt, per_answer = roofline(PARAMS, FLOP_PER_S, BYTES_PER_S)
    return letters / LETTERS_PER_TOKEN * per_prompt + ANSWER_TOKENS * per_answer


def reflexions() -> dict[str, Callable[[], Reflexion]]:
    """Variants of Reflexion by name."""

    def made(model: Any, **changes: Any) -> Callable[[], Reflexion]:
        return lambda: Reflexion(Strategist(model), **changes)

    model = strategists.model()
    return {
        "reflexion": made(model),
        "reflexion-no-evaluator": made(model, evaluator=False),
        "reflexion, greedy": made(model, temperature=0.0),
        "rule prior, temperature 0.2": made(RuleModel(0.2)),
        "uniform prior": made(Uniform()),
    }


def paper(seeds: range) -> tuple[dict[str, Any], pd.DataFrame]:
    """Reflexion on episodes as printed."""
    rows = []
    for name, make in reflexions().items():
        policy = make()
        for seed in seeds:
            x = ledrl.generate("paper", seed)
            before = (policy.strategist.counts.questions, policy.strategist.counts.hits)
            begin = time.process_time()
            done = rollout(x, policy)
            counts, qwen = policy.strategist.counts, qwen_seconds(x)
            rows.append(
                {
                    "policy": name,
                    "seed": seed,
                    "success": 1.0 - done.drop_rate,
                    "success_charged": charged(x, done.choice, policy.waited_s),
                    "success_charged_qwen": charged(x, done.choice, policy.delay_s(qwen)),
                    "qwen_seconds": qwen,
                    "questions": counts.questions - before[0],
                    "hits": counts.hits - before[1],
                    "waiting_decisions": float(np.mean(np.array(policy.waits) > 0)),
                    "cpu_seconds": time.process_time() - begin,
                    "tasks": x.n_tasks,
                }
            )
            print(rows[-1], flush=True)
    found = pd.DataFrame(rows)
    shares = ["success", "success_charged", "success_charged_qwen"]
    return {"policies": _means(found, shares)}, found


def drift(seeds: range) -> tuple[dict[str, Any], pd.DataFrame]:
    """What an untold drift costs every rule, and Reflexion with and without its evaluator."""
    named: dict[str, Callable[[], Any]] = {
        name: (lambda name=name: by_name.make(name, seed=0)) for name in RULES
    }
    with_model = reflexions()
    named |= {name: with_model[name] for name in strategists.NAMES}
    rows = []
    for seed in seeds:
        steady, drifting = ledrl.generate("paper", seed), ledrl.generate("paper", seed, **DRIFT)
        for name, make in named.items():
            policy = make()
            before, after = (1.0 - rollout(x, policy).drop_rate for x in (steady, drifting))
            rows.append(
                {
                    "policy": name,
                    "seed": seed,
                    "steady": before,
                    "drifting": after,
                    "loss": before - after,
                }
            )
        print(rows[-len(named) :], flush=True)
    found = pd.DataFrame(rows)
    return {"drift": DRIFT, "policies": _means(found, ["steady", "drifting", "loss"])}, found


def _means(rows: pd.DataFrame, columns: list[str]) -> dict[str, Any]:
    return {
        str(name): {c: [float(of[c].mean()), *interval(of[c])] for c in columns}
        for name, of in rows.groupby("policy", sort=False)
    }


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0:8")
    parser.add_argument("--parts", default="answers,paper,drift")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(*parse_range(asked.seeds, "seeds"))
    for part in asked.parts.split(","):
        summary, rows = {
            "answers": answers,
            "paper": lambda: paper(seeds),
            "drift": lambda: drift(seeds),
        }[part]()
        summary = {"part": part, "seeds": [seeds.start, seeds.stop], **summary}
        print(write(f"collaboration/language_{part}", summary, rows), flush=True)


if __name__ == "__main__":
    main()
