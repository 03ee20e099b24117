"""How long: one way to write a length of time in every service's settings."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator


def _seconds(found: object) -> object:
    """A bare number, which the environment can only give as text, as a number of seconds."""
    try:
        return float(found) if isinstance(found, str) else found
    except ValueError:
        return found


Seconds = Annotated[timedelta, BeforeValidator(_seconds)]
"""A length of time: ``2.5`` is seconds, ``PT2.5S`` is ISO 8601."""
