"""Which shape of penalties bounds online rules most tightly, on worlds of the tuning stream.

    python -m benchmarks.offloading.tune_shapes [--settings paper,azure-conv] [--worlds 4]

Every shape is tried on the same worlds, which no reported bound has. Prints per setting the mean
figure of each shape less that of none, in per cent of cost; the best ones are in
`formulations.online.penalties.route.SHAPES`. Writes ``results/tune_shapes.json``.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from benchmarks.common import write
from formulations.online.penalties.comllm import ComllmLaw
from formulations.online.penalties.crowding import Shape
from formulations.online.penalties.route import penalised_bound
from formulations.online.penalties.traces import ResampledTrace
from formulations.online.penalties.worlds import Law
from mecopt.bench.reading import parse_names
from mecopt.offloading.scenarios import comllm
from mecopt.offloading.scenarios.resampled import trace_law

#: Draw of servers that tuning looks at, and futures of a world.
_SEED, _FUTURES = 1_000, 24
_USER = ("uplink", "device")
_NONE = Shape(_USER, 1.0, 0.0)
TRIED = {
    "comllm": [Shape(_USER, h, t) for h in (0.2, 0.4, 1.0) for t in (0.3, 0.6)]
    + [Shape((*_USER, "server"), h, 0.3) for h in (0.2, 0.4, 1.0)],
    "traces": [Shape(("server",), h, t) for h in (3.0, 6.0) for t in (0.15, 0.3)],
}


def law_of(setting: str, data_dir: str | None) -> Law:
    """The law of a preset or trace."""
    if setting in comllm.PRESETS:
        return ComllmLaw(comllm.generate(setting, _SEED))
    return ResampledTrace(trace_law(setting, data_dir=data_dir))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--settings", default="azure-conv,paper,busy,slow-servers")
    parser.add_argument("--worlds", type=int, default=4)
    parser.add_argument("--time-limit", type=float, default=12.0)
    parser.add_argument("--data-dir")
    args = parser.parse_args()
    rows = []
    for setting in parse_names(args.settings):
        law, none = law_of(setting, args.data_dir), np.zeros(0)
        scenario = law.provenance["scenario"]
        limit = args.time_limit if scenario == "traces" else 1.0
        for shape in [_NONE, *TRIED[scenario]]:
            bound = penalised_bound(
                law, shape, worlds=args.worlds, futures=_FUTURES, time_limit_s=limit, tuning=True
            )
            none = none if len(none) else bound.sample_slots
            gain = 100 * (bound.sample_slots - none) / none.mean()
            rows.append(
                {
                    "setting": setting,
                    "kinds": ",".join(shape.kinds),
                    "horizon_s": shape.horizon_s,
                    "theta": shape.theta,
                    "slots_per_task": bound.estimate_per_task_slots,
                    "gain_percent": gain.mean(),
                    "gain_error_percent": gain.std(ddof=1) / np.sqrt(len(gain)),
                }
            )
            print(rows[-1], flush=True)
            table = pd.DataFrame(rows)
            write("tune_shapes", {"worlds": args.worlds, "shapes": table.to_dict("records")})


if __name__ == "__main__":
    main()
