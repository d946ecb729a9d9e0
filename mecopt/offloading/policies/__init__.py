"""Online offloading rules."""
