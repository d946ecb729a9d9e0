"""Questions become the observation that a rule has in an episode."""

import numpy as np
import pytest

from mecopt.collaboration.network import Link, Network, Node
from mecopt.collaboration.policies.by_name import rule
from mecopt.collaboration.serving.question import Asker
from mecopt.offloading.status import NEVER

# Two nodes of 1e9 cycles/s: "a" has two places, "b" one. 1e6 bytes take 1 s from a to b.
NETWORK = Network(
    (Node("a", 1e9, 2, 0.1), Node("b", 1e9)),
    (Link("a", "b", 1e6), Link("b", "a", 1e6)),
    node_failure_per_s=0.0,
)
#: 2 s of transfer if sent, 3 s of execution on either node.
TASK = {"origin": "a", "size_bytes": 2e6, "cycles": 3e9, "deadline_s": 10.0}


def question(**known):
    return {"task": TASK, **known}


def latency_s(**known):
    return Asker(NETWORK).observation(question(**known)).latency_s.tolist()


def test_what_is_not_mentioned_is_free_and_up():
    """To stay takes 3 s, to be sent 2 + 3 s."""
    assert latency_s() == [3.0, 5.0]


def test_a_task_waits_for_the_first_place_that_is_free():
    """Places of a are busy for 7 and 4 s, so staying takes 4 + 3 s."""
    assert latency_s(place_wait_s={"a": [7.0, 4.0]}) == [7.0, 5.0]


def test_places_that_are_not_mentioned_are_free():
    """One place of a is busy for 7 s, the other is not."""
    assert latency_s(place_wait_s={"a": [7.0]}) == [3.0, 5.0]


def test_waits_pass_while_a_task_travels():
    """It leaves a after 1 s, reaches b at 3 s, which is busy until 4 s: 4 + 3 s."""
    assert latency_s(link_wait_s={"a > b": 1.0}, place_wait_s={"b": [4.0]}) == [3.0, 7.0]


def test_a_node_that_is_down_serves_nobody():
    observation = Asker(NETWORK).observation(question(down=["b"]))
    assert observation.completion_ns.tolist() == [3 * 10**9, NEVER]


def test_rules_answer_with_a_route():
    """Node a damages a task of 3 s with probability 1 - exp(-0.3): b is better, unless it waits."""
    asker = Asker(NETWORK)

    def answer(**known):
        observation, best = asker.observation(question(**known)), rule("expected-success")
        best.reset(observation.instance)
        return asker.answer(observation, best.act(observation))

    assert answer() == {"decision": "send", "route": ["a", "b"]}
    assert answer(down=["b"]) == {"decision": "keep", "route": ["a"]}
    assert answer(down=["a", "b"]) == {"decision": "drop", "route": ["a"]}


def test_no_hop_leaves_one_option():
    assert Asker(NETWORK, most_hops=0).observation(question()).n_options == 1


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ([], r"question: must be an object, is \[\]"),
        ({}, "task: must be an object, is None"),
        ({"task": TASK, "up": []}, "question: unknown field 'up'"),
        ({"task": {"origin": "a"}}, "task.size_bytes: is missing"),
        ({"task": TASK | {"origin": "z"}}, "task.origin: 'z' is no node"),
        ({"task": TASK | {"origin": ["a"]}}, r"task.origin: \['a'\] is no node"),
        ({"task": TASK | {"cycles": -1}}, "task.cycles = -1 must be between 0 and"),
        ({"task": TASK | {"cycles": "many"}}, "task.cycles: must be a number, is 'many'"),
        ({"task": TASK | {"cycles": 1e17}}, "seconds on the slowest node = 100000000.0 must be"),
        ({"task": TASK | {"size_bytes": 1e14}}, "seconds on the slowest link"),
        ({"task": TASK | {"deadline_s": True}}, "task.deadline_s: must be a number, is True"),
        (question(down="b"), "down: must be a list of nodes, is 'b'"),
        (question(down=["z"]), "down: 'z' is no node"),
        (question(place_wait_s=[1]), "place_wait_s: must be an object"),
        (question(place_wait_s={"b": [1, 1]}), "'b'.: must be a list of at most 1 waits"),
        (question(place_wait_s={"b": [None]}), "must be a number, is None"),
        (question(link_wait_s={"a > c": 1}), "link_wait_s: 'a > c' is no link"),
        (question(link_wait_s={"a > b": -1}), "'a > b'. = -1 must be between 0"),
    ],
)
def test_what_is_no_question_is_refused_in_one_line(asked, message):
    with pytest.raises(ValueError, match=message) as refused:
        Asker(NETWORK).observation(asked)
    assert "\n" not in str(refused.value)


def test_a_question_is_the_state_of_an_episode():
    """Rules decide on a question as in the episode that it was taken from."""
    import mecopt
    from mecopt.collaboration.network import Network as Net
    from mecopt.offloading.observation import OnlineSystem

    x = mecopt.scenarios.ledrl.generate("paper", seed=3, slots=2)
    network, system = Net.of(x), OnlineSystem(x)
    system.advance(0)
    seen = system.observe(0)
    service_s = x.believed_ns[x.stage_ptr[0] : x.stage_ptr[1]] * 1e-9
    origin = network.nodes[int(x.owner[0])]
    asked = {"origin": origin.name, "size_bytes": 0, "cycles": 0, "deadline_s": 4.0}
    asked["cycles"] = float(service_s[0] * origin.cycles_per_s)
    two_hops = next(o for o in x.options_of(0) if x.stage_ptr[o + 1] - x.stage_ptr[o] == 3)
    first = x.stage_resource[x.stage_ptr[two_hops]] - len(network.nodes)
    transfer_s = x.believed_ns[x.stage_ptr[two_hops]] * 1e-9
    asked["size_bytes"] = float(transfer_s * network.links[first].bytes_per_s)
    down = [n.name for i, n in enumerate(network.nodes) if not seen.up[i]]
    found = Asker(network).observation({"task": asked, "down": down})
    np.testing.assert_allclose(found.latency_s, seen.latency_s, rtol=0, atol=1e-6)


def complete(n):
    """Every node beside every other."""
    names = [str(i) for i in range(n)]
    links = tuple(Link(a, b, 1e6) for a in names for b in names if a != b)
    return Network(tuple(Node(name, 1e9) for name in names), links)


def test_too_many_routes_are_refused_at_once():
    """Of 30 nodes, 29 x 28 x 27 routes have three hops."""
    with pytest.raises(ValueError, match="most_hops = 3: node '0' has more than 20000 routes"):
        Asker(complete(30))
    with pytest.raises(ValueError, match="most_hops = 11: node '0' has more than 20000 routes"):
        Asker(complete(12), most_hops=11)
    assert Asker(complete(30), most_hops=2).observation({"task": TASK | {"origin": "0"}})


def test_more_places_than_can_be_counted_are_refused():
    with pytest.raises(ValueError, match="places = 2147483648 must be below"):
        Node("a", 1e9, 2**31)
