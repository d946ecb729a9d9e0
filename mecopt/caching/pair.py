"""A pair of a service and its model in physical units: what one types to make an instance."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """One agent: a service, and the model (with its context) that answers it.

    Parameters
    ----------
    name : str
    memory_gb : float
        What is resident, weights and context; a whole number of MB (1 GB = 1000 MB).
    energy_j : float
        Energy of one request at the edge, J; a whole number of 10 J.
    thoughts : int
        Thoughts that one request adds (g >= 1).
    accuracy : float
        Expected accuracy alpha of an answer, 0..1.
    cloud_cost : float
        Cost of a request that goes to the cloud.
    vanish : int
        Thoughts that vanish per slot (Delta).
    kappa_max : int
        Most thoughts that the context window holds, at least `thoughts`.
    beta : float
        Accuracy gained per thought: the accuracy cost falls with kappa log(1 / beta); 0 < beta < 1.
    edge_cost, compute_cost : float
        Costs of a request served at the edge: transmission, compute.
    switch_cost : float
        Cost of making the pair resident.
    model : str
    """

    name: str
    memory_gb: float
    energy_j: float
    thoughts: int
    accuracy: float
    cloud_cost: float
    vanish: int = 1
    kappa_max: int = 40
    beta: float = 0.92
    edge_cost: float = 0.0
    compute_cost: float = 0.0
    switch_cost: float = 0.0
    model: str = "model"
