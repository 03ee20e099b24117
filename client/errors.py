"""What a command tells a person when it cannot go on: one clear line, never a traceback."""

from __future__ import annotations


class CommandError(Exception):
    """What was found, what was expected, and what to do next."""
