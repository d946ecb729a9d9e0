"""The tables of COMLLM (arXiv 2604.07148) as paper / ours / difference, and beside them gaps.

Every table is made twice: on independent states, as in the paper
(`learning.offloading.evaluation.independent_states`), and on whole episodes against proven bounds
(`mecopt.bench.run`), which the paper does not have.

* II: 6 servers. States and episodes of the preset.
* III: 10-Mbit tasks. States whose task has 10 Mbit, the network around it as usual (D: with every
  task that large, no rule drops less than 90 %); episodes with sizes U[2, 10] Mbit (P, the stress
  range).
* IV: 3 to 11 servers without training again. States and episodes of each size; states of 20 and 30.
* V: fairness. Jain's indices of backlog and of tasks; the paper's LBI is not defined in public.
* VI: perturbed prompts (`learning.offloading.prompts.perturbations`). States and episodes.

What the paper prints is in `mecopt.offloading.published`; what is not public has no figure there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from learning.offloading.evaluation.figures import (
    Request,
    episode_figures,
    load,
    perturbed_episodes,
    perturbed_states,
    state_figures,
)
from learning.offloading.prompts import perturbations
from mecopt.bench.paper_tables import comllm
from mecopt.bench.paper_tables.table import Figure, Table
from mecopt.offloading import published

PAPER = "arXiv 2604.07148"
BEYOND_SERVERS = (20, 30)
STRESS_TASK_MBIT, STRESS_RANGE_MBIT = 10.0, (2.0, 10.0)

#: Said under every table.
COMMON_NOTES = (
    "SFT and GRPO of ours are one model of 0.12 million parameters, trained in CPU minutes; the "
    "paper's are Qwen models of 1.5 and 7 billion.",
    "On states the one-step oracle cannot be beaten; on episodes it can: what looks ahead is worse "
    "in the first column and better in the second.",
)


def make(name: str, request: Request) -> Table:
    """Make a table.

    Raises
    ------
    ValueError
        If the name is unknown, or the request cannot be met.
    """
    if name not in _MAKERS:
        raise ValueError(f"table: unknown {name!r}, one of {', '.join(_MAKERS)}")
    return _MAKERS[name](request)


# --------------------------------------------------------------------------------------- the tables
def _table(
    request: Request, name: str, title: str, figures: Iterable[Figure], notes: Iterable[str]
) -> Table:
    shown = comllm.QUANTITIES, comllm.PROTOCOLS
    return Table(name, title, tuple(figures), tuple(notes), *shown, PAPER, request.facts())


def _ii(request: Request) -> Table:
    sample, answers = request.ask()
    states = state_figures(
        sample, answers, "", "cost_slots", "drop_percent", "pr_percent", "agreement_percent",
        "parsed_percent",
    )  # fmt: skip
    episodes = episode_figures(request, "", "cost_slots", "drop_percent", "gap_percent")
    printed = _printed("cost_slots", "drop_percent", "pr_percent")
    title = f"Table II: {sample.n_servers} servers, {len(sample)} independent states"
    note = (
        "The states are those of the oracle's trajectories; Random's printed cost fits states that "
        "Random itself led to."
    )
    return _table(
        request, "II", title, (*_beside(states, printed), *episodes), (note, *COMMON_NOTES)
    )


def _iii(request: Request) -> Table:
    sample, answers = request.ask(size_mbit=STRESS_TASK_MBIT)
    states = state_figures(sample, answers, "10 Mbit", "drop_percent", "cost_slots")
    episodes = episode_figures(
        request, "2..10 Mbit", "drop_percent", "cost_slots", "gap_percent",
        task_mbit=STRESS_RANGE_MBIT,
    )  # fmt: skip
    notes = (
        "Whether the other tasks of the network have 10 Mbit as well is not public. Here they keep "
        "their sizes (D): with 10 Mbit each, uplinks get twice the work they can carry.",
        "A 10-Mbit task takes 11.9 slots on the device, longer than the deadline; the least share "
        "that must be lost is that of the one-step oracle.",
    )
    figures = (*_beside(states, published.COMLLM_TABLE_III), *episodes)
    return _table(request, "III", "Table III: tasks of 10 Mbit", figures, (*notes, *COMMON_NOTES))


def _iv(request: Request) -> Table:
    figures: list[Figure] = []
    asked = load(request)
    for servers in (*published.COMLLM_TABLE_IV_SERVERS, *BEYOND_SERVERS):
        sample, answers = request.ask(asked, servers=servers)
        found = state_figures(sample, answers, str(servers), "pr_percent", "drop_percent")
        if servers in published.COMLLM_TABLE_IV_SERVERS:
            found = _beside(found, published.COMLLM_TABLE_IV)
        figures += found
    for servers in published.COMLLM_TABLE_IV_SERVERS:
        figures += episode_figures(request, str(servers), "gap_percent", servers=servers)
    notes = [
        "Of the paper only the limits (zero drops, PR above 93 %) are public, not the figures."
    ]
    title = "Table IV: 3 to 11 servers (and 20, 30) without training again"
    return _table(request, "IV", title, tuple(figures), (*notes, *COMMON_NOTES))


def _v(request: Request) -> Table:
    sample, answers = request.ask()
    both = ("backlog_fairness", "assignment_fairness")
    episodes = episode_figures(request, "", *both, "gap_percent")
    unknown = [Figure("states", name, "", "lbi_percent", float("nan")) for name in request.policies]
    figures = _beside(
        [*state_figures(sample, answers, "", *both), *unknown], _printed("lbi_percent")
    )
    notes = (
        "The paper's load-balance index (LBI) is not defined in what is public, so nothing of ours "
        "can be called a reproduction of it: two named indices stand beside it.",
        "On states: Jain's index of the backlog that a decision leaves behind, and of tasks per "
        "server, servers matched by speed. On episodes: as in every scorecard.",
    )
    return _table(request, "V", "Table V: fairness", (*figures, *episodes), (*notes, *COMMON_NOTES))


def _vi(request: Request) -> Table:
    asked = {name: policy for name, policy in load(request).items() if perturbations.of(policy)}
    if not asked:
        raise ValueError(
            "policies: table VI perturbs what trained policies read; name one, for example sft"
        )
    request = replace(request, policies=tuple(asked))
    states = perturbed_states(request, asked)
    episodes = perturbed_episodes(request, asked)
    notes = (
        "The paper gives one limit for shuffled servers, noise and changed units together, and not "
        "the size of its noise; ours is 2 % (D).",
        "Names, units and wording are told only to policies that read text; wording only to those "
        "that read natural language.",
        "Differences are paired: the same states, the same episodes.",
    )
    figures = (*_beside(states, published.COMLLM_TABLE_VI), *episodes)
    return _table(
        request, "VI", "Table VI: perturbed prompts", figures, (*notes, *COMMON_NOTES[:1])
    )


def _printed(*quantities: str) -> list[published.PublishedClaim]:
    """What Table II of the paper says of methods that have a counterpart here."""
    return [
        published.PublishedClaim(row.method, quantity, value, "=", row.ours, row.tag)
        for row in published.COMLLM_TABLE_II
        for quantity in quantities
        if (value := getattr(row, quantity)) is not None and row.ours is not None
    ]


_MAKERS = {"II": _ii, "III": _iii, "IV": _iv, "V": _v, "VI": _vi}


def _beside(figures: Iterable[Figure], claims: Iterable[published.PublishedClaim]) -> list[Figure]:
    """Figures with what the paper says; one policy of ours may stand for several methods.

    Methods whose counterpart was not measured keep a row of their own.
    """
    said = list(claims)
    out = []
    for figure in figures:
        methods = dict.fromkeys(c.method for c in said if c.ours == figure.policy)
        if not methods:
            out.append(figure)
        for method in methods:
            printed = [c for c in said if (c.method, c.quantity) == (method, figure.quantity)]
            figure = replace(figure, method=method, paper=None)
            for c in printed:
                figure = replace(figure, paper=c.value, relation=c.relation, tag=c.tag)
            out.append(figure)
    measured = {f.policy for f in out}
    out += [
        Figure("states", f"{c.ours} (no checkpoint)", out[0].setting, c.quantity, float("nan"),
               method=c.method, paper=c.value, relation=c.relation, tag=c.tag)
        for c in said
        if c.ours not in measured
    ]  # fmt: skip
    return out
