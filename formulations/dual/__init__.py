"""Plan decomposition for any family: dual ascent, column generation, progress, stopping."""
