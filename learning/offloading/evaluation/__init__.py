"""How trained offloading rules are measured."""
