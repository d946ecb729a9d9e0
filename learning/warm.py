"""Compile the kernels of this package once, outside every clock."""

from __future__ import annotations

from importlib.util import find_spec


def warm_up() -> None:
    """Compile, or load from the on-disk cache, the kernels of states, rewards and environments."""
    from learning import option_features, states, zoo
    from mecopt import policies
    from mecopt.scenarios import comllm
    from mecopt.simulate import rollout

    episode = comllm.generate("busy", 0, users=3, servers=2, slots=12)
    for name in zoo.TEACHERS:
        rollout(episode, policies.make(name))
    option_features.of_states(states.collect([episode]))
    if find_spec("gymnasium") is not None:
        from learning.environment import OffloadingEnv

        world = OffloadingEnv(episode)
        world.reset(seed=0)
        world.step(0)

        from learning.t2drl.environment import CachingEnv
        from mecopt.scenarios import caching

        small = caching.generate("ten", 0, agents=3, servers=1, slots=4)
        for layer in (True, False):
            server = CachingEnv(lambda k: (small, 0), layer=layer)
            server.reset(seed=0)
            server.step(server.action_space.sample())
