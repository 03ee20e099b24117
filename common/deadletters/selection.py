"""Which letters an act is about."""

from __future__ import annotations

import msgspec

from common.deadletters.letter import DeadLetter


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Filters that must all hold; one that is left out holds for every letter.

    ``ids`` are prediction ids or SQS's message ids. ``sent_from_ms`` is SQS's clock, milliseconds
    since 1970: when a worker buried it, or, if SQS moved it, when it was first sent.
    """

    ids: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()
    sent_from_ms: int = 0

    def wants(self, letter: DeadLetter) -> bool:
        """Say whether the letter is meant."""
        return (
            letter.message.sent_ms >= self.sent_from_ms
            and (not self.codes or letter.code in self.codes)
            and (not self.ids or not self.ids.isdisjoint(letter.names))
        )


ALL = Selection()
