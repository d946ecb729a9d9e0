"""What can be learned: policies and their training (the `learning` extra)."""

from mecopt import compiled as compiled  # before any kernel of this package is declared
