"""What the commands share: errors in one line, JSON output, warm-up."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from typer.core import TyperCommand, TyperGroup

from mecopt import terminal

#: Exit statuses: a certificate was rejected; the user must change something; a certificate was not
#: verified within the time limit; Ctrl-C.
REJECTED, USER_ERROR, UNDECIDED, INTERRUPTED = 1, 2, 3, 130

# What typer raises for unknown options, missing arguments and the like; it has no public name.
_UsageError: Any = typer.BadParameter.__base__


def say_error(message: object) -> None:
    """One line on stderr."""
    text = terminal.printable(" ".join(str(message).split()))
    typer.echo(f"mecopt: {text}", err=True)


def os_error(error: OSError) -> str:
    """What the system refused, with the path where it says one."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror}" if error.strerror else str(error)


#: Commands that are built when they are used: name -> one line of help, function that builds.
LATE: dict[str, tuple[str, Callable[[], typer.Typer]]] = {}


class OneLineErrors(TyperGroup):
    """A command group whose user errors are one line on stderr and status 2, no traceback.

    User errors are usage errors, `ValueError` (the package raises it with the argument and the
    value) and `OSError` (missing files, full disks). Anything else is a bug and keeps its
    traceback.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        return [*LATE, *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A stand-in with its line of help for commands that are built late."""
        if cmd_name in LATE:
            return TyperCommand(cmd_name, help=LATE[cmd_name][0])
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in LATE:
            command = typer.main.get_command(LATE[args[0]][1]())
            command.name = args[0]
            return args[0], command, args[1:]
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            say_error(os_error(error))
        except ValueError as error:
            say_error(error)
        except KeyboardInterrupt:
            say_error("interrupted; no file is left half written, run the same command again")
            raise typer.Exit(INTERRUPTED) from None
        raise typer.Exit(USER_ERROR)

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except _UsageError as error:
            say_error(error.format_message())
            code = USER_ERROR
        except typer.Abort:  # Ctrl-C before a command had begun
            say_error("interrupted")
            code = INTERRUPTED
        sys.exit(code if isinstance(code, int) else 0)


def columns(header: Sequence[str], rows: Iterable[Sequence[str]], *, text_columns: int = 1) -> str:
    """Text in aligned columns, as wide as it needs to be; the first are words, set left."""
    lines = [list(header), *map(list, rows)]
    width = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if i < text_columns else cell.rjust(w) for i, (cell, w) in enumerate(row)
        ).rstrip()
        for row in (zip(line, width, strict=True) for line in lines)
    )


@contextmanager
def progress(unit: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal, nothing elsewhere; call with (what is done, so far, in all)."""
    screen = Console(stderr=True)
    parts = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
    )
    with Progress(*parts, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def show(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield show


def console(*, stderr: bool = False) -> Console:
    """A console that is wide enough for the tables when the output is not a terminal."""
    probe = Console(stderr=stderr)
    return probe if probe.is_terminal else Console(stderr=stderr, width=120)


def warm_up(family: str = "offloading") -> None:
    """Compile a family's kernels (the first time takes a minute), outside every clock."""
    import formulations

    with status("compiling kernels (only the first time)"):
        formulations.warm_up(family)


def status(text: str) -> AbstractContextManager[object]:
    """A spinner on a terminal, nothing elsewhere."""
    return Console(stderr=True).status(text)


def default_data_dir(data_dir: Path | None) -> str | None:
    """The folder as text; None leaves it to ``MECOPT_DATA`` and the default."""
    return None if data_dir is None else os.fspath(data_dir)
