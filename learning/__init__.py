"""What can be learned: policies and their training (the `learning` extra)."""
