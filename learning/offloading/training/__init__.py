"""Trainers of offloading rules."""
