"""What a benchmark of rules for snapshots measures and shows."""
