"""Tables: a client's bytes to typed columns, and a violation for every row that is not usable.

Pure and synchronous: callers keep it off the event loop.
"""

from common.tables.read import read_table
from common.tables.table import DEFAULT_LIMITS, Dialect, Limits, Purpose, Table
from common.tables.unreadable import UnreadableFile

__all__ = [
    "DEFAULT_LIMITS",
    "Dialect",
    "Limits",
    "Purpose",
    "Table",
    "UnreadableFile",
    "read_table",
]
