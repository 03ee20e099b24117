"""What to do with an order, decided from the delivery log and the clock alone.

The log is the memory: a process that is killed between two attempts leaves nothing behind, and
whoever receives the message next finds here how many attempts were made and when the next is due.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import uniform

from common.callbacks.orders import CallbackAttempt

JITTER = 0.1
"""Part of a pause that chance may add, so that receivers are not called all at once."""

GONE = 410
ADDRESS_REFUSED = "address-refused"
URL_REFUSED = "url-refused"
_FINAL_ERRORS = frozenset({ADDRESS_REFUSED, URL_REFUSED})
_FIRST_SUCCESS, _LAST_SUCCESS = 200, 299


@dataclass(frozen=True, slots=True)
class Attempt:
    """Call the receiver now. ``number`` goes on in the log; ``made`` is how many came before."""

    number: int
    made: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Too early: the next attempt is due in so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it."""


@dataclass(frozen=True, slots=True)
class Bury:
    """No other attempt will be made, for this reason."""

    code: str
    reason: str


Step = Attempt | Wait | Delivered | Bury


@dataclass(frozen=True, slots=True)
class Schedule:
    """The pause before each attempt; as many attempts as pauses."""

    pauses: Sequence[timedelta]

    def next_step(self, log: Sequence[CallbackAttempt], wanted: Wanted, now: datetime) -> Step:
        """What to do now, knowing every attempt that was made for the prediction."""
        made = [
            attempt
            for attempt in log
            if attempt.type == wanted.type and attempt.attempt > wanted.after
        ]
        if any(is_success(attempt) for attempt in made):
            return Delivered()
        if made and (end := self._end(made)) is not None:
            return end
        since = made[-1].at if made else wanted.at
        pause = self.pauses[len(made)]
        seconds = min(pause, since + pause - now).total_seconds()
        if seconds > 0:
            return Wait(seconds)
        return Attempt(number=log[-1].attempt + 1 if log else 1, made=len(made))

    def after_attempt(self, attempt: CallbackAttempt, *, made: int) -> Wait | Delivered | Bury:
        """What to do after an attempt; ``made`` counts this one too."""
        if is_success(attempt):
            return Delivered()
        end = _final(attempt, made)
        if end is not None:
            return end
        if made >= len(self.pauses):
            return _exhausted(attempt, made)
        return Wait(self.pauses[made].total_seconds() * uniform(1, 1 + JITTER))  # noqa: S311

    def _end(self, made: Sequence[CallbackAttempt]) -> Bury | None:
        final = _final(made[-1], len(made))
        if final is None and len(made) >= len(self.pauses):
            return _exhausted(made[-1], len(made))
        return final


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is ordered: the event's type and time, and the attempts that do not count for it."""

    type: str
    at: datetime
    after: int


def is_success(attempt: CallbackAttempt) -> bool:
    """2xx is success; a redirect is not, because it is not followed."""
    return attempt.status is not None and _FIRST_SUCCESS <= attempt.status <= _LAST_SUCCESS


def _final(attempt: CallbackAttempt, made: int) -> Bury | None:
    if attempt.status == GONE:
        return Bury("callback-gone", f"The receiver answered 410 at attempt {made}: it is gone.")
    if attempt.error in _FINAL_ERRORS:
        return Bury(
            "callback-refused", f"The guard refused to call at attempt {made}: {attempt.error}."
        )
    return None


def _exhausted(attempt: CallbackAttempt, made: int) -> Bury:
    found = attempt.error or f"HTTP {attempt.status}"
    return Bury("callback-exhausted", f"All {made} attempts failed. The last: {found}.")
