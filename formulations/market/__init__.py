"""Efficient trade in a market."""
