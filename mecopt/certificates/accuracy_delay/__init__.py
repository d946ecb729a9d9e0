"""Exact values of snapshots of queries, in whole numbers."""
