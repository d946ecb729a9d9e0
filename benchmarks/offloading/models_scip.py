"""The compact model of `formulations.offloading.compact`, solved by SCIP instead of HiGHS."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from pyscipopt import Model

from formulations.offloading import compact_layout as milp
from formulations.offloading.compact_model import build_model
from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.units import DROPPED


def solve_scip(
    instance: OffloadingInstance, time_limit: float, gap: float
) -> tuple[list[int] | None, float]:
    """Choice (None without an incumbent) and lower bound in s."""
    x, layout = instance, milp.lay_out(instance)
    scip = Model()
    scip.hideOutput()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "offloading.mps"
        build_model(layout).write(str(path), io_options={"symbolic_solver_labels": True})
        scip.readProblem(str(path))
    scip.setParam("limits/time", time_limit)
    scip.setParam("limits/gap", 0.5 * gap)
    scip.optimize()
    bound = scip.getDualbound() * layout.unit_ns * 1e-9
    if scip.getNSols() == 0:
        return None, bound
    solution, choice = scip.getBestSol(), [DROPPED] * x.n_tasks
    for variable in scip.getVars():
        name = re.fullmatch(r"x[(_](\d+)[)_]", variable.name)
        if name and scip.getSolVal(solution, variable) > 0.5:
            o = int(name[1])
            k = int(x.task_of_option[o])
            choice[k] = o - int(x.option_ptr[k])
    return choice, bound
