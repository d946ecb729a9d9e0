"""Benchmarks of collaborative edge computing."""
