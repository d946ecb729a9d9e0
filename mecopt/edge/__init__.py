"""Seeded generators of instances; every constant carries its tag."""
