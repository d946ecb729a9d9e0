"""Certificates of caching results, checked in plain integers."""
