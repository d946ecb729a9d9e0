"""What a benchmark of task graphs measures and shows beside that of the offloading family."""
