"""The two kinds of error that cross a boundary.

Anything else that escapes is a bug: it is logged with its traceback and treated as transient
until the message's attempts are spent.
"""

from __future__ import annotations


class CarimboError(Exception):
    """A failure the system knows how to answer.

    ``code`` is stable and machine-readable (``unreadable-file``); ``message`` tells a person what
    was found, where, what was expected and what to do next, and never holds a row's content.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class PermanentError(CarimboError):
    """Trying again cannot help: answer now, or bury now, with the reason."""


class TransientError(CarimboError):
    """Trying again may help, after ``delay_seconds``."""

    def __init__(self, code: str, message: str, *, delay_seconds: float = 1.0) -> None:
        super().__init__(code, message)
        self.delay_seconds = delay_seconds
