"""The command line in this process."""

from typing import Any

from click.testing import Result
from typer.testing import CliRunner

from mecopt.cli import app


def mecopt(*arguments: object, **options: Any) -> Result:
    """Run a command; what it prints, raises and exits with is in the result."""
    return CliRunner().invoke(app, [str(a) for a in arguments], **options)


def refused(*arguments: object) -> str:
    """What a command says that cannot do what it is asked: status 2, no traceback."""
    done = mecopt(*arguments)
    assert done.exit_code == 2
    said = done.output + (done.stderr if done.stderr_bytes else "")
    assert "Traceback" not in said
    return said
