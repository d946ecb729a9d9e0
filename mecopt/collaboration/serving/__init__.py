"""Decisions for failing nodes over HTTP."""
