"""What a benchmark of planners and rules for task graphs measures and shows."""
