"""Figures printed in papers, kept as data with tags, to stand beside our own.

Tags: P printed in the paper, N from a neighbouring paper or sister code, D our decision.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedRow:
    """One row of a published table.

    Parameters
    ----------
    method : str
        Name in the paper.
    cost_slots : float
        Mean cost per task in slots (the paper calls it latency).
    drop_percent, pr_percent, lbi_percent : float or None
        Late or dropped tasks, performance ratio and load-balance index; None where not printed.
    ours : str or None
        The mecopt policy that plays this role; None when there is none. A model of 0.12 million
        parameters stands in for language models of 1.5 and 7 billion.
    tag : str
        Where the figure comes from.
    """

    method: str
    cost_slots: float
    drop_percent: float | None
    pr_percent: float | None
    lbi_percent: float | None
    ours: str | None
    tag: str = "P"


#: Yang, Cheng, Zhang, arXiv 2604.07148, Table II: 6 servers, 1000 independent states. The oracle
#: row is not printed; PR x latency gives 2.978 slots on every other row.
COMLLM_TABLE_II = (
    PublishedRow(
        "Oracle (implied by the PR column)",
        2.978,
        None,
        100.0,
        None,
        "one-step-oracle",
        "P, derived",
    ),
    PublishedRow("COMLLM", 3.0745, 0.00, 96.86, 73.87, "grpo"),
    PublishedRow("GRPO-7B (lambda 0)", 3.1197, 0.00, 95.46, 71.20, "grpo-lambda0"),
    PublishedRow("DQN", 3.3966, 4.35, 87.68, 65.64, "dqn"),
    PublishedRow("SFT-7B", 4.0989, 0.33, 72.65, 42.60, "sft"),
    PublishedRow("SFT-1.5B", 4.7441, 2.94, 62.77, 46.82, "sft"),
    PublishedRow("Random", 4.5658, 0.65, 65.22, 63.42, "random"),
)

#: What a reader must know before comparing with whole episodes.
COMLLM_TABLE_II_NOTES = (
    "The paper scores independent states; ours are whole episodes, in which a policy meets the "
    "queues that it made itself. This alone moves Random a great deal.",
    "The paper calls the slot figures milliseconds in places; one slot is 100 ms.",
    "LBI is not defined in what is public of the paper, so it is not compared; our two fairness "
    "indices are in the scorecard.",
    "Parameters behind our column: arrivals, task size, density, server CPU, deadline and slot are "
    "printed (P); device CPU and drop cost come from the authors' neighbouring work (N); the width "
    "of the uplink range is our decision (D).",
)


@dataclass(frozen=True)
class PublishedClaim:
    """One figure of a published table, or of the text around it.

    Parameters
    ----------
    method : str
        Name in the paper.
    quantity : str
        What is claimed, with its unit.
    value : float
        The figure.
    relation : str
        ``"="``, or ``">"`` and ``"<"`` where the text gives a limit only.
    ours : str
        The mecopt policy that plays this role.
    tag : str
        Where the figure comes from.
    """

    method: str
    quantity: str
    value: float
    relation: str
    ours: str
    tag: str = "P"


#: arXiv 2604.07148, Table III: tasks of 10 Mbit, share of tasks late or dropped. Whether the other
#: tasks of the network have 10 Mbit as well is not said (`learning.offloading.evaluation.tables`).
COMLLM_TABLE_III = (
    PublishedClaim("COMLLM", "drop_percent", 2.78, "=", "grpo"),
    PublishedClaim("GRPO-7B (lambda 0)", "drop_percent", 4.31, "=", "grpo-lambda0"),
    PublishedClaim("SFT-1.5B", "drop_percent", 30.81, "=", "sft"),
    PublishedClaim("SFT-7B", "drop_percent", 55.02, "=", "sft"),
)

#: arXiv 2604.07148, Table IV: 3 to 11 servers without training again. Only these limits are public.
COMLLM_TABLE_IV = (
    PublishedClaim("COMLLM", "pr_percent", 93.0, ">", "grpo"),
    PublishedClaim("COMLLM", "drop_percent", 0.0, "=", "grpo"),
)
COMLLM_TABLE_IV_SERVERS = tuple(range(3, 12))

#: arXiv 2604.07148, Table VI: shuffled servers, noise, changed units. Only this limit is public.
COMLLM_TABLE_VI = (PublishedClaim("COMLLM", "change_slots", 0.01, "<", "grpo"),)
