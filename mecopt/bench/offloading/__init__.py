"""What a benchmark of offloading rules measures and shows."""
