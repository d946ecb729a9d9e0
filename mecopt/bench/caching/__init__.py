"""What a benchmark of caching rules measures and shows."""
