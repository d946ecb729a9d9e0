"""Compiled: the stages of every assignment of subtasks to nodes.

An assignment puts each subtask on one of the places of its task. Its stages are the calls, each
after what it reads has arrived, and the transfers: the task's input and the output of a subtask
travel hop by hop to where they are needed, once to each node however many read them there; what
nobody else reads travels back to where the task began. Two places that only the user's own device
joins reach each other through it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray


class Job(NamedTuple):
    """One task as the kernel reads it: n subtasks in topological order, m places, N nodes."""

    before_ptr: NDArray[np.int32]  # (n + 1,)
    before: NDArray[np.int32]  # subtasks each one reads
    is_sink: NDArray[np.bool_]  # (n,)
    place: NDArray[np.int32]  # (m,) node of each place; place 0 is where the task begins
    execution_ns: NDArray[np.int64]  # (n, m)
    bits: NDArray[np.float64]  # (n + 1,) of the input, then of each output
    correctness: NDArray[np.float64]  # (n, m), 1 for subtasks that are not critical
    worth_ns: float  # of a task that is right


class Wires(NamedTuple):
    """The network as the kernel reads it; routes are lists of (node, link) hops."""

    route_ptr: NDArray[np.int32]  # (N, N + 1) first hop of the route a -> b at [a, b]
    route_node: NDArray[np.int32]
    route_link: NDArray[np.int32]
    resource: NDArray[np.int32]  # (L,) of each link
    bit_per_s: NDArray[np.float64]
    latency_s: NDArray[np.float64]
    frame_bits: NDArray[np.float64]
    frame_s: NDArray[np.float64]


@njit(cache=True)
def transfer_ns(wires, link, bits):
    """Time of a transfer over one link, ns; an infinite frame holds anything."""
    frames = np.ceil(bits / wires.frame_bits[link]) if bits > 0 else 0.0
    frames = max(frames, 1.0)
    seconds = wires.latency_s[link] + frames * wires.frame_s[link] + bits / wires.bit_per_s[link]
    return np.int64(np.rint(seconds * 1e9))


@njit(cache=True)
def _travel(wires, item, source, made_by, target, bits, held, n, out):
    """Hops of an item along the route; returns (stage to wait for or -1, number of stages)."""
    resource, service, pred_ptr, pred = out
    last = made_by
    for h in range(wires.route_ptr[source, target], wires.route_ptr[source, target + 1]):
        node, link = wires.route_node[h], wires.route_link[h]
        if held[item, node] < 0:
            resource[n] = wires.resource[link]
            service[n] = transfer_ns(wires, link, bits)
            edges = pred_ptr[n]
            if last >= 0:
                pred[edges] = last
                edges += 1
            pred_ptr[n + 1] = edges
            held[item, node] = n
            n += 1
        last = held[item, node]
    return last, n


@njit(cache=True)
def _deliver(wires, origin, item, source, made_by, target, bits, held, n, out):
    """Bring an item to a node, by way of where the task began when nothing else joins the two."""
    if source == target:
        return made_by, n
    if wires.route_ptr[source, target] == wires.route_ptr[source, target + 1]:
        made_by, n = _travel(wires, item, source, made_by, origin, bits, held, n, out)
        source = origin
    return _travel(wires, item, source, made_by, target, bits, held, n, out)


@njit(cache=True)
def enumerate_assignments(job, wires, first_stage, out, stage_end, fixed_ns):
    """Write the stages of all m^n assignments, the last subtask's place varying fastest.

    Parameters
    ----------
    job : Job
    wires : Wires
    first_stage : int
        Number of the first stage in the instance.
    out : (resource, service_ns, pred_ptr, pred)
        Arrays with enough room, written from the front; `pred` holds numbers of the instance.
    stage_end : (m^n,) int64, written
        Stages up to the end of each option.
    fixed_ns : (m^n,) int64, written
        Less what the expected correctness of the task is worth.

    Returns
    -------
    int
        Stages written.
    """
    resource, service, pred_ptr, pred = out
    n_sub, n_places = job.execution_ns.shape
    n_nodes = wires.route_ptr.shape[0]
    held = np.empty((n_sub + 1, n_nodes), dtype=np.int64)
    call = np.empty(n_sub, dtype=np.int64)
    at = np.zeros(n_sub, dtype=np.int64)  # place of each subtask
    waits = np.empty(n_sub + 1, dtype=np.int64)
    origin = job.place[0]
    n = 0
    pred_ptr[0] = 0
    for option in range(n_places**n_sub):
        held[:] = -1
        base = n
        right = 1.0
        for s in range(n_sub):
            node = job.place[at[s]]
            count = 0
            last, n = _deliver(wires, origin, 0, origin, -1, node, job.bits[0], held, n, out)
            if last >= 0:
                waits[count] = last
                count += 1
            for e in range(job.before_ptr[s], job.before_ptr[s + 1]):
                p = job.before[e]
                source = job.place[at[p]]
                last, n = _deliver(
                    wires, origin, p + 1, source, call[p], node, job.bits[p + 1], held, n, out
                )
                waits[count] = last
                count += 1
            resource[n] = node
            service[n] = job.execution_ns[s, at[s]]
            edges = pred_ptr[n]
            for i in range(count):
                pred[edges] = waits[i]
                edges += 1
            pred_ptr[n + 1] = edges
            call[s] = n
            n += 1
            right *= job.correctness[s, at[s]]
        for s in range(n_sub):
            if job.is_sink[s]:
                source = job.place[at[s]]
                _, n = _deliver(
                    wires, origin, s + 1, source, call[s], origin, job.bits[s + 1], held, n, out
                )
        stage_end[option] = n
        fixed_ns[option] = np.int64(np.rint(-job.worth_ns * right))
        for e in range(pred_ptr[base], pred_ptr[n]):
            pred[e] += first_stage
        for s in range(n_sub - 1, -1, -1):  # the next assignment
            at[s] += 1
            if at[s] < n_places:
                break
            at[s] = 0
    return n
