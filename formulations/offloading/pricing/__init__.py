"""Pricing of offloading plans."""
