"""Decision states as text."""
