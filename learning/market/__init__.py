"""Learned auctioneers."""
