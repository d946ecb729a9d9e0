"""``python -m mecopt``: the command line."""

from mecopt.cli import main

main()
