"""``python -m mecopt``, and what the script ``mecopt`` runs: the command line."""

import sys


def main() -> None:
    """Run a command; Ctrl-C while its modules are read is one line, as it is later."""
    try:
        from mecopt.cli import main as command_line

        command_line()
    except KeyboardInterrupt:
        print("mecopt: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
