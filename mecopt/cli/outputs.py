"""What a command writes: tried before the work, and each written even if another fails."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import typer

from mecopt.cli import shell

if TYPE_CHECKING:
    from mecopt.files import Format

#: The name of the standard output, for `--json`.
_STANDARD = "-"


class Outputs:
    """Files and folders that a command was asked to write.

    Making it tries them all; leaving its context ends the command with status 2 when one could not
    be written. With ``--json -`` the JSON goes to the standard output, and everything else that is
    printed in the context to the standard error.

    Parameters
    ----------
    files : mapping
        Option without dashes -> path, None where it was left out.
    folders : mapping, optional
        The same for folders.
    reads : mapping, optional
        The same for files that the command reads, and must not overwrite.

    Raises
    ------
    ValueError
        If one cannot be written: names the option, the path as it was given, and why.
    """

    def __init__(
        self,
        files: Mapping[str, Path | None],
        folders: Mapping[str, Path | None] | None = None,
        reads: Mapping[str, Path | None] | None = None,
    ) -> None:
        self._files = {name: path for name, path in files.items() if path is not None}
        self._folders = {name: path for name, path in (folders or {}).items() if path is not None}
        self._reads = {name: path for name, path in (reads or {}).items() if path is not None}
        self._has_failed = False
        self._stack = ExitStack()
        self._stdout = sys.stdout
        self._try_all()

    def __enter__(self) -> Self:
        if self.json_is_printed:
            self._stdout = self._stack.enter_context(_stdout_kept())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        if error is None and self._has_failed:
            raise typer.Exit(shell.USER_ERROR)

    @property
    def json_is_printed(self) -> bool:
        """Whether the JSON goes to the standard output."""
        return str(self._files.get("json")) == _STANDARD

    def write(self, name: str, write: Callable[[Path], object], said: str = "") -> None:
        """Write one file or folder that was asked for; what goes wrong does not stop the rest.

        Parameters
        ----------
        name : str
            The option.
        write : callable
            Path -> None.
        said : str
            Printed once it is written, with the path in place of ``{path}``; nothing unless said.
        """
        path = (self._files | self._folders).get(name)
        if path is None:
            return
        try:
            write(path)
        except OSError as error:
            self._fail(shell.os_error(error))
        except ValueError as error:
            self._fail(str(error))
        else:
            if said:
                typer.echo(said.format(path=path))

    def write_json(self, value: Any, said: str = "") -> None:
        """Write what ``--json`` asks for as strict JSON; `said` as for `write`."""
        from mecopt import files

        if self.json_is_printed:
            self._print(files.json_text(value))
        else:
            self.write("json", lambda path: files.write_json(path, value), said)

    def write_document(self, format: Format, body: Mapping[str, Any]) -> None:
        """Write what ``--json`` asks for as a document of a format of its own."""
        if self.json_is_printed:
            self._print(format.text(body))
        else:
            self.write("json", lambda path: format.write(path, body))

    def _print(self, text: str) -> None:
        try:
            self._stdout.write(text)
            self._stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            self._fail(f"standard output: {error.strerror}")

    def _fail(self, message: str) -> None:
        self._has_failed = True
        shell.say_error(message)

    def _try_all(self) -> None:
        seen = {
            os.path.realpath(path): f"{name} is read from" for name, path in self._reads.items()
        }
        for name, path in self._files.items():
            if str(path) == _STANDARD:
                if name != "json":
                    raise ValueError(f"{name}: only --json takes - for the standard output")
                continue
            _try_file(name, path)
            real = os.path.realpath(path)
            if real in seen and not _is_special(path):
                raise ValueError(f"{name}: {seen[real]} {path}, too; choose another file")
            seen[real] = f"{name} goes to"
        for name, path in self._folders.items():
            try_folder(name, path)


def _is_special(path: Path) -> bool:
    """Whether a path leads to a device, a pipe or the like."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _try_file(name: str, path: Path) -> None:
    if path.is_dir():
        raise ValueError(f"{name}: {path} is a folder, not a file")
    if not _is_special(path):
        _try_in(name, path, Path(os.path.realpath(path)).parent)
    elif not os.access(path, os.W_OK):
        raise ValueError(f"{name}: {path} cannot be written")


def try_folder(name: str, path: Path) -> None:
    """Refuse a folder that is a file, that cannot be made, or in which nothing can be written.

    Raises
    ------
    ValueError
        Names the option, the path as it was given, and why.
    """
    if path.exists() and not path.is_dir():
        raise ValueError(f"{name}: {path} is a file, not a folder")
    _try_in(name, path, Path(os.path.realpath(path)))


def _try_in(name: str, path: Path, folder: Path) -> None:
    """Write nothing into a folder, or where it would be made."""
    try:
        while not folder.exists():
            folder = folder.parent
        if not stat.S_ISDIR(folder.stat().st_mode):
            raise ValueError(f"{name}: {path} cannot be written ({folder} is a file)")
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"{name}: {path} cannot be written ({error.strerror})") from None


@contextmanager
def _stdout_kept() -> Iterator[Any]:
    """The standard output, while whatever is printed goes to the standard error."""
    real = sys.stdout
    real.flush()
    try:
        kept = os.dup(1) if real.fileno() == 1 else None
    except (OSError, ValueError):  # something in its place that is no file of the system
        kept = None
    if kept is None:
        with redirect_stdout(sys.stderr):
            yield real
        return
    # Solvers print past Python, and worker processes inherit the number. What Python prints has a
    # number of its own, because Pyomo reads what arrives at 1 and 2 and prints it again.
    os.dup2(2, 1)
    try:
        with (
            open(os.dup(2), "w", buffering=1, encoding="utf-8") as errors,
            redirect_stdout(errors),
            open(os.dup(kept), "w", encoding="utf-8") as stream,
        ):
            yield stream
    finally:
        os.dup2(kept, 1)
        os.close(kept)
