"""Write docs/learning_measured.md and results/learning.json from the parts in results/learning.

python -m benchmarks.learning.page
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import RESULTS, exists, read, records, write
from benchmarks.learning import aims as learning_aims
from benchmarks.learning.aims import GAPS as AIMS
from benchmarks.learning.aims import TRAINED_ON
from benchmarks.learning.evaluate import (
    EPISODE_SEEDS,
    EPISODES,
    MORE_SEEDS,
    SAMPLED,
    STATES,
    UNCHANGED,
)
from benchmarks.learning.train import PARTS
from benchmarks.page import table
from learning.offloading.zoo import NAMES
from mecopt.statistics import bootstrap_interval, paired_difference

INTRO = """# Learning, measured

Every figure comes from `benchmarks/learning/train.py` (test seeds 0:1000, training seeds from
10000 on) and stands in `benchmarks/results/learning/`; `python -m benchmarks.learning.page` writes
this page. Trained policies are means over up to {seeds} training seeds ("Time" says how many; "-"
is the shipped checkpoint as it is); in brackets the lowest and the highest, or, where it says so,
95 % bootstrap intervals over episodes. Two cores ({cpu}), one thread a process, other work beside
it. What the words mean: [learning.md](learning.md).
"""


#: What `benchmarks.learning.smollm` wrote: fewer states and episodes than the others.
PRETRAINED = f"{PARTS}/smollm2"


class Measured:
    """Results of one policy over its training seeds (one result for rules)."""

    def __init__(self, name: str, results: list[dict[str, Any]]) -> None:
        self.name, self.results = name, results

    def state(self, key: str, preset: str = "paper", servers: int = 6, size: Any = None) -> Any:
        """A figure of independent states, per seed; empty where it was not measured."""
        return [
            row[key]
            for result in self.results
            for row in result["states"]
            if (row["preset"], row["servers"], row["size_mbit"]) == (preset, servers, size)
        ]

    def gaps(self, preset: str, servers: int = 6, key: str = "gap") -> np.ndarray:
        """(seeds, episodes) of one column of the episodes."""
        return np.array(
            [episodes(result, preset, servers)[key].to_numpy() for result in self.results]
        )

    def moved(self, perturbation: str) -> dict[str, list[float]]:
        """Changes under a perturbation, per seed: mean cost in slots, gap in points."""
        cost, gap = [], []
        own = self.state("mean_cost_slots"), self.gaps("paper").mean(axis=1)
        for result, plain, plain_gap in zip(self.results, *own, strict=True):
            for row in result["perturbed"]:
                if row["perturbation"] == perturbation:
                    cost.append(row["mean_cost_slots"] - plain)
                    changed = episodes(result, "paper", 6, perturbation)["gap"].mean()
                    gap.append(100 * (changed - plain_gap))
        return {"cost_slots": cost, "gap_points": gap}


def part(name: str) -> dict[str, Any]:
    """A part of results/learning by name, its records (one per episode) under ``"episodes"``."""
    return {**read(f"{PARTS}/{name}"), "episodes": records(f"{PARTS}/{name}")}


def episodes(
    result: dict[str, Any], preset: str, servers: int, perturbation: str = UNCHANGED
) -> pd.DataFrame:
    """The records of one setting within a part."""
    rows = result["episodes"]
    asked = {"preset": preset, "servers": servers, "perturbation": perturbation}
    return rows[np.logical_and.reduce([rows[name] == value for name, value in asked.items()])]


def load() -> dict[str, Measured]:
    """Every part that is there, trained policies first; the pretrained model stands apart."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted((RESULTS / PARTS).glob("*.json")):
        if f"{PARTS}/{path.stem}" == PRETRAINED:
            continue
        body = part(path.stem)
        found.setdefault(body["policy"], []).append(body)
    for name, results in found.items():  # the shipped checkpoint only where no seed was trained
        found[name] = [r for r in results if "training" in r] or results
    order = [*NAMES, *sorted(set(found) - set(NAMES))]
    return {name: Measured(name, found[name]) for name in order if name in found}


def spread(values: Iterable[float], digits: int = 2, scale: float = 1.0) -> str:
    """Mean and, with several seeds, lowest to highest."""
    x = [scale * v for v in values]
    if not x:
        return "-"
    text = f"{mean(x):.{digits}f}"
    return text if len(x) == 1 else f"{text} ({min(x):.{digits}f} to {max(x):.{digits}f})"


def interval(per_episode: np.ndarray, digits: int = 2) -> str:
    """Mean over seeds and episodes in %, with the 95 % interval over episodes."""
    if not per_episode.size:
        return "-"
    one = 100 * per_episode.mean(axis=0)
    low, high = bootstrap_interval(one)
    return f"{one.mean():.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def difference(one: np.ndarray, other: np.ndarray) -> str:
    """Paired difference of mean gaps in points, with its 95 % interval."""
    if not one.size or not other.size:
        return "-"
    centre, low, high = paired_difference(100 * one.mean(axis=0), 100 * other.mean(axis=0))
    return f"{centre:+.2f} ({low:+.2f} to {high:+.2f})"


# ---------------------------------------------------------------------------------------- sections
def states_section(all_: dict[str, Measured]) -> str:
    rows = [
        f"| `{m.name}` | {spread(m.state('pr'), 2, 100)} | {spread(m.state('agreement'), 1, 100)} "
        f"| {spread(m.state('drop_rate'), 2, 100)} | {spread(m.state('mean_cost_slots'), 3)} "
        f"| {spread(m.state('drop_rate', size=10.0), 2, 100)} "
        f"| {spread(m.state('parse_rate'), 1, 100)} |"
        for m in all_.values()
    ]
    head = (
        "| policy | PR, % | agrees, % | lost, % | cost, slots | 10-Mbit tasks lost, % | parsed, % |"
    )
    return (
        f"\n## Independent states\n\n{STATES} states of one-step-oracle trajectories, preset "
        "`paper`, 6 servers. A policy that looks\nahead is below 100 % on purpose.\n\n"
        + table(head, rows)
    )


def servers_section(all_: dict[str, Measured]) -> str:
    sizes = sorted({servers for preset, servers, size in SAMPLED if size is None})
    rows = []
    for m in all_.values():
        cells = [spread([mean(m.state("pr", servers=n))], 2, 100) if m.state("pr", servers=n)
                 else "-" for n in sizes]  # fmt: skip
        lost = max(max(m.state("drop_rate", servers=n), default=0.0) for n in sizes if n <= 11)
        named = [spread([mean(m.state("parse_rate", servers=n))], 1, 100)
                 if m.state("parse_rate", servers=n) else "-" for n in (11, 20)]  # fmt: skip
        cells += [f"{100 * lost:.2f}", *named]
        rows.append(f"| `{m.name}` | " + " | ".join(cells) + " |")
    head = (
        "| policy | "
        + " | ".join(map(str, sizes))
        + " | most lost (3..11), % | parsed with 11, % | with 20, % |"
    )
    return (
        "\n## Other numbers of servers, without training again\n\nPR in % on independent states, "
        "preset `paper`, mean over training seeds.\n\n" + table(head, rows)
    )


def gaps_section(all_: dict[str, Measured]) -> str:
    def row(m: Measured) -> str:
        aims = AIMS.get(m.name)
        aim = " / ".join(f"{a:g}" for a in aims) if aims else ""
        cells = " | ".join(interval(m.gaps(preset)) for preset in TRAINED_ON)
        return f"| `{m.name}` | {cells} | {aim} |"

    def unseen(m: Measured) -> str:
        cells = [
            interval(m.gaps(preset, servers))
            for preset, servers in EPISODES
            if (preset, servers) not in [(p, 6) for p in TRAINED_ON]
        ]
        return f"| `{m.name}` | " + " | ".join(cells) + " |"

    first = min(m.gaps("paper").mean() for m in all_.values())
    ordered = sorted(all_.values(), key=lambda m: sum(m.gaps(p).mean() for p in TRAINED_ON))
    return (
        f"\n## Whole episodes: gap to the certified bound, %\n\nSeeds {MORE_SEEDS.start}:"
        f"{MORE_SEEDS.stop}; 95 % intervals over episodes; the least on `paper` is "
        f"{100 * first:.2f} %.\n\n"
        + table(
            "| policy | paper | busy | large | aim |", map(row, ordered)
        )
        + "\nPresets and sizes of which no policy was trained by name (slow-servers and "
        "uneven-links lie within the ranges from which the language models draw further settings; "
        f"seeds {EPISODE_SEEDS.start}:{EPISODE_SEEDS.stop}):\n\n"
        + table(
            "| policy | slow-servers | uneven-links | paper, 3 servers | paper, 11 servers |",
            map(unseen, ordered),
        )
    )  # fmt: skip


def paired_section(all_: dict[str, Measured]) -> str:
    def row(m: Measured, other: Measured) -> str:
        cells = " | ".join(difference(m.gaps(p), other.gaps(p)) for p in TRAINED_ON)
        return f"| `{m.name}` - `{other.name}` | {cells} |"

    trained = [m for name, m in all_.items() if name in NAMES]
    pairs = [(m, all_["sft"]) for m in trained if m.name.startswith("grpo") and "sft" in all_]
    pairs += [(m, all_["priced"]) for m in trained if "priced" in all_]
    if not pairs:
        return ""
    return (
        "\n## Paired differences of the gap, points\n\nThe same episodes, means over training "
        "seeds; below zero the first is better.\n\n"
        + table("| pair | paper | busy | large |", (row(m, o) for m, o in pairs))
    )


def perturbed_section(all_: dict[str, Measured]) -> str:
    named = {
        row["perturbation"]: None
        for m in all_.values()
        for result in m.results
        for row in result["perturbed"]
    }
    if not named:
        return ""
    rows = []
    for m in all_.values():
        if not any(result["perturbed"] for result in m.results):
            continue
        cells = []
        for name in named:
            moved = m.moved(name)
            cost, gap = moved["cost_slots"], moved["gap_points"]
            cells.append(f"{mean(cost):+.4f} / {mean(gap):+.2f}" if cost else "-")
        rows.append(f"| `{m.name}` | " + " | ".join(cells) + " |")
    return (
        "\n## Perturbed prompts\n\nChange of the mean cost on independent states in slots / change "
        "of the gap on episodes in points (preset\n`paper`). The paper: below 0.01 slots.\n\n"
        + table("| policy | " + " | ".join(named) + " |", rows)
    )


def time_section(all_: dict[str, Measured]) -> str:
    rows = []
    for m in all_.values():
        seconds = [r["training"]["cpu_seconds"] for r in m.results if "training" in r]
        one = [r["decision"]["batch_1_ms"] for r in m.results]
        many = [r["decision"]["batch_64_ms"] for r in m.results if "batch_64_ms" in r["decision"]]
        rows.append(
            f"| `{m.name}` | {len(seconds) or '-'} | {spread(seconds, 0)} | {mean(one):.3f} "
            f"| {f'{mean(many):.4f}' if many else '-'} |"
        )
    return (
        "\n## Time\n\nCPU seconds of training (labels included; GRPO without its SFT start), CPU "
        "ms per decision on one\nthread with everything from the state to the answer.\n\n"
        + table(
            "| policy | training seeds | training, s | one at a time, ms | batches of 64, ms |",
            rows,
        )
    )


def pretrained_section(all_: dict[str, Measured]) -> str:
    if not exists(PRETRAINED):
        return ""
    body, played = read(PRETRAINED), records(PRETRAINED)
    settings, training = body["training"]["settings"], body["training"]
    named = (
        ("LoRA, answers generated", body["states"]),
        ("LoRA, options scored", body["scored_states"]),
        ("untrained, answers generated", body["untrained_states"]),
        ("untrained, options scored", body["untrained_scored_states"]),
    )
    rows = [
        f"| {text} | {row['preset']} | {row['states']} | {100 * row['parse_rate']:.1f} "
        f"| {100 * row['pr']:.2f} | {100 * row['agreement']:.1f} | {100 * row['drop_rate']:.1f} "
        f"| {row['mean_cost_slots']:.3f} |"
        for text, several in named
        for row in several
    ]
    head = "| model | preset | states | parsed, % | PR, % | agrees, % | lost, % | cost, slots |"
    gaps = [
        f"{preset} {100 * gap.mean():.2f} % ({len(gap)})"
        for preset in TRAINED_ON
        if len(gap := played["gap"][played["preset"] == preset])
    ]
    times = ", ".join(f"{v:.0f} ms ({k.removesuffix('_ms')})" for k, v in body["decision"].items())
    return (
        "\n## A pretrained model: SmolLM2-135M with LoRA on one CPU core "
        "(`benchmarks.learning.smollm`)\n\n"
        f"One training seed, {training['states']} states of one-step labels, rank "
        f"{settings['rank']}, {training['cpu_seconds'] / 60:.0f} CPU minutes. Answers are "
        "generated\ngreedily and read by the strict parser; with scored options every answer is "
        "valid by construction.\n\n"
        + table(head, rows)
        + f"\nGap to the bound on whole episodes (how many): {'; '.join(gaps)}. CPU time of a "
        f"decision: {times}.\n"
    )


def summary(all_: dict[str, Measured]) -> list[dict[str, Any]]:
    """The figures of the page as data, one row per policy."""
    return [
        {
            "policy": m.name,
            "training_seeds": len(m.results),
            "pr": mean(m.state("pr")),
            "drop_rate": mean(m.state("drop_rate")),
            "gap_percent": {
                f"{preset}, {servers}": 100 * float(m.gaps(preset, servers).mean())
                for preset, servers in EPISODES
            },
        }
        for m in all_.values()
    ]


def main() -> None:
    """Write the page."""
    all_ = load()
    if not all_:
        raise SystemExit(
            f"nothing in results/{PARTS}: run python -m benchmarks.learning.train first"
        )
    body = next(iter(all_.values())).results[0]
    seeds = max(len(m.results) for m in all_.values())
    page = INTRO.format(seeds=seeds, cpu=body["provenance"]["machine"]["processor"])
    for section in (
        learning_aims.section, states_section, gaps_section, paired_section, servers_section,
        perturbed_section, time_section, pretrained_section,
    ):  # fmt: skip
        page += section(all_)
    target = Path(__file__).parents[2] / "docs" / "learning_measured.md"
    target.write_text(page)
    print(target, write("learning", {"policies": summary(all_)}), sep="\n")


if __name__ == "__main__":
    main()
