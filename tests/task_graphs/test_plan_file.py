"""Plans and networks as JSON documents: schemas and readers agree, and nothing is lost."""

import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mecopt.task_graphs import network_file, plan_file
from mecopt.task_graphs.network_file import load_network, read_network
from mecopt.task_graphs.plan import Subtask, TaskPlan
from mecopt.task_graphs.plan_file import (
    graph_of_plan,
    load_plan,
    plan_document,
    plan_of_graph,
    read_plan,
    save_plan,
)

PLAN = TaskPlan(
    (
        Subtask("search", "retrieve", 100, 0.2, prompt_tokens=30, critical=False),
        Subtask("think", "reason", 300, 0.7, ("search",), correctness={"desk": 0.9}),
    )
)
SUBTASK = {"name": "a", "role": "reason", "output_tokens": 10}


def plan_with(**changes):
    return {"subtasks": [{**SUBTASK, **changes}]}


#: Documents that are plans, and that are not for a reason that a schema can say.
PLANS = [
    plan_with(),
    plan_with(difficulty=-1, prompt_tokens=0.5, critical=False, correctness={"ap": 1}),
    {"subtasks": [SUBTASK, {**SUBTASK, "name": "b", "after": ["a"]}]},
]
NO_PLANS = [
    None,
    [],
    {},
    {"subtasks": []},
    {"subtasks": {}},
    {"subtasks": [None]},
    {"subtasks": [SUBTASK], "more": 1},
    {"subtasks": [{"name": "a", "role": "reason"}]},
    {"subtasks": [{**SUBTASK, "name": f"{i}", "after": ["0"] if i else []} for i in range(13)]},
    plan_with(name=3),
    plan_with(name="a\x1b"),
    plan_with(role="dream"),
    plan_with(role=None),
    plan_with(output_tokens=-1),
    plan_with(output_tokens="10"),
    plan_with(output_tokens=True),
    plan_with(difficulty=None),
    plan_with(prompt_tokens=-1),
    plan_with(critical=0),
    plan_with(after="b"),
    plan_with(after=[1]),
    {"subtasks": [SUBTASK, {**SUBTASK, "name": "b", "after": ["a", "a"]}]},
    plan_with(correctness={"ap": 1.1}),
    plan_with(correctness={"ap": "high"}),
    plan_with(correctness=[0.5]),
    plan_with(colour="red"),
]

NODE = {"name": "laptop", "kind": "device", "params_b": 1.5, "tflops": 20, "tb_per_s": 0.2}
DESK = {"name": "desk", "prompt_tokens_per_s": 1000, "output_tokens_per_s": 40, "params_b": 32}
LINK = {"between": ["laptop", "desk"], "mbps": 50}


def network_with(node=None, link=None, **top):
    return {
        "nodes": [{**NODE, **(node or {})}, DESK],
        "links": [{**LINK, **(link or {})}],
        **top,
    }


NETWORKS = [
    {"nodes": [NODE]},
    network_with(),
    network_with({"slots": 4}, {"latency_s": 0, "channel": "wifi"}, start="desk"),
    network_with(input_mbit=8, accuracy_weight=2, latency_weight_per_s=0, bits_per_token=16),
]
NO_NETWORKS = [
    None,
    {},
    {"nodes": []},
    {"nodes": [None]},
    {"nodes": {"laptop": NODE}},
    {"nodes": [{"name": "laptop"}]},
    {"nodes": [{"name": "laptop", "params_b": 1.5, "tflops": 20}]},
    {"nodes": [{**NODE, **DESK}]},
    {"nodes": [{k: v for k, v in NODE.items() if k != "name"}]},
    network_with(more=1),
    network_with({"name": "a\n"}),
    network_with({"kind": "cloud"}),
    network_with({"slots": 0}),
    network_with({"slots": True}),
    network_with({"slots": 1.5}),
    network_with({"params_b": 0}),
    network_with({"tflops": "20"}),
    network_with({"tb_per_s": -1}),
    network_with({"colour": "red"}),
    network_with(None, {"mbps": 0}),
    network_with(None, {"mbps": None}),
    network_with(None, {"latency_s": -1}),
    network_with(None, {"channel": 3}),
    network_with(None, {"between": ["laptop"]}),
    network_with(None, {"between": ["laptop", 1]}),
    network_with(None, {"between": "laptop desk"}),
    network_with(None, {"colour": "red"}),
    network_with(links=[{"between": ["laptop", "desk"]}]),
    network_with(links={}),
    network_with(start=1),
    network_with(input_mbit=-1),
    network_with(accuracy_weight="1"),
    network_with(latency_weight_per_s=-0.01),
    network_with(bits_per_token=None),
]


@pytest.mark.parametrize(
    ("read", "schema", "good", "bad"),
    [
        (read_plan, plan_file.SCHEMA, PLANS, NO_PLANS),
        (read_network, network_file.SCHEMA, NETWORKS, NO_NETWORKS),
    ],
    ids=["plan", "network"],
)
def test_schema_and_reader_agree(read, schema, good, bad):
    """What the schema accepts is read, what it rejects is refused, in one line."""
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(schema)
    valid = jsonschema.Draft202012Validator(json.loads(json.dumps(dict(schema)))).is_valid
    for document in good:
        before = copy.deepcopy(document)
        assert valid(document), document
        read(document)
        assert document == before
    for document in bad:
        assert not valid(document), document
        with pytest.raises(ValueError) as error:
            read(document)
        assert "\n" not in str(error.value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


def _places(value, path=()):
    """Paths of everything inside a document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items if isinstance(value, dict | list) else ():
        yield from (
            _places(inner, (*path, key)) if isinstance(inner, dict | list) else [(*path, key)]
        )


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([0, 1]), st.data())
def test_any_document_is_read_or_refused(kind, data):
    """Whatever stands anywhere: a ValueError, or something that the schema accepts, too."""
    jsonschema = pytest.importorskip("jsonschema")
    read, schema, good = (
        (read_plan, plan_file.SCHEMA, PLANS), (read_network, network_file.SCHEMA, NETWORKS)
    )[kind]  # fmt: skip
    document = {"whole": copy.deepcopy(data.draw(st.sampled_from(good)))}
    *path, last = data.draw(st.sampled_from(list(_places(document))[1:]))
    place = document
    for key in path:
        place = place[key]
    place[last] = data.draw(_JSON)
    try:
        read(document["whole"])
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert jsonschema.Draft202012Validator(dict(schema)).is_valid(document["whole"])


def test_a_plan_survives_its_file(tmp_path):
    """Every field, also those at their defaults, which are left out of the document."""
    save_plan(tmp_path / "plan.json", PLAN)
    assert load_plan(tmp_path / "plan.json") == PLAN
    assert plan_document(PLAN)["subtasks"][1] == {
        "name": "think", "role": "reason", "output_tokens": 300.0, "difficulty": 0.7,
        "after": ["search"], "correctness": {"desk": 0.9},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "plan.json: "),
        ('{"subtasks": [{"name": "a", "role": "reason", "output_tokens": NaN}]}', "NaN is not a"),
        ('{"subtasks": [], "subtasks": []}', "field 'subtasks' is there twice"),
        ('{"subtasks": [{"name": "a"}]}', r"subtasks\[0\]: the field 'role' is missing"),
        ('{"subtasks": [{"nam": "a"}]}', r"subtasks\[0\]: unknown field 'nam'"),
        ("[]", "plan: must be an object"),
    ],
)
def test_a_file_that_holds_no_plan_is_named(tmp_path, text, message):
    """The message starts with the path and says what is wrong."""
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        load_plan(path)
    assert str(error.value).startswith(str(path))


def test_a_file_that_is_not_there_is_named(tmp_path):
    """Plan and network alike."""
    for load in (load_plan, load_network):
        with pytest.raises(ValueError, match=r"none\.json: No such file"):
            load(tmp_path / "none.json")


# ------------------------------------------------------------------------------ networkx
def test_a_plan_survives_networkx():
    """Edges point from what writes to what reads."""
    pytest.importorskip("networkx")
    graph = graph_of_plan(PLAN)
    assert list(graph.edges) == [("search", "think")]
    assert plan_of_graph(graph) == PLAN


def test_attributes_may_be_of_numpy():
    """Graphs come from tables, whose numbers are not Python's."""
    networkx = pytest.importorskip("networkx")
    graph = networkx.DiGraph([("a", "b")])
    for node in graph:
        graph.nodes[node].update(role="reason", output_tokens=np.int64(3), critical=np.True_)
    plan = plan_of_graph(graph)
    assert [(s.output_tokens, s.critical) for s in plan.subtasks] == [(3.0, True), (3.0, True)]


def test_a_graph_that_is_no_plan_is_refused():
    """Undirected graphs, attributes that the graph itself says, cycles."""
    networkx = pytest.importorskip("networkx")
    with pytest.raises(ValueError, match="not a directed graph"):
        plan_of_graph(networkx.Graph())
    with pytest.raises(ValueError, match="not a directed graph"):
        plan_of_graph({"a": ["b"]})
    graph = networkx.DiGraph()
    graph.add_node("a", role="reason", output_tokens=1, after=[])
    with pytest.raises(ValueError, match="node 'a' has an attribute 'after' of its own"):
        plan_of_graph(graph)
    loop = networkx.DiGraph([("a", "b"), ("b", "a")])
    for node in loop:
        loop.nodes[node].update(role="reason", output_tokens=1)
    with pytest.raises(ValueError, match="is a cycle"):
        plan_of_graph(loop)


# ------------------------------------------------------------------------------ networks
def test_speeds_and_hardware_make_nodes():
    """1.5 B parameters: 2 x 1.5e9 / 20e12 s to read a token, 3e9 bytes at 0.2 TB/s to write one."""
    own = read_network(network_with(input_mbit=8, start="desk"))
    laptop, desk = own.network.nodes
    assert laptop.prompt_s_per_token == pytest.approx(1.5e-4)
    assert laptop.output_s_per_token == pytest.approx(0.015)
    assert (desk.prompt_s_per_token, desk.output_s_per_token) == (0.001, 0.025)
    assert (laptop.kind, desk.kind, desk.params) == ("device", "server", 32e9)
    assert (own.start, own.input_bits, own.network.links[0].bit_per_s) == ("desk", 8e6, 5e7)
    assert (own.weights.accuracy, own.weights.latency_per_s) == (1.0, 0.01)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (network_with({"name": "desk"}), r"nodes\[1\]: duplicate name 'desk'"),
        (network_with(None, {"between": ["laptop", "moon"]}), "links: 'moon' is no node"),
        (network_with(None, {"between": ["desk", "desk"]}), "joins a node with itself"),
        (network_with(start="moon"), "start: 'moon' is no node"),
        (network_with({"output_tokens_per_s": 1, "prompt_tokens_per_s": 1}), "speed is said twice"),
        ({"nodes": [{"name": "a", "params_b": 3}]}, "node 'a': its speed is said nowhere"),
        (network_with(None, {"mbps": 0}), "link 'laptop' - 'desk': mbps = 0 must be > 0"),
        (network_with({"tflops": "2"}), "node 'laptop': tflops: must be a number, is '2'"),
        (network_with({"tflop": 2}), r"nodes\[0\]: unknown field 'tflop', one of name, kind"),
        (network_with(None, {"channel": "desk"}), "channel 'desk' has the name of a node"),
    ],
)
def test_a_bad_network_is_told_precisely(document, message):
    """Which node or link, which field, which value."""
    with pytest.raises(ValueError, match=message):
        read_network(document)
