"""Labels and rewards of decisions."""
