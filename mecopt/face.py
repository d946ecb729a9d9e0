"""What people type first, for every family: ``mecopt.rollout``, ``load``, ``audit``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mechanisms.audit.report import AuditReport
from mechanisms.audit.report import audit as run_audit
from mecopt.bench.families import FAMILIES, family_of
from mecopt.bench.run_folder import RunFolder
from mecopt.checks import check_rollout
from mecopt.market import instance as market_file
from mecopt.market.instance import Market
from mecopt.market.sources import read_market

Paths = str | os.PathLike[str]


def rollout(
    instance: Any,
    policy: Any,
    *,
    seed: int = 0,
    checkpoint: Paths | None = None,
    data_dir: Paths | None = None,
) -> Any:
    """Let a policy decide a whole instance, of any family, and replay what it decided.

    Parameters
    ----------
    instance : OffloadingInstance, CachingInstance, ...
    policy : str or policy
        A name such as ``"priced"``, or an object with ``name``, ``reset`` and ``act``.
    seed : int
        Seed of policies that draw, when they are named.
    checkpoint : path, optional
        Folder of a trained policy, with its name.
    data_dir : path, optional
        Data folder, for policies that read it.

    Returns
    -------
    Schedule, CachingPlan, ...
        With ``objective``, the sum of costs.

    Raises
    ------
    ValueError
        Names the argument and the value that cannot be used.

    Examples
    --------
    >>> import mecopt
    >>> episode = mecopt.scenarios.comllm.generate("paper", 0, slots=5)
    >>> mecopt.rollout(episode, "one-step-oracle").drop_rate
    0.0
    """
    family = family_of(instance)
    if isinstance(policy, str):
        made = family.policies.make(policy, seed=seed, checkpoint=checkpoint, data_dir=data_dir)
    else:
        made = policy
        check_rollout(instance, policy, family.instance)
        if checkpoint is not None:
            raise ValueError(f"checkpoint: {checkpoint!r} goes with a policy's name")
    return family.play(instance, made)[0]


def load_instance(path: Paths) -> Any:
    """Read an instance file of any family.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it holds no instance.
    """
    families = list(FAMILIES.values())
    claimed = [family for family in families if family.format.claimed_by(path)]
    # Whatever else it is: reading it as the first family's says what is wrong with the file.
    of = (claimed or families)[0].instance
    return of.load(path)  # type: ignore[attr-defined]


def load(path: Paths) -> Any:
    """Read what mecopt wrote: an instance, a market (JSON or CSV) or a run folder.

    Returns
    -------
    instance, Market or RunFolder
        Of a run folder, ``read()`` gives manifest and tables.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is nothing, or it is nothing that mecopt wrote.
    """
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"path: {path!r} is not the name of a file")
    if Path(path).is_dir():
        folder = RunFolder(path)
        folder.suite  # noqa: B018 - refuses folders that hold no run
        return folder
    if os.fspath(path).lower().endswith((".csv", ".csv.gz", ".tsv")):
        return read_market(path)
    if market_file.FORMAT.claimed_by(path):
        return Market.load(path)
    return load_instance(path)


def audit(market: Any, mechanisms: Any = None, **asked: Any) -> AuditReport:
    """Audit auction mechanisms on a market: welfare, rationality, budget, incentives, time.

    Parameters
    ----------
    market : Market
        Its reports are taken as true values and costs.
    mechanisms : str, sequence of str or mapping, optional
        Names (`mechanisms.rules.NAMES`), or functions market -> outcome by name; unless said, every
        rule that can express the market. The others are in ``left_out`` of the report, with why.
    **asked
        As in `mechanisms.audit.report.audit`: incentives, sample, false_names, seed.

    Raises
    ------
    ValueError
        Names the argument and the value that cannot be used.
    """
    if not isinstance(market, Market):
        raise ValueError(f"market: {market!r} is not a Market; `mecopt.load` reads one from a file")
    return run_audit(market, mechanisms, **asked)
