"""States on which tool calls are learned: what every option costs, and what a call would say of it.

The two come from different futures: a call is answered by the look-ahead rule's rollouts, as when
the policy decides, and the cost that is learned from is `server-aware`
(`learning.offloading.rewards.server_aware`) over futures of another seed. So the model learns how
far a served number can be trusted, noise included.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from learning import seeds
from learning.language import vocabulary
from learning.language.tiny_model import TinyForCausalLM
from learning.offloading.policies.language import LanguagePolicy
from learning.offloading.prompts import forms_calls as calls
from learning.offloading.prompts import forms_compact_natural as prompts
from learning.offloading.prompts.forms_compact_natural import Naming
from learning.offloading.rewards import rewards
from learning.offloading.rewards.labels import Exploring
from learning.offloading.rewards.server_aware import ServerAware
from learning.offloading.rewards.user_values import UserValues
from learning.offloading.states import decision_states
from learning.offloading.states.decision_states import States
from learning.offloading.training.episodes import draw_parameters
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.observation import Observation
from mecopt.offloading.policies.lookahead import Lookahead
from mecopt.offloading.policies.protocol import Policy
from mecopt.offloading.scenarios import comllm

#: Training episodes of this module start here, apart from those of other trainings.
FIRST_SEED = seeds.FIRST_TRAINING + 3_000_000
#: States of an episode, at most: more episodes are seen.
_PER_EPISODE = 60
#: Seed of the futures of the cost; those of calls have seed 0, as the policy's have.
_OTHER_FUTURES = 1


@dataclass(frozen=True, eq=False)
class CallStates:
    """States told once, under names drawn for them.

    Parameters
    ----------
    ids : (B, T) int64
        Compact prompts.
    words : (B, J + 2) int64
        Name of each option, padding where there is none.
    reference : (B,) int64
        Option of least one-step cost.
    ahead_slots : (B, J + 2) float64
        Rollout cost of each option above the reference's: what a call is answered with.
    cost_slots : (B, J + 2) float64
        What is learned from; infinite where there is no option.
    """

    ids: NDArray[np.int64]
    words: NDArray[np.int64]
    reference: NDArray[np.int64]
    ahead_slots: NDArray[np.float64]
    cost_slots: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ids)

    def transcripts(self, rows: NDArray[np.int64], named: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n, T + 5) prompts of states, calls of an option each, and what these are answered."""
        reference = self.words[rows, self.reference[rows]]
        return calls.transcript(
            self.ids[rows], self.words[rows, named], reference, self.ahead_slots[rows, named]
        )


@dataclass
class _Both:
    """Costs to learn from, and beside them those of the look-ahead's own futures."""

    name: str = "server-aware"
    ahead: list[NDArray[np.float64]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._cost, self._tool = ServerAware(seed=_OTHER_FUTURES), Lookahead()

    def reset(self, instance: OffloadingInstance) -> None:
        self._cost.reset(instance)
        self._tool.reset(instance)

    def cost_slots(self, observation: Observation) -> NDArray[np.float64]:
        slot_s = float(observation.instance.meta["slot_s"])
        self.ahead.append(self._tool.candidate_costs(observation) / slot_s)
        return self._cost.cost_slots(observation)


def collect(
    presets: Sequence[str], states: int, drawn: float, *, seed: int, slots: int | None = None
) -> tuple[States, NDArray[np.float64], NDArray[np.float64]]:
    """States of training episodes, their costs and those of the look-ahead, slots.

    Parameters
    ----------
    presets : sequence of str
        COMLLM presets, in turns.
    states : int
        How many.
    drawn : float
        Share of the episodes with drawn loads, links and speeds in place of a preset's.
    seed : int
    slots : int, optional
        Length of the episodes; the preset's unless given.
    """
    rng = np.random.default_rng([21, seed])
    both, parts, costs = _Both(), [], []
    for i, world in enumerate(_episodes(presets, drawn, seed, slots, rng)):
        follow: Policy = Exploring(UserValues(), 0.1, seed) if i % 2 else UserValues()
        part, cost = rewards.collect([world], both, follow, per_instance=_PER_EPISODE, seed=seed)
        parts.append(part)
        costs.append(cost)
        if sum(map(len, parts)) >= states:
            break
    found = decision_states.concat(parts)[:states]
    seeds.check(found.seed, "train")
    return found, np.concatenate(costs)[:states], np.array(both.ahead)[:states]


def _episodes(
    presets: Sequence[str],
    drawn: float,
    seed: int,
    slots: int | None,
    rng: np.random.Generator,
) -> Iterator[OffloadingInstance]:
    """Episodes without end; none is used twice."""
    length = {} if slots is None else {"slots": slots}
    first = FIRST_SEED + 10_000 * seed
    for i in range(10_000):
        if rng.random() < drawn:
            yield comllm.generate("paper", first + i, **(draw_parameters(rng) | length))
        else:
            yield comllm.generate(presets[i % len(presets)], first + i, **length)


def told(
    found: States,
    cost_slots: NDArray[np.float64],
    ahead_slots: NDArray[np.float64],
    *,
    seed: int,
) -> CallStates:
    """States as text, their servers shuffled and renamed."""
    naming: Naming = prompts.shuffled(found, np.random.default_rng([22, seed]))
    reference = found.one_step_cost_slots.argmin(axis=1)
    least = np.take_along_axis(ahead_slots, reference[:, None], axis=1)
    return CallStates(
        prompts.compact_ids(found, naming),
        prompts.option_word_ids(naming),
        reference,
        ahead_slots - least,
        cost_slots,
    )


@dataclass(frozen=True, eq=False)
class Lessons:
    """What a first training on transcripts teaches of each state.

    Parameters
    ----------
    gain_slots : (B,) float64
        What a call would have saved the policy that is trained, its price not yet paid.
    name_share : (B, J + 2) float64
        Which option to call: how likely it was to be taken, the reference left out.
    """

    gain_slots: NDArray[np.float64]
    name_share: NDArray[np.float64]


def lessons(model: TinyForCausalLM, found: States, told_: CallStates) -> Lessons:
    """Whether a one-turn model would have gained by calls, and of which option.

    It would call its favourite, or its second choice where the favourite is the reference, and
    follow what it was told.
    """
    row = np.arange(len(found))
    score = LanguagePolicy(model).scores(found, prompts.in_order(found)).astype(np.float64)
    favourite = score.argmax(axis=1)
    score[row, told_.reference] = -np.inf
    share = np.exp(score - score.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    named = share.argmax(axis=1)
    better = told_.ahead_slots[row, named] < 0
    after = np.where(better, named, told_.reference)
    gain = told_.cost_slots[row, favourite] - told_.cost_slots[row, after]
    return Lessons(gain, share)


def warm_rows(
    found: States,
    cost_slots: NDArray[np.float64],
    ahead_slots: NDArray[np.float64],
    taught: Lessons,
    uses: int,
    price_slots: float,
    *,
    seed: int,
) -> dict[str, NDArray]:
    """Columns of a data set of transcripts, in the order of training.

    At each use a state is told under new names. Half of the calls name what `Lessons` would, half
    any option, so that the model has read what is said of all of them.

    Returns
    -------
    dict
        ``input_ids`` (n, T + 5); ``words``, ``cost_slots`` and ``name_share`` (n, J + 2);
        ``stake`` (n,), the gain of a call less its price, in units of its mean size.
    """
    rng = np.random.default_rng([23, seed])
    n = len(found)
    rows = np.concatenate([rng.permutation(n) for _ in range(-(-uses // n))])[:uses]
    known = told(found[rows], cost_slots[rows], ahead_slots[rows], seed=seed)
    there = (known.words != vocabulary.WORD_ID[vocabulary.PAD]).astype(np.float64)
    anyone = there / there.sum(axis=1, keepdims=True)
    chance = np.where(rng.random(uses)[:, None] < 0.5, anyone, taught.name_share[rows])
    edge = chance.cumsum(axis=1)
    named = (edge < rng.random(uses)[:, None] * edge[:, -1:]).sum(axis=1)
    gain = taught.gain_slots - price_slots
    return {
        "input_ids": known.transcripts(np.arange(uses), named),
        "words": known.words,
        "cost_slots": known.cost_slots,
        "name_share": taught.name_share[rows],
        "stake": gain[rows] / max(float(np.abs(gain).mean()), 1e-9),
    }
