"""Certificates of offloading results, checked in plain integers."""
