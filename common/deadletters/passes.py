"""One pass: every letter of the queue is met once, and an act is done on those that are meant.

Letters are worked on as they come, ten at a time at most; the others are left as they are. A
letter on which the act fails stays in the queue; when SQS or the object store themselves are in
trouble, the pass stops.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from common.deadletters.browse import Browse, uncut
from common.deadletters.letter import DeadLetter
from common.deadletters.pace import Pace
from common.deadletters.selection import Selection
from common.errors import CarimboError, PermanentError, TransientError

Act = Callable[[Browse, DeadLetter], Awaitable[str]]
"""Works on one letter and says in a few words what became of it."""

OnProgress = Callable[["PassReport"], None]


class Failure(msgspec.Struct, kw_only=True):
    """Letters that stay for one reason: how many, and what was said of the last."""

    count: int = 0
    message: str = ""


class PassReport(msgspec.Struct, kw_only=True):
    """What a pass did so far.

    ``seen`` counts the letters met; ``came_back`` those that this very pass had sent back and that
    were buried anew. ``codes`` and ``outcomes`` count the letters worked on, ``failures`` those
    that stay, by the error's code. ``found`` are the selection's ids that were met.
    ``is_cut_short``: there may be letters that the pass did not meet.
    """

    seen: int = 0
    came_back: int = 0
    codes: Counter[str] = msgspec.field(default_factory=Counter)
    outcomes: Counter[str] = msgspec.field(default_factory=Counter)
    failures: dict[str, Failure] = msgspec.field(default_factory=dict)
    found: set[str] = msgspec.field(default_factory=set)
    is_cut_short: bool = False
    stopped_by: TransientError | None = None

    @property
    def done(self) -> int:
        """How many letters were worked on without a failure."""
        return self.outcomes.total()


class Pass:
    """One selection, one act; ``limit`` ends it after so many letters that are meant."""

    def __init__(  # noqa: PLR0913 - by keyword, most have defaults
        self,
        selection: Selection,
        act: Act,
        *,
        pace: Pace | None = None,
        limit: int | None = None,
        came_back: Callable[[DeadLetter], bool] = lambda _: False,
        on_progress: OnProgress = lambda _: None,
    ) -> None:
        self._selection = selection
        self._act = act
        self._pace = pace or Pace()
        self._limit = limit
        self._came_back = came_back
        self._on_progress = on_progress
        self._report = PassReport()

    async def run(self, browse: Browse) -> PassReport:
        """Do the pass; what is under way ends even when it is cancelled.

        Raises:
            PermanentError: the queue is gone, or we may not read it.
        """
        report = self._report
        while report.stopped_by is None and not report.is_cut_short:
            try:
                letters = await browse.next_letters()
            except TransientError as error:
                report.stopped_by = error
                break
            if not letters:
                report.is_cut_short = browse.is_full
                break
            await self._work(browse, self._meant(letters))
            self._on_progress(report)
        return report

    def _meant(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Take note of what was received; give what is to be worked on."""
        meant: list[DeadLetter] = []
        for letter in letters:
            if self._came_back(letter):
                self._report.came_back += 1
                continue
            self._report.seen += 1
            if self._selection.wants(letter):
                self._report.found |= self._selection.ids & letter.names
                meant.append(letter)
        return meant

    async def _work(self, browse: Browse, letters: Sequence[DeadLetter]) -> None:
        if self._limit is not None:
            letters = letters[: self._limit - self._report.done]
        for first in range(0, len(letters), self._pace.step):
            step = letters[first : first + self._pace.step]
            await self._pace.turn(len(step))
            acts = asyncio.gather(
                *(self._act(browse, letter) for letter in step), return_exceptions=True
            )
            for letter, outcome in zip(step, await uncut(acts), strict=True):
                self._conclude(letter, outcome)
            self._on_progress(self._report)
            if self._report.stopped_by is not None:
                return
        self._report.is_cut_short = self._report.done == self._limit

    def _conclude(self, letter: DeadLetter, outcome: str | BaseException) -> None:
        report = self._report
        if isinstance(outcome, str):
            report.codes[letter.code] += 1
            report.outcomes[outcome] += 1
            return
        if not isinstance(outcome, CarimboError):
            raise outcome
        failure = report.failures.setdefault(outcome.code, Failure())
        failure.count += 1
        failure.message = outcome.message
        if not isinstance(outcome, PermanentError):
            report.stopped_by = TransientError(outcome.code, outcome.message)
