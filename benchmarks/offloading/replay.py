"""Replay speed: the compiled kernel against a SimPy model of the same system, checked equal.

    python -m benchmarks.offloading.replay

Arrays in, arrays out, a paper-preset episode of about 180 tasks; both in one process.
"""

from __future__ import annotations

import time

import numpy as np
import simpy

from benchmarks.common import write
from mecopt.offloading import kernel, status
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.policies.simple import OneStepOracle
from mecopt.offloading.replay import rollout
from mecopt.offloading.scenarios import comllm


def simpy_completions(x: OffloadingInstance, choice: np.ndarray) -> np.ndarray:
    """Completion times (ns) by SimPy, for chains of FIFO resources."""
    env = simpy.Environment()
    stations = [simpy.Resource(env, capacity=int(c)) for c in x.capacity]
    completion = np.full(x.n_tasks, status.NEVER, dtype=np.int64)

    def task(k: int, o: int):  # type: ignore[no-untyped-def]
        yield env.timeout(int(x.release_ns[k]))
        for s in range(x.stage_ptr[o], x.stage_ptr[o + 1]):
            with stations[x.stage_resource[s]].request() as turn:
                yield turn
                yield env.timeout(int(x.service_ns[s]))
        completion[k] = env.now

    for k in range(x.n_tasks):
        if choice[k] >= 0:
            env.process(task(k, int(x.option_ptr[k] + choice[k])))
    env.run()
    return completion


def best_seconds(function, repeat: int, number: int) -> float:  # type: ignore[no-untyped-def]
    """Least seconds a call over `repeat` rounds of `number` calls."""
    times = []
    for _ in range(repeat):
        begin = time.perf_counter()
        for _ in range(number):
            function()
        times.append((time.perf_counter() - begin) / number)
    return min(times)


def main() -> None:
    """Measure and write results/replay.json."""
    rows = []
    for seed in range(5):
        x = comllm.generate("paper", seed)
        choice = rollout(x, OneStepOracle()).choice
        slots = int(x.arrays.slot_ptr[-1])
        out = [np.empty(slots, dtype=np.int64) for _ in range(3)]
        completion, status = np.empty(x.n_tasks, dtype=np.int64), np.empty(x.n_tasks, np.int8)
        arguments = (x.arrays, x.service_ns, choice, *out, completion, status)
        kernel.replay_lindley(*arguments)
        if not np.array_equal(completion, simpy_completions(x, choice)):
            raise SystemExit(f"seed {seed}: kernel and SimPy disagree")
        ours = best_seconds(lambda a=arguments: kernel.replay_lindley(*a), 20, 200)
        theirs = best_seconds(lambda x=x, c=choice: simpy_completions(x, c), 5, 2)
        rows.append(
            {
                "seed": seed,
                "tasks": x.n_tasks,
                "kernel_microseconds": 1e6 * ours,
                "simpy_microseconds": 1e6 * theirs,
                "ratio": theirs / ours,
            }
        )
        print(rows[-1])
    write("replay", {"simpy": simpy.__version__, "rows": rows})


if __name__ == "__main__":
    main()
