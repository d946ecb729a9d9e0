"""Folders that trainings leave behind, and their learning curves."""
