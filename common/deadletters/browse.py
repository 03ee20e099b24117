"""One pass over a dead-letter queue: every letter once, none lost, none hidden after the pass.

SQS cannot be looked at without receiving, and a message given back at once may be the very next
one received. So a pass keeps what it has seen hidden under short leases, and gives everything back
when it ends: a crash gives it back too, ``VISIBILITY_SECONDS`` later.

The pass ends when a long poll, which asks all of SQS's servers, finds nothing; when as many
letters are held as ``most_held`` allows; or when a whole lap of letters came again without a new
one among them (their leases were lost: the process had been frozen).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from msgspec import structs

from common.deadletters.letter import SOURCE_ARN, DeadLetter, read_letter
from common.errors import CarimboError
from common.sqs import LeaseKeeper, ReceivedMessage, Settler
from common.sqs.envelope import SYSTEM_ATTRIBUTES
from common.sqs.errors import sqs_errors
from common.sqs.limits import BATCH_ENTRIES

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

VISIBILITY_SECONDS = 60
"""How long a pass that was killed hides what it held; renewed at half while it lives."""

POLL_SECONDS = 1
"""Enough for SQS to ask all its servers, which a poll of zero seconds does not."""

MOST_HELD = 50_000
"""About 1 KiB each here; SQS itself lets 120,000 messages of a queue be hidden at a time."""

_RELEASED_TOGETHER = 1_000

T = TypeVar("T")


class Browse:
    """A pass under way. Use it as a context: leaving it gives back what is held.

    ``receiver`` is a client for receives only, ``client`` one for everything else.
    """

    def __init__(
        self,
        receiver: SQSClient,
        client: SQSClient,
        queue_url: str,
        *,
        most_held: int = MOST_HELD,
    ) -> None:
        self._receiver = receiver
        self._settler = Settler(client)
        self._queue_url = queue_url
        self._most_held = most_held
        # A settler of their own: a worker's deletes gather while leases are held, and here leases
        # are held all the time.
        self._lease = LeaseKeeper(Settler(client), visibility_seconds=VISIBILITY_SECONDS)
        self._seen: set[str] = set()
        self._held: dict[str, ReceivedMessage] = {}
        self._repeats = 0
        self.is_full = False
        """Whether the pass ended because it may hold no more."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._lease.close()  # first: an extension must not hide again what is given back
        await self._release_held()

    async def next_letters(self) -> Sequence[DeadLetter]:
        """Give up to ten letters that this pass has not seen; none when it is at its end.

        Raises:
            CarimboError: SQS did not answer, or refused.
        """
        while self._repeats <= len(self._seen):
            if len(self._held) >= self._most_held:
                self.is_full = True
                return []
            letters = await uncut(self._receive())
            if not letters:
                return []
            fresh: list[DeadLetter] = []
            again: list[DeadLetter] = []
            for letter in letters:
                (again if letter.message.message_id in self._seen else fresh).append(letter)
                self._seen.add(letter.message.message_id)
            await self._meet_again(again)
            if fresh:
                self._repeats = 0
                return fresh
        return []

    async def delete(self, letter: DeadLetter) -> None:
        """Remove a letter from the queue for good.

        Raises:
            CarimboError: SQS did not answer, or refused; the letter stays.
        """
        message_id = letter.message.message_id
        # Of several receipts of one message, only the newest is sure to count.
        await self._delete(self._held.get(message_id, letter.message))
        self._held.pop(message_id, None)

    async def _receive(self) -> Sequence[DeadLetter]:
        with sqs_errors("ReceiveMessage"):
            answer = await self._receiver.receive_message(
                QueueUrl=self._queue_url,
                MaxNumberOfMessages=BATCH_ENTRIES,
                WaitTimeSeconds=POLL_SECONDS,
                VisibilityTimeout=VISIBILITY_SECONDS,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=[*SYSTEM_ATTRIBUTES, SOURCE_ARN],  # type: ignore[list-item]
            )
        letters = [read_letter(raw, self._queue_url) for raw in answer.get("Messages", ())]
        for letter in letters:
            self._hold(letter.message)
        return letters

    def _hold(self, message: ReceivedMessage) -> None:
        """Keep the handle, not the content: thousands are held, of up to a mebibyte each."""
        bare = structs.replace(message, body=b"", headers={})
        if message.message_id not in self._seen or message.message_id in self._held:
            self._held[message.message_id] = bare
        self._lease.hold(bare)

    async def _meet_again(self, letters: Sequence[DeadLetter]) -> None:
        """Settle what was seen before: what is no longer held was deleted, and must go still."""
        self._repeats += len(letters)
        await asyncio.gather(
            *(
                self._delete(letter.message)
                for letter in letters
                if letter.message.message_id not in self._held
            )
        )

    async def _delete(self, message: ReceivedMessage) -> None:
        await self._lease.drop(message)
        await self._settler.delete(message)

    async def _release_held(self) -> None:
        held = list(self._held.values())
        self._held.clear()
        for first in range(0, len(held), _RELEASED_TOGETHER):
            outcomes = await asyncio.gather(
                *(
                    self._settler.release(message, delay_seconds=0)
                    for message in held[first : first + _RELEASED_TOGETHER]
                ),
                return_exceptions=True,
            )
            if any(isinstance(outcome, CarimboError) for outcome in outcomes):
                return  # SQS is in trouble: the leases end by themselves


async def uncut(work: Awaitable[T]) -> T:
    """Let ``work`` end even when the caller is cancelled, and only then pass the cancellation on.

    A receive that is cut off hides what was in its answer; an act cut off may be done by half.
    """
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        if not running.cancelled():
            running.exception()  # looked at, so that asyncio does not print it
        raise
