"""Claim checks: the rows of a file that no message can carry wait in the bucket for their worker.

Both sides stand on this package: the producer checks rows in, the worker redeems them, and the
sweeper removes them once their prediction has ended.
"""

from common.claims.claims import Claims
from common.claims.sweeper import sweep_claims
from common.claims.table import ClaimedTable, TablePart, read_table_parts, write_part

__all__ = [
    "ClaimedTable",
    "Claims",
    "TablePart",
    "read_table_parts",
    "sweep_claims",
    "write_part",
]
