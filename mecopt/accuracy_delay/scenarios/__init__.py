"""Seeded snapshots of queries."""
