"""Seeded generators of offloading instances."""
