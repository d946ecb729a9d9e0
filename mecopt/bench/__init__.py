"""Benchmarks: solve seeded instances, roll out policies, report how far each is from the bound."""
