"""Training of the agents of failing nodes: MAPPO, VDN, MASAC, and LeDRL, MAPPO with more."""
