"""Learned planners of task graphs: distilled from the plans of a teacher (arXiv 2604.21399)."""
