"""Data files: which exist, checked reading, download. See docs/data.md."""

from mecopt.data.fetch import fetch as fetch
from mecopt.data.folder import describe as describe
from mecopt.data.folder import find as find
from mecopt.data.folder import resolve_data_dir as resolve_data_dir
from mecopt.data.folder import verify as verify
from mecopt.data.registry import FILES as FILES
from mecopt.data.spec import DataFile as DataFile
from mecopt.data.tables import Table as Table
from mecopt.data.tables import read as read
