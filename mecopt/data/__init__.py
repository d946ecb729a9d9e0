"""Data files: which exist, checked reading, download. See docs/data.md."""

from mecopt.data.fetch import fetch as fetch
from mecopt.data.registry import FILES as FILES
from mecopt.data.registry import DataFile as DataFile
from mecopt.data.registry import describe as describe
from mecopt.data.registry import find as find
from mecopt.data.registry import resolve_data_dir as resolve_data_dir
from mecopt.data.registry import verify as verify
from mecopt.data.tables import Table as Table
from mecopt.data.tables import read as read
