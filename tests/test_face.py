"""``import mecopt`` gives what people type, cheaply, and says clearly what it cannot take."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import mecopt
from mecopt import __main__
from mecopt.market import Market

ROOT = Path(__file__).parents[1]


def test_every_name_is_there():
    """Each name of the face imports, and tab completion shows nothing else."""
    assert all(getattr(mecopt, name) is not None for name in mecopt.__all__)
    assert dir(mecopt) == sorted(mecopt.__all__)
    assert not [name for name in dir(mecopt) if name.startswith("_") and name != "__version__"]


def test_importing_is_cheap():
    """Nothing heavy is loaded before it is used; numpy comes with the first name."""
    program = "import mecopt, sys; print(sorted({'numpy', 'pandas', 'torch', 'numba'} & set(sys.modules)))"  # noqa: E501
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.strip() == "[]"


def test_solve_rollout_verify(tmp_path):
    """One instance through the face: bound <= optimum <= rule, and the proof holds."""
    episode = mecopt.scenarios.comllm.generate("paper", 0, users=2, servers=2, slots=10)
    result = mecopt.solve(episode, time_limit=10)
    rule = mecopt.rollout(episode, "one-step-oracle")
    assert result.bound <= result.objective <= rule.objective
    mecopt.save_certificate(tmp_path / "proof.json", result)
    assert mecopt.verify(tmp_path / "proof.json").ok


def test_audit_and_load(tmp_path):
    """A market of one buyer (9) and one seller (4): 5 of welfare, from memory and from disk."""
    market = Market.of([9.0], [4.0])
    market.save(tmp_path / "market.json")
    report = mecopt.audit(mecopt.load(tmp_path / "market.json"), ["vcg"])
    assert report.rows[0].welfare == pytest.approx(5.0)


def test_audit_says_which_rules_cannot_express_the_market():
    """Two units each: rules of call markets and MUDA, and a reason for every other one."""
    report = mecopt.audit(Market.of([[9, 7]], [[2, 5]]), incentives=False)
    shown = {row.mechanism for row in report.rows}
    assert {"muda", "vcg", "pay-as-bid", "units-reduction"} < shown
    assert not shown & set(report.left_out)
    assert "one unit a trader" in report.left_out["mcafee"]


def test_bench_is_a_package_and_a_function(tmp_path, monkeypatch):
    """The same word runs a benchmark and holds its parts."""
    from mecopt.bench.suite import Suite

    small = mecopt.scenarios.comllm.generate("paper", 0, users=2, servers=2, slots=6)
    monkeypatch.setattr(Suite, "instance", lambda self, unit: small)
    folder = mecopt.bench(
        "comllm", seeds=(0, 1), policies="random", time_limit=2, out=tmp_path / "run", jobs=1
    )
    _, tables = mecopt.load(folder.path).read()
    assert list(tables["results"]["policy"]) == ["random"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: mecopt.solve("x"), "instance.*'x'"),
        (lambda x: mecopt.solve(mecopt.OffloadingInstance), "instance.*OffloadingInstance"),
        (lambda x: mecopt.solve(x, gap=float("inf")), "gap = inf"),
        (lambda x: mecopt.solve(x, seed=-1), "seed = -1"),
        (lambda x: mecopt.solve(x, time_limit=float("nan")), "time_limit = nan"),
        (lambda x: mecopt.solve(x, method="magic"), "method: unknown 'magic'"),
        (lambda x: mecopt.rollout("x", "random"), "instance = 'x' must be an instance"),
        (lambda x: mecopt.rollout(x, "magic"), "policy: unknown name 'magic'"),
        (lambda x: mecopt.rollout(x, 3), "policy = 3 has no method"),
        (lambda x: mecopt.rollout(x, int), "policy: int is a class"),
        (lambda x: mecopt.bench("magic"), "scenario: unknown 'magic', one of comllm"),
        (lambda x: mecopt.bench("caching", servers=3), "servers: scenario caching has no such"),
        (lambda x: mecopt.bench("comllm", time_limit=-1), "time_limit = -1"),
        (lambda x: mecopt.audit("x"), "market.*'x'"),
        (lambda x: mecopt.load(3), "path: 3"),
        (lambda x: mecopt.rollout(x, "sft", checkpoint=3), "checkpoint: 3 is not the name of a"),
        (lambda x: mecopt.rollout(x, "sft", checkpoint=""), "checkpoint: '' is not the name of a"),
        (lambda x: mecopt.rollout(x, "priced", data_dir=3), "data_dir: 3 is not the name of a"),
    ],
)
def test_refusals_name_argument_and_value(call, words):
    """One line that says what was given."""
    episode = mecopt.scenarios.comllm.generate("paper", 0, users=1, servers=1, slots=3)
    with pytest.raises(ValueError, match=words):
        call(episode)


def test_module_runs():
    """``python -m mecopt --version``."""
    done = subprocess.run(
        [sys.executable, "-m", "mecopt", "--version"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.strip() == f"mecopt {mecopt.__version__}"


def test_unknown_names_are_attribute_errors():
    """So that ``hasattr`` and completion work."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mecopt.nothing  # noqa: B018


def test_ctrl_c_while_modules_are_read_is_one_line(monkeypatch, capsys):
    """Reading them takes half a second, before any command can hear a signal."""

    class Interrupted(ModuleType):
        @property
        def main(self):
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "mecopt.cli", Interrupted("mecopt.cli"))
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "mecopt: interrupted\n"
