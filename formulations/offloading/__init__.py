"""Offloading: the compact model, plan decomposition, and schedules from prices."""
