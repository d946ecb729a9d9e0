"""Runs inside an environment with mechaudit 0.1.0: a finite mechanism on stdin, verdicts out."""

import json
import sys
import time

from mechaudit import (
    DSIC,
    DirectMechanism,
    ExPostIR,
    FiniteEnvironment,
    PrivateValues,
    audit_mechanism,
)
from mechaudit.requirements.budget import StrongBudgetBalance, WeakBudgetBalance


def main():
    request = json.load(sys.stdin)
    buyers, sellers, types = request["buyers"], request["sellers"], request["types"]
    agents = [f"b{i}" for i in range(buyers)] + [f"s{j}" for j in range(sellers)]
    rows = {tuple(row["profile"]): row for row in request["rows"]}
    outcomes = sorted({row["outcome"] for row in request["rows"]})

    def value(agent, own_type, outcome):
        trades = int(outcome[agents.index(agent)])
        return float(own_type) * trades * (1 if agent[0] == "b" else -1)

    def allocation(profile):
        chosen = rows[tuple(float(t) for t in profile)]["outcome"]
        return {outcome: float(outcome == chosen) for outcome in outcomes}

    def payments(profile):
        return dict(zip(agents, rows[tuple(float(t) for t in profile)]["payments"], strict=True))

    environment = FiniteEnvironment(
        agents={agent: types for agent in agents}, outcomes=outcomes, values=PrivateValues(value)
    )
    mechanism = DirectMechanism.from_mapping(
        {p: allocation(p) for p in rows}, {p: payments(p) for p in rows}
    )
    start = time.perf_counter()

    def passes(requirement):
        report = audit_mechanism(
            environment=environment, mechanism=mechanism, requirements=(requirement,)
        )
        return report.passed

    verdict = {
        "dsic": passes(DSIC()),
        "ir": passes(ExPostIR()),
        "weak": passes(WeakBudgetBalance()),
        "strong": passes(StrongBudgetBalance()),
    }
    json.dump({"verdict": verdict, "seconds": time.perf_counter() - start}, sys.stdout)


if __name__ == "__main__":
    main()
