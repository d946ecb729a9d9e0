"""Language-model machinery that any family can use."""
