"""Seeded episodes of collaborative edge computing."""
