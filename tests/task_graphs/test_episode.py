"""Plans and network travel with the instance, and are believed only if they are its own."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from mecopt.offloading.instance import OffloadingInstance
from mecopt.offloading.scenarios import comllm
from mecopt.task_graphs.episode import Episode
from mecopt.task_graphs.network import Link
from tests.support.tiny_graphs import tiny_episode


@pytest.mark.parametrize("seed", range(6))
def test_an_episode_comes_back_from_its_file(tmp_path, seed):
    """Network, tasks and weights are equal, and make the same instance."""
    episode = tiny_episode(seed)
    episode.instance.save(tmp_path / "x.json.gz")
    found = Episode.of(OffloadingInstance.load(tmp_path / "x.json.gz"))
    assert found.network == episode.network
    assert found.tasks == episode.tasks
    assert found.weights == episode.weights
    assert found.provenance == episode.provenance
    assert found.instance.content_hash == episode.instance.content_hash


def test_links_without_limit_can_be_saved(tmp_path):
    """JSON has no infinity."""
    episode = tiny_episode(0)
    links = tuple(replace(link, bit_per_s=math.inf) for link in episode.network.links)
    assert all(link.frame_bits > 0 for link in links)
    episode = replace(episode, network=replace(episode.network, links=links))
    episode.instance.save(tmp_path / "x.json")
    assert Episode.of(OffloadingInstance.load(tmp_path / "x.json")).network.links == links


def test_believed_plans_change_numbers_only():
    """Twice the tokens: the same options and stages, other times; another shape is refused."""
    episode = tiny_episode(1)
    plans = [
        t.plan.with_values(output_tokens=[2 * s.output_tokens for s in t.plan.subtasks])
        for t in episode.tasks
    ]
    believed = episode.with_plans(plans)
    assert believed.has_options_of(episode.instance)
    assert not np.array_equal(believed.instance.service_ns, episode.instance.service_ns)
    with pytest.raises(ValueError, match=f"plans: 0 of them for {len(plans)} tasks"):
        episode.with_plans([])
    first = plans[0].subtasks[0]
    role = "write" if first.role != "write" else "check"
    other = replace(plans[0], subtasks=(replace(first, role=role), *plans[0].subtasks[1:]))
    with pytest.raises(ValueError, match="that of task 0 has other roles or dependencies"):
        episode.with_plans([other, *plans[1:]])


def _changed(seed, change):
    """A tiny instance whose meta says something else."""
    x = tiny_episode(seed).instance
    document = json.loads(json.dumps(x.meta["task_graphs"]))
    change(document)
    return replace(x, meta={**x.meta, "task_graphs": document})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("weights"), "meta.task_graphs: cannot be read"),
        (lambda d: d.update(nodes=3), "meta.task_graphs: cannot be read"),
        (lambda d: d["tasks"].pop(), r"meta.task_graphs: has \d tasks, the instance \d"),
        (lambda d: d["tasks"][0].update(plan=None), "plan: must be an object"),
        (lambda d: d["nodes"][0].update(slots=0), "slots = 0"),
        (lambda d: d["tasks"][0].update(origin=[]), "origins: must be a list of texts"),
        (lambda d: d.update(requests=[1]), "requests: must be a list of texts"),
        (lambda d: d.update(undivided_penalty="x"), "undivided_penalty: must be a number"),
        (lambda d: d["links"].clear(), "not those of the instance's options"),
        (lambda d: d["nodes"][0].update(name="you"), "'me'"),
    ],
)
def test_a_meta_that_says_something_else_is_refused(change, message):
    """What is missing, malformed or of other options: one line."""
    with pytest.raises(ValueError, match=message) as error:
        Episode.of(_changed(2, change))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("meta", [3, [], "text", None])
def test_a_meta_of_another_kind_is_refused(meta):
    """Whatever a file holds there."""
    x = replace(tiny_episode(2).instance, meta={"task_graphs": meta})
    with pytest.raises(ValueError, match="cannot be read|no plans in its meta"):
        Episode.of(x)


def test_other_instances_are_not_of_task_graphs():
    """COMLLM has no plans."""
    with pytest.raises(ValueError, match="has no plans in its meta, it is not of task graphs"):
        Episode.of(comllm.generate("paper", 0, slots=5))


def test_a_link_between_other_nodes_makes_other_options():
    """The same nodes joined otherwise: routes differ, and so do the stages."""
    episode = next(e for e in map(tiny_episode, range(9)) if len(e.network.nodes) == 3)
    names = [n.name for n in episode.network.nodes]
    star = tuple(Link("me", n, 100.0) for n in names[1:])
    line = (star[0], Link(names[1], names[2], 100.0))
    a, b = (replace(episode, network=replace(episode.network, links=s)) for s in (star, line))
    assert not a.has_options_of(b.instance)
