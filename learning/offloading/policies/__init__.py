"""Trained networks and language models as offloading rules."""
