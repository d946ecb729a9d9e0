"""The decision process of collaborating nodes: who decides what, and what an agent knows of it."""
