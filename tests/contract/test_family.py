"""What every family owes: the same tests for all of them, a toy of thirty lines included."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import formulations
import mecopt
from formulations import methods
from mecopt.accuracy_delay.scenarios import goa
from mecopt.bench import families, pages, run, scorecard, unit
from mecopt.bench.run_folder import RunFolder
from mecopt.bench.suite import Suite
from mecopt.certificates import verify as certificates
from mecopt.cli import app
from mecopt.cli.options import bench_options
from tests.support import tiny, tiny_caching, tiny_snapshots, toy_family
from tests.support.toy_family import TOY

ALL = [*families.NAMES, TOY.name]


@pytest.fixture(scope="module", autouse=True)
def toy():
    """The toy family is known on this page only."""
    families.register(TOY)
    yield
    families.FAMILIES.remove(TOY.name)


#: A few instances of each family on which every method is quick.
SMALL = {
    "offloading": lambda seed: mecopt.scenarios.comllm.generate(
        "paper", seed, users=2, servers=2, slots=12
    ),
    "caching": lambda seed: mecopt.scenarios.caching.generate(
        "ten", seed, agents=3, servers=1, slots=6
    ),
    "accuracy_delay": lambda seed: goa.generate(8, seed, servers=2),
    "toy": lambda seed: toy_family.generate("ten-jobs", seed),
}
#: Instances whose optimum brute force finds, and brute force.
TINY = {
    "offloading": (
        tiny.tiny_instance,
        lambda x: tiny.brute_force(x)[0],
    ),
    "caching": (tiny_caching.tiny_instance, lambda x: tiny_caching.brute_force(x).objective),
    "accuracy_delay": (lambda seed: goa.generate(5, seed, servers=2), tiny_snapshots.brute_force),
    "toy": (
        lambda seed: toy_family.ToyInstance(tuple(np.random.default_rng(seed).uniform(0, 9, 6)), 2),
        lambda x: min(
            toy_family.replay(x, [bool(code >> i & 1) for i in range(6)]).objective
            for code in range(64)
        ),
    ),
}


@pytest.fixture(params=ALL)
def family(request):
    return families.FAMILIES[request.param]


def solved(family, seed=0):
    x = SMALL[family.name](seed)
    return x, formulations.solve(x, time_limit=5.0, gap=1e-6)


def test_names_agree(family):
    """The family, its instances and its table of methods go by one name."""
    x = SMALL[family.name](0)
    assert family.name == x.family == families.family_of(x).name
    assert isinstance(x, family.instance)
    assert methods.names(family.name)[0] == methods.certified(family.name)


def test_instances_are_frozen_values(family, tmp_path):
    """Equal content has an equal hash, files bring it back, and nobody changes a field."""
    x, again, other = SMALL[family.name](3), SMALL[family.name](3), SMALL[family.name](4)
    assert x.content_hash == again.content_hash != other.content_hash
    x.save(tmp_path / "x.json.gz")
    assert mecopt.load(tmp_path / "x.json.gz").content_hash == x.content_hash
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(x, dataclasses.fields(x)[0].name, None)


def test_every_rule_plays_and_repeats_itself(family):
    """Each name of the core makes a rule; with equal seeds it costs the same twice."""
    x = SMALL[family.name](1)
    own = family.policies.own_names
    for name in own:
        first, second = (mecopt.rollout(x, name, seed=5) for _ in range(2))
        assert first.objective == second.objective
        assert np.isfinite(first.objective)
    _, figures = family.play(x, family.policies.make(family.reference))
    assert {"decision_seconds_p50", "decision_seconds_p99"} <= set(figures)


def test_no_schedule_costs_less_than_the_bound(family):
    """Solver's incumbent and every rule's schedule lie above; the objective is the replay's."""
    x, result = solved(family, 2)
    own = family.policies.own_names
    costs = [mecopt.rollout(x, name).objective for name in own]
    assert result.bound <= min([*costs, result.objective]) * (1 + 1e-9)
    assert result.objective == result.schedule.objective


@pytest.mark.parametrize("seed", range(5))
def test_the_optimum_is_that_of_brute_force(family, seed):
    """On instances of a few decisions, the certified method meets enumeration."""
    make, brute_force = TINY[family.name]
    x = make(seed)
    result = formulations.solve(x, time_limit=20.0, gap=1e-9)
    best = brute_force(x)
    assert result.objective == pytest.approx(best, rel=1e-6)
    assert result.bound <= best * (1 + 1e-9) + 1e-9


def test_certificates_hold_and_higher_bounds_do_not(family, tmp_path):
    """What is saved is accepted; the same proof with a bound a thousandth higher is not."""
    _, result = solved(family)
    path = tmp_path / "proof.json"
    certificates.save(path, result)
    verdict = mecopt.verify(path)
    assert verdict.ok and result.bound <= verdict.bound <= verdict.objective
    document = json.loads(path.read_text())
    document["bound"] = document["objective"] * 1.001
    path.write_text(json.dumps(document))
    assert not mecopt.verify(path).ok


def test_scenarios_say_what_they_take(family):
    """Options have help; presets exist; every parameter has a tag."""
    for scenario in family.scenarios:
        assert scenario.defaults["solve_preset"] in scenario.presets()
        for field in dataclasses.fields(scenario.options):
            assert field.metadata["help"]
        for by_preset, tags in scenario.parameters(scenario.presets()[:1]):
            for parameters in by_preset.values():
                assert {f.name for f in dataclasses.fields(parameters)} <= set(tags)


def test_columns_have_one_name_each(family):
    """In every scenario; and the ranking column is one of the results."""
    for scenario in family.scenarios:
        shown = [c for c in family.columns if not c.scenarios or scenario.name in c.scenarios]
        names = [column.name for column in shown]
        assert len(names) == len(set(names))
    assert family.ranked_by in (*(column.name for column in family.columns), "cost")


@pytest.fixture
def small_runs(monkeypatch):
    """Scenarios make the small instances of this page."""

    def small(self, unit):
        return SMALL[self.family.name](unit.seed)

    monkeypatch.setattr(Suite, "instance", small)


def test_a_run_resumes_and_reports(family, tmp_path, small_runs):
    """Run, lose a part, run again: equal figures; the page names every policy."""
    scenario = family.scenarios[0]
    names = family.policies.own_names[:2]
    suite = Suite(scenario.name, scenario.presets()[:1], (0, 2), names, time_limit_s=2.0)
    folder = run.run(suite, tmp_path / "run", jobs=1)
    _, first = folder.read()
    (tmp_path / "run" / "parts" / f"{suite.units[1].key}.json").unlink()
    (tmp_path / "run" / "run.json").unlink()
    run.run(suite, tmp_path / "run", jobs=1)
    _, second = RunFolder(tmp_path / "run").read()
    assert first["results"]["cost"].tolist() == second["results"]["cost"].tolist()
    card = scorecard.scorecard(second["results"], family)
    assert set(card["policy"]) == set(names) and (card["gap_to_bound"] >= -1e-9).all()
    text = Path(pages.build(folder)).read_text(encoding="utf-8")
    assert all(name in text for name in names) and "Provenance" in text
    assert all({"policy", "seed"} <= set(r) for r in scorecard.records(second["results"], family))


def test_the_command_line_takes_every_family(family, tmp_path, monkeypatch, small_runs):
    """`mecopt solve --instance`, `verify` and `bench` work without a word about the family."""
    monkeypatch.chdir(tmp_path)
    SMALL[family.name](0).save("x.json")

    def mecopt_does(*arguments):
        done = CliRunner().invoke(app, [str(a) for a in arguments])
        assert done.exit_code == 0, done.output
        return done.output

    mecopt_does("solve", "--instance", "x.json", "--certificate", "p.json", "--json", "r.json")
    assert "accepted" in mecopt_does("verify", "p.json")
    assert json.loads((tmp_path / "r.json").read_text())["bound_kind"] == "certified"
    scenario = family.scenarios[0].name
    out = mecopt_does(
        "bench", scenario, "--seeds", "0:1", "--policies", family.reference, "--jobs", 1,
        "--time-limit", 1, "--out", "run", "--json", "records.json",
    )  # fmt: skip
    assert "gap to" in out and family.reference in out
    assert len(json.loads((tmp_path / "records.json").read_text())) == 1


def test_a_family_cannot_take_a_name_that_is_taken():
    """Neither a family's name nor a scenario's."""
    with pytest.raises(ValueError, match="'caching' is a family of mecopt"):
        families.register(dataclasses.replace(TOY, name="caching"))
    with pytest.raises(ValueError, match="scenario: 'toy' belongs to family 'toy'"):
        families.register(dataclasses.replace(TOY, name="other"))


def test_the_toy_by_hand():
    """Prices 9, 4, 2 and room for one: 1 + 4 + 2 = 7, the bound at price 3 is the same."""
    x = toy_family.ToyInstance((9.0, 4.0, 2.0), room=1)
    result = formulations.solve(x)
    assert result.objective == 7.0
    # Price 4 - 1 = 3: min(9, 4) + min(4, 4) + min(2, 4) - 3 = 7.
    assert result.bound == 7.0


def test_a_registered_family_runs_in_worker_processes(tmp_path):
    """Two jobs are two processes that never registered anything."""
    folder = mecopt.bench("toy", seeds=(0, 3), out=tmp_path / "run", jobs=2)
    assert len(folder.read()[1]["instances"]) == 3


def test_broken_families_are_refused():
    """No foreign verifier for a family of mecopt, no name twice."""
    with pytest.raises(ValueError, match="its FAMILY is 'toy', not 'other'"):
        families.register(dataclasses.replace(TOY, name="other", scenarios=()))
    with pytest.raises(ValueError, match="has a name twice"):
        families.register(dataclasses.replace(TOY, scenarios=TOY.scenarios * 2))
    with pytest.raises(ValueError, match="'toy' is not a Family"):
        families.register("toy")


def test_options_of_a_scenario_are_not_called_as_those_of_every_benchmark():
    """The document of a suite and the command hold both side by side."""
    (scenario,) = TOY.scenarios
    for name in ("gap", "jobs"):
        field = families.option("A number.", "N")
        made = dataclasses.make_dataclass("Options", [(name, int, field)])
        taken = dataclasses.replace(scenario, options=made)
        with pytest.raises(ValueError, match=f"option '{name}' has the name of an option that"):
            families.register(dataclasses.replace(TOY, scenarios=(taken,)))


def test_the_names_that_every_benchmark_has():
    """Fields of a suite, and what the command asks besides the scenario's own options."""
    traces = families.FAMILIES["offloading"].scenario("traces")
    asked = {name for name, *_ in bench_options(families.FAMILIES["offloading"], traces)}
    own = {field.name for field in dataclasses.fields(traces.options)}
    fields = {field.name for field in dataclasses.fields(Suite)}
    assert (fields | asked) - own == families.RESERVED


def test_a_bound_that_is_no_number_is_refused(tmp_path, monkeypatch):
    """NaN is not below anything."""
    honest = formulations.solve

    def lying(*arguments, **options):
        return dataclasses.replace(honest(*arguments, **options), bound=float("nan"))

    monkeypatch.setattr(formulations, "solve", lying)
    with pytest.raises(unit.BrokenBound):
        mecopt.bench("toy", seeds=(0, 1), out=tmp_path / "run", jobs=1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seeds": (0,)}, r"seeds = \(0,\) must be"),
        ({"seeds": (0.5, 2)}, "must be whole numbers"),
        ({"policies": "random"}, "policies = 'random' must be names"),
        ({"presets": 3}, "presets = 3 must be names"),
        ({"options": {"servers": 2.5}}, "servers = 2.5 must be a whole number"),
        ({"options": {"task_mbit": (2,)}}, "task_mbit = .* must be two numbers"),
        ({"options": families.NoOptions()}, "are not those of scenario comllm"),
    ],
)
def test_suites_name_what_they_refuse(changes, words):
    """Argument and value stand in the message."""
    asked = {"scenario": "comllm", "presets": ["paper"], "seeds": (0, 1), "policies": ["random"]}
    with pytest.raises(ValueError, match=words):
        Suite(**(asked | changes))


def test_suites_take_numbers_of_numpy_and_ranges():
    """And their documents are plain JSON."""
    suite = Suite("comllm", ["paper"], range(0, 3), ["random"], time_limit_s=np.float32(1))
    assert suite.seeds == (0, 3) and json.dumps(suite.to_document())
