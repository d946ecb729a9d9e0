"""Write the figures of the shipped checkpoints into their model cards, from results/learning.

    python -m benchmarks.learning.cards

A card is words, then the heading ``## Figures`` and what this script writes below it. The figures
are those of the very weights: a result with another digest than the shipped checkpoint is refused.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.common import exists
from benchmarks.learning.evaluate import EPISODE_SEEDS, EPISODES, MORE_SEEDS, STATES
from benchmarks.learning.page import Measured, difference, interval, part
from benchmarks.learning.train import PARTS
from benchmarks.page import table
from learning.offloading import zoo
from learning.runs.folder import digest

HEADING = "## Figures"
#: The training seed that is shipped, not chosen by its figures.
SEED = 0


def figures(name: str) -> str:
    """What stands below the heading.

    Raises
    ------
    ValueError
        If the result is of other weights.
    """
    folder = zoo.shipped(name)
    trained = exists(f"{PARTS}/{name}-{SEED}")
    body = part(f"{name}-{SEED}" if trained else name)
    if folder is None or body["checkpoint_sha256"] != digest(folder):
        raise ValueError(f"{name}: results are of other weights than the shipped checkpoint")
    mine = Measured(name, [body])
    start = Measured("sft", [part(f"sft-{SEED}")]) if name.startswith("grpo") else None
    rules = [Measured(rule, [part(rule)]) for rule in ("one-step-oracle", "priced")]
    columns = [m for m in (start, *rules) if m is not None]
    head = "| episodes | gap, % |" + "".join(f" minus that of `{m.name}` |" for m in columns)
    rows = [
        f"| {preset}, {servers} servers | {interval(mine.gaps(preset, servers))} |"
        + "".join(
            f" {difference(mine.gaps(preset, servers), m.gaps(preset, servers))} |" for m in columns
        )
        for preset, servers in EPISODES
    ]
    pr = {n: 100 * mine.state("pr", servers=n)[0] for n in (3, 6, 11, 20, 30)}
    parsed = {n: 100 * mine.state("parse_rate", servers=n)[0] for n in (6, 11, 20)}
    lost, large = mine.state("drop_rate")[0], mine.state("drop_rate", size=10.0)[0]
    decision = body["decision"]
    took = (
        f"Training took {body['training']['cpu_seconds']:.0f} CPU seconds (labels included; GRPO "
        "without its start).\n"
        if trained
        else ""
    )
    return (
        took + "Gap to the certified bound on whole episodes (test seeds "
        f"{MORE_SEEDS.start}:{MORE_SEEDS.stop} of the first three rows, "
        f"{EPISODE_SEEDS.start}:{EPISODE_SEEDS.stop} of the others), with 95 % bootstrap intervals "
        "over episodes; differences in points, paired:\n\n"
        + table(head, rows)
        + f"\n{STATES} independent states of `paper`: PR {pr[6]:.2f} %, {100 * lost:.2f} % lost; "
        f"with 3 / 11 / 20 / 30 servers PR {pr[3]:.2f} / {pr[11]:.2f} / {pr[20]:.2f} / "
        f"{pr[30]:.2f} %;\nof tasks of 10 Mbit {100 * large:.1f} % are lost (one-step oracle: "
        f"{100 * rules[0].state('drop_rate', size=10.0)[0]:.1f} %). A decision takes "
        f"{decision['batch_1_ms']:.2f} ms of one CPU,\n{decision['batch_64_ms']:.3f} ms in batches "
        "of 64.\nAnswers that name a valid option, with 6 / 11 / 20 servers: "
        f"{parsed[6]:.1f} / {parsed[11]:.1f} / {parsed[20]:.1f} %.\n" + repeated(name)
    )


def repeated(name: str) -> str:
    """What other training seeds give, where they were tried: the spread that is to be expected."""
    seeds = [seed for seed in range(10) if exists(f"{PARTS}/{name}-{seed}")]
    if len(seeds) < 2:
        return "One training seed was tried; the spread over others is not known.\n"
    gaps = Measured(name, [part(f"{name}-{seed}") for seed in seeds])
    said = []
    for preset in ("paper", "busy", "large"):
        each = 100 * gaps.gaps(preset).mean(axis=1)
        of_seed = " / ".join(f"{gap:.2f}" for gap in each)
        said.append(f"{preset} {of_seed} (mean {each.mean():.2f}, sd {each.std(ddof=1):.2f})")
    return (
        f"\nThe same training with seeds {', '.join(map(str, seeds))}, gap in %: "
        f"{'; '.join(said)}. Seed {SEED} is shipped whatever its figures. An equal seed gives "
        "other weights on\nanother kind of processor (docs/learning_large_models.md, Equal "
        "weights): expect figures within this spread there, not those of the table.\n"
    )


def main() -> None:
    """Rewrite every card."""
    for name in zoo.NAMES:
        card = Path(zoo.__file__).parent / "checkpoints" / name / "README.md"
        words = card.read_text().partition(HEADING)[0].rstrip()
        card.write_text(f"{words}\n\n{HEADING}\n\n{figures(name)}")
        print(card)


if __name__ == "__main__":
    main()
