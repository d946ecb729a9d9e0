"""A mechanism as the audit sees it: a function that is asked, whose answers are checked.

Of the rules of `mechanisms.rules` it is declared where their outcomes can change; of a function of
somebody's own nothing is known but its answers, and it may raise.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mechanisms import rules
from mechanisms.outcome import Outcome, require_amounts, require_outcome
from mecopt.market.instance import Market

Mechanism = Callable[[Market], Outcome]
#: How often the same market is put to a function of somebody's own before it counts as a function
#: of the market; our rules are asked twice.
REPEATS = 8


class RuleError(Exception):
    """A rule of somebody's own raised, or returned what is no outcome of the market."""

    def __init__(self, message: str, market: Market) -> None:
        super().__init__(message)
        self.market = market


@dataclass(frozen=True)
class Asked:
    """A mechanism under a name.

    Parameters
    ----------
    name : str
    run : function
    declared : Declaration, optional
        None: a function of somebody's own.
    rule : str
        Name or ``package.module:function`` from which the rule can be made again, or nothing.
    options : mapping
        Its options.
    """

    name: str
    run: Mechanism
    declared: rules.Declaration | None = None
    rule: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, market: Market) -> Outcome:
        """The outcome of a market.

        Raises
        ------
        ValueError
            If a rule of ours cannot express the market.
        RuleError
            Whatever goes wrong in a function of somebody's own.
        """
        if self.declared is not None:
            return self.run(market)
        try:
            outcome = self.run(market)
            require_outcome(self.name, outcome, market)
            require_amounts(self.name, outcome, market)
        except (Exception, SystemExit) as error:
            kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
            raise RuleError(f"{kind}{error}", market) from error
        return outcome


def ask(name: str, mechanism: Mechanism, rule: str = "") -> Asked:
    """A mechanism to audit; `rule` is the address of a function of somebody's own."""
    known = rules.address(mechanism)
    plain = (str, int, float, bool, type(None))
    if known is None or not all(isinstance(value, plain) for value in known[1].values()):
        return Asked(name, mechanism, rules.declared(mechanism), rule)
    return Asked(name, mechanism, rules.declared(mechanism), *known)


def found(address: str, **options: Any) -> Mechanism:
    """The rule of an address: a name of `mechanisms.rules`, or ``package.module:function``.

    Modules are looked for where Python looks, and in the working folder.

    Raises
    ------
    ValueError
        If there is no such rule, module or function.
    """
    if ":" not in address:
        return rules.mechanism(address, **options)
    module, _, function = address.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    if not module or not function:
        raise ValueError(f"mechanism: {address!r} is not package.module:function")
    try:
        code = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ValueError(f"mechanism: {address!r}: there is no module {error.name!r}") from None
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise ValueError(
            f"mechanism: {address!r}: {module} cannot be imported ({reason})"
        ) from None
    made = getattr(code, function, None)
    if made is None:
        raise ValueError(f"mechanism: {module!r} has no function {function!r}")
    if not callable(made):
        raise ValueError(f"mechanism: {address!r} is {made!r}, not a function of a market")
    return made


def same(one: Outcome, other: Outcome) -> bool:
    """Whether two outcomes of a market give everybody the same units and amounts."""
    return (
        np.array_equal(one.buyer_units, other.buyer_units)
        and np.array_equal(one.seller_units, other.seller_units)
        and np.array_equal(one.payment * other.scale, other.payment * one.scale)
        and np.array_equal(one.receipt * other.scale, other.receipt * one.scale)
    )
