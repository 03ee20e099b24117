"""What a client prefers (RFC 7240): how to treat bad rows, how long to wait, or not to.

Pure: header values in, a decision out. A preference that is unknown, malformed or out of place is
ignored, as the RFC asks; of one that is named twice, the first counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

LONGEST_WAIT = timedelta(seconds=60)

_WHOLE_SECONDS = re.compile(r"[1-9][0-9]{0,8}")


class Handling(StrEnum):
    """What to do with a file that has bad rows."""

    LENIENT = "lenient"
    STRICT = "strict"


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a request asked for, with the gaps filled.

    ``respond_async``: the client will come for the result, after ``wait`` (0 unless it says more).
    ``applied`` is the value for ``Preference-Applied``; empty when nothing was asked that counts.
    """

    handling: Handling
    wait: timedelta
    applied: str
    respond_async: bool = False


def read_preferences(headers: Iterable[str], *, default_wait: timedelta) -> Preferences:
    """Decide from the values of all ``Prefer`` headers, in the order they came.

    A wait over ``LONGEST_WAIT`` is cut to it, and ``applied`` says so.
    """
    asked: dict[str, str] = {}
    for name, value in _preferences(headers):
        asked.setdefault(name, value)
    applied: list[str] = []

    handling = Handling.LENIENT
    if asked.get("handling") in set(Handling):
        handling = Handling(asked["handling"])
        applied.append(f"handling={handling}")

    respond_async = "respond-async" in asked
    if respond_async:
        applied.append("respond-async")

    wait = timedelta(0) if respond_async else default_wait
    if _WHOLE_SECONDS.fullmatch(asked.get("wait", "")):
        wait = min(timedelta(seconds=int(asked["wait"])), LONGEST_WAIT)
        applied.append(f"wait={int(wait.total_seconds())}")

    return Preferences(
        handling=handling,
        wait=wait,
        applied=", ".join(applied),
        respond_async=respond_async,
    )


def _preferences(headers: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each preference's lower-case name and unquoted value, without its parameters."""
    for header in headers:
        for preference in _split_outside_quotes(header, ","):
            named = next(_split_outside_quotes(preference, ";"))
            name, _, value = named.partition("=")
            yield name.strip().lower(), _unquoted(value.strip())


def _split_outside_quotes(text: str, separator: str) -> Iterator[str]:
    """Split in one pass: a pattern that backtracks could be made to run for ever by a client."""
    if '"' not in text:
        yield from text.split(separator)
        return
    start, quoted, escaped = 0, False, False
    for position, character in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == separator and not quoted:
            yield text[start:position]
            start = position + 1
    yield text[start:]


def _unquoted(value: str) -> str:
    if len(value) > 1 and value.startswith('"') and value.endswith('"'):
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value
