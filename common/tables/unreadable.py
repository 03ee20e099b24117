"""The error of a file that gives no rows at all."""

from __future__ import annotations

from common.errors import PermanentError
from common.messages import Violation

QUOTED_VIOLATIONS = 100
"""How many violations an unreadable file's answer lists: enough to see what is wrong with it."""


class UnreadableFile(PermanentError):  # noqa: N818 - named for what is wrong
    """A file without a usable row: what was looked for, what was found, what to do.

    ``code`` is one of ``empty-file``, ``unreadable-file``, ``unsupported-media-type``,
    ``too-large-unpacked``, ``too-many-rows``, ``no-header``, ``duplicate-header``, ``no-good-row``.
    Neither ``message`` nor ``found`` holds a row's content; ``violations`` may, outside personal
    columns, and go to the client alone.
    """

    def __init__(  # noqa: PLR0913 - an answer's parts, each by name
        self,
        code: str,
        message: str,
        *,
        looked_for: str = "",
        found: str = "",
        violations: list[Violation] | None = None,
        rows_read: int = 0,
    ) -> None:
        super().__init__(code, message)
        self.looked_for = looked_for
        self.found = found
        self.violations = (violations or [])[:QUOTED_VIOLATIONS]
        self.rows_read = rows_read


def too_many_rows(found: int, bound: int) -> UnreadableFile:
    """Make the error of a file with more lines or rows than one file may have."""
    return UnreadableFile(
        "too-many-rows",
        f"The file has {found} rows, and one file may have {bound}. Split it.",
        looked_for=f"at most {bound} rows",
        found=f"{found} rows",
    )
