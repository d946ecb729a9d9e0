"""Compiled parts of the caching policies."""
