"""Seeded generators of caching instances."""
