"""Online rules for collaborative edge computing."""
