"""T2DRL: caching decisions by PPO with a feasibility layer and a layer that learns at test time."""
