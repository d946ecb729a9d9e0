"""Functions and classes of the user's own, named ``module:name`` on the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any


def load(field: str, name: str) -> Callable[..., Any]:
    """What ``module:name`` names; modules are looked for in the present folder too.

    Raises
    ------
    ValueError
        If there is no such module, nothing of that name in it, or it cannot be called.
    """
    module, colon, inner = name.partition(":")
    if not (module and colon and inner):
        raise ValueError(f"{field}: {name!r} is not MODULE:NAME, for example my_rewards:on_time")
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        found = getattr(import_module(module), inner)
    except ModuleNotFoundError as error:
        raise ValueError(f"{field}: {name!r}: {error}") from None
    except AttributeError:
        raise ValueError(f"{field}: module {module!r} has no {inner!r}") from None
    finally:
        sys.path.remove(here)
    if not callable(found):
        raise ValueError(f"{field}: {name!r} cannot be called")
    return found  # type: ignore[no-any-return]
