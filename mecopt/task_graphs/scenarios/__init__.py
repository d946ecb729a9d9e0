"""Seeded scenarios of task graphs."""
