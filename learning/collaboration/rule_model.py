"""A rule in place of the language model: the ablation that its prior is compared with.

It reads what the model reads, and gives each candidate a share by the chance that a typical task
sent there ends on time: at that node, or at the best one behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learning.collaboration.answers import Answers
from learning.collaboration.sight import QUANTITIES, SECONDS, Seen

_TABLES = [np.array(values) for values, _ in QUANTITIES.values()]


@dataclass(frozen=True)
class RuleModel:
    """softmax(chance / temperature) over the candidates.

    Parameters
    ----------
    temperature : float
        From a sweep on tuning seeds (D).
    """

    temperature: float = 0.2
    name: str = "rule"

    def answer(self, seen: Seen) -> Answers:
        """Strategy of every row; the risk is the chance that the best candidate fails."""
        e, w, f, t, q, r, b, g = (table[seen.places[..., i]] for i, table in enumerate(_TABLES))
        due = np.array(SECONDS)[seen.deadline][:, None]
        travels = np.exp(-r * t)
        there = np.where((q + t + w + e <= due) & seen.up, travels * np.exp(-f * e), 0.0)
        # Behind: rates of that node for most of its time; the last value stands for no such node.
        on_time = (q + t + b <= due) & (b < SECONDS[-1])
        on_time[:, 0] = False
        behind = np.where(on_time, travels * np.exp(-g * b), 0.0)
        chance = np.maximum(there, behind)
        known = np.arange(chance.shape[1]) < seen.count[:, None]
        weight = np.where(known, np.exp(chance / self.temperature), 0.0)
        prior = weight / weight.sum(axis=1, keepdims=True)
        risk = 1.0 - np.where(known, chance, 0.0).max(axis=1)
        valid = np.ones(len(seen), dtype=bool)
        return Answers(prior.astype(np.float32), risk.astype(np.float32), valid)
