"""What is known of a data file: its columns, its licence, where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

#: Environment variable that names the data folder.
DATA_DIR_VARIABLE = "MECOPT_DATA"


@dataclass(frozen=True)
class Column:
    """A column that mecopt reads.

    Parameters
    ----------
    name : str
    kind : str
        ``"text"``, ``"int"`` or ``"float"``.
    meaning : str
        Unit or meaning.
    low, high : float
        Smallest and largest value allowed.
    optional : bool
        True when cells may be empty (read as NaN; text as an empty string).
    rising : bool
        True when values never fall from one row to the next.
    """

    name: str
    kind: str
    meaning: str
    low: float = float("-inf")
    high: float = float("inf")
    optional: bool = False
    rising: bool = False


@dataclass(frozen=True)
class Original:
    """A file in a public repository, and the name of its conversion (`mecopt.data.convert`)."""

    repository: str
    commit: str
    path: str
    conversion: str


@dataclass(frozen=True)
class DataFile:
    """A data file: what is in it, where it comes from, who needs it.

    Parameters
    ----------
    name : str
        Short name, for `fetch` and for error messages.
    path : str
        Path inside the data folder; ``.gz`` is compressed CSV.
    columns : tuple of Column
        Columns that are read; others may be there and are ignored.
    purpose, licence, source : str
    rows : int
        Data rows of the known content.
    sha256 : str
        SHA-256 (hex) of the known content, uncompressed.
    scenarios : tuple of str
        Scenarios that read the file.
    original : Original, optional
        None for a table compiled from several sources.
    section : str
        Section of the data folder's README that describes the file.
    """

    name: str
    path: str
    columns: tuple[Column, ...]
    purpose: str
    licence: str
    source: str
    rows: int = 0
    sha256: str = ""
    scenarios: tuple[str, ...] = ("traces",)
    original: Original | None = None
    section: str = ""

    @property
    def described(self) -> str:
        """Where people read about the file."""
        return f"is described in {self.section} of the data folder's README.md"

    @property
    def origin(self) -> str:
        """One sentence for error messages: where the file comes from and how to get it."""
        if not self.section:
            return f"{self.path} is {self.source}"
        fetched = f"get it with `mecopt data fetch {self.name}`"
        how = f"it {self.described}" if self.original is None else fetched
        return (
            f"{self.path} comes from {self.source} ({self.licence}); {how}, "
            f"or point {DATA_DIR_VARIABLE} or --data-dir to a folder that has it"
        )
