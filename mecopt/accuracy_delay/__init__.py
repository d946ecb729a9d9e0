"""Accuracy against delay: which queries leave the device (GOA, arXiv 2602.07958)."""

from mecopt.accuracy_delay.assignment import Assignment, replay
from mecopt.accuracy_delay.instance import LOCAL, QuerySnapshot
from mecopt.accuracy_delay.rollout import rollout

__all__ = ["LOCAL", "Assignment", "QuerySnapshot", "replay", "rollout"]
