"""The page of accuracy-delay runs: the plane of delay and accuracy, density, and one decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mecopt.accuracy_delay.margins import Margins
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
        other = part["schedule"].isin(("front", "margins"))
        found[f"who-{preset}"] = plot.who_picture(part[~other])
        points = part[part["schedule"] == "front"]
        if len(points):
            found[f"front-{preset}"] = plot.front_picture(
                {f"{preset} users, exact front": points}, _decisions(tables["results"], points)
            )
    answers = timelines[timelines["schedule"] == "margins"] if len(timelines) else timelines
    if len(answers):
        found["reliability"] = plot.reliability_picture(_margins(answers))
    return found


def _decisions(results: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """Delay and accuracy of every policy on the snapshot that a front belongs to."""
    first = points.iloc[0]
    here = (results["preset"] == first["preset"]) & (results["seed"] == first["seed"])
    return results.loc[here, ["policy", "mean_delay_s", "expected_accuracy"]]


def _margins(answers: pd.DataFrame) -> Margins:
    """The measured margins of the first preset, as they were."""
    part = answers[answers["preset"] == answers["preset"].iloc[0]]
    return Margins(
        model=str(part["server"].iloc[0]),
        aggregation=str(part["user"].iloc[0]),
        uncertainty=part["uncertainty"].to_numpy(dtype=np.float64),
        correct=part["correct"].to_numpy(dtype=np.bool_),
        calibrated=part["calibrated"].to_numpy(dtype=np.float64),
        task=part["task"].to_numpy(dtype=np.int64),
    )


def context(
    tables: Mapping[str, pd.DataFrame], suite: Mapping[str, Any], drawn: Mapping[str, bytes]
) -> dict[str, Any]:
    """What ``report_accuracy_delay.html`` needs."""
    return {
        "schedule_word": "decision",
        "prices_of": "prices on users and accuracy",
        "front": images(drawn, "front-", "Exact front of delay and accuracy,"),
        "who": images(drawn, "who-", "Uncertainty of every query and where it is answered,"),
    }
