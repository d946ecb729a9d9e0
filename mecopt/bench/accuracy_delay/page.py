"""The page of accuracy-delay runs: the plane of delay and accuracy, density, and one decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from mecopt.bench.accuracy_delay import plot
from mecopt.bench.html import images
from mecopt.bench.scorecard import scorecard


def pictures(tables: Mapping[str, pd.DataFrame]) -> dict[str, Figure]:
    """Figures by name: plane, density (with several numbers of users), who-USERS."""
    card, instances = scorecard(tables["results"], "accuracy_delay"), tables["instances"]
    found = {"plane": plot.plane_picture(card, instances)}
    if instances["n_users"].nunique() > 1:
        found["density"] = plot.density_picture(card, instances)
    timelines = tables["timelines"]
    for preset in timelines["preset"].unique() if len(timelines) else []:
        part = timelines[timelines["preset"] == preset]
        found[f"who-{preset}"] = plot.who_picture(part)
    return found


def context(
    tables: Mapping[str, pd.DataFrame], suite: Mapping[str, Any], drawn: Mapping[str, bytes]
) -> dict[str, Any]:
    """What ``report_accuracy_delay.html`` needs."""
    return {
        "schedule_word": "decision",
        "prices_of": "prices on users and accuracy",
        "who": images(drawn, "who-", "Uncertainty of every query and where it is answered,"),
    }
