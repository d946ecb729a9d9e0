"""Compile the kernels of this package once, outside every clock."""

from __future__ import annotations

from importlib.util import find_spec


def warm_up() -> None:
    """Compile, or load from the on-disk cache, the kernels of states, rewards and environments."""
    from learning import seeds
    from learning.offloading import zoo
    from learning.offloading.states import decision_states as states
    from learning.offloading.states import option_features
    from mecopt.offloading.policies import by_name as policies
    from mecopt.offloading.replay import rollout
    from mecopt.offloading.scenarios import comllm

    episode = comllm.generate("busy", 0, users=3, servers=2, slots=12)
    for name in zoo.TEACHERS:
        rollout(episode, policies.make(name))
    option_features.of_states(states.collect([episode]))

    from learning.collaboration import zoo as agents
    from learning.collaboration.process.simulator import Simulator
    from mecopt.collaboration.scenarios import ledrl

    failing = ledrl.generate("paper", seeds.FIRST_TRAINING, slots=2)
    play = Simulator([failing])
    play.step(play.mask.argmax(axis=1))
    rollout(failing, agents.load("ledrl"))
    if find_spec("gymnasium") is not None:
        from learning.offloading.training.environment import OffloadingEnv

        world = OffloadingEnv(episode)
        world.reset(seed=0)
        world.step(0)

        from learning.caching.environment import CachingEnv
        from mecopt.caching.scenarios import t2drl as caching

        small = caching.generate("ten", 0, agents=3, servers=1, slots=4)
        for layer in (True, False):
            server = CachingEnv(lambda k: (small, 0), layer=layer)
            server.reset(seed=0)
            server.step(server.action_space.sample())
