"""Decision states as arrays."""
