"""Exact optima and certified bounds of snapshots of queries."""
