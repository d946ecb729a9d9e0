"""How sure a language model is of its answers, and how often it is right: measured margins."""
