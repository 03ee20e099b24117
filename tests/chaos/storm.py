"""The faults, one after the other, as the seed has them: every kind once before any comes again."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec

from tests.chaos.proxy import Copy, Proxy
from tests.chaos.system import VISIBILITY_SECONDS, System

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 3.0
DUPLICATES = 15
GARBAGE = (
    "this is no JSON: {mark}",
    '{{"type":"callback-order","prediction_id":"{mark}","url":"http://127.0.0.1:1/"}}',
    '["{mark}"]',
    '{{"type":"prediction-request","prediction_id":"{mark}"}}',
)
"""None can be read as a request; the mark tells them apart."""

BATCH = 10


class Storm:
    """``events`` counts the faults; ``garbage`` are bodies that nobody can read."""

    def __init__(
        self, system: System, proxy: Proxy, sqs: SQSClient, queue_url: str, draw: random.Random
    ) -> None:
        self._system = system
        self._proxy = proxy
        self._sqs = sqs
        self._queue_url = queue_url
        self._draw = draw
        self._deck: list[Callable[[], Awaitable[None]]] = []
        self.events: Counter[str] = Counter()
        self.duplicates = 0
        self.garbage: list[str] = []
        self.empty_requests: list[str] = []

    async def rage(self, until: asyncio.Event) -> None:
        """Do faults until told to stop, and leave none behind."""
        try:
            while not until.is_set():
                await asyncio.sleep(self._draw.uniform(SHORTEST_PAUSE, LONGEST_PAUSE))
                await self._next()()
        finally:
            self._proxy.heal()

    def _next(self) -> Callable[[], Awaitable[None]]:
        if not self._deck:
            self._deck = [
                *[self._kill_consumer] * 2,
                self._kill_producer,
                self._kill_callbacks,
                self._freeze_consumer,
                self._pause_engine,
                self._cut,
                self._refuse,
                self._lose_answers,
                self._delay,
                *[self._duplicate] * 2,
                self._throw_garbage,
            ]
            self._draw.shuffle(self._deck)
        return self._deck.pop()

    async def _kill_consumer(self) -> None:
        self._kill("consumer")

    async def _kill_producer(self) -> None:
        self._kill("producer")

    async def _kill_callbacks(self) -> None:
        self._kill("callbacks")

    def _kill(self, service: str) -> None:
        self.events[f"kill -9 of a {service}"] += 1
        self._system.kill(self._draw.choice(self._system.of(service)))

    async def _freeze_consumer(self) -> None:
        """Longer than its leases: others take its requests, then it wakes up and goes on."""
        self.events["freeze of a consumer past its leases"] += 1
        child = self._draw.choice(self._system.of("consumer")).child
        child.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(VISIBILITY_SECONDS + 1.5)
        finally:
            child.signal(signal.SIGCONT)

    async def _pause_engine(self) -> None:
        self.events["pause of the engine"] += 1
        engine = self._system.engine.child
        if engine is None:
            raise RuntimeError("the engine does not run")
        engine.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(self._draw.choice([0.5, 1.5, 3.0, 6.0]))
        finally:
            engine.signal(signal.SIGCONT)

    async def _cut(self) -> None:
        self.events["cut of every connection to AWS"] += 1
        self._proxy.cut_all()

    async def _refuse(self) -> None:
        self.events["refusal of new connections to AWS"] += 1
        self._proxy.is_refusing = True
        self._proxy.cut_all()
        await asyncio.sleep(self._draw.uniform(0.3, 1.5))
        self._proxy.is_refusing = False

    async def _lose_answers(self) -> None:
        self.events["spell of lost answers from AWS"] += 1
        self._proxy.lost_share = self._draw.uniform(0.1, 0.4)
        await asyncio.sleep(self._draw.uniform(0.5, 1.5))
        self._proxy.lost_share = 0.0

    async def _delay(self) -> None:
        self.events["spell of delays"] += 1
        self._proxy.delay_seconds = self._draw.uniform(0.05, 0.3)
        await asyncio.sleep(self._draw.uniform(1.0, 2.0))
        self._proxy.delay_seconds = 0.0

    async def _duplicate(self) -> None:
        """Send again what was sent before: two deliveries of one request, at any distance."""
        self.events["spell of duplicated requests"] += 1
        known = list(self._proxy.copies)
        chosen = self._draw.sample(known, min(DUPLICATES, len(known)))
        # The newest are still being worked on, by somebody else.
        chosen += known[-(DUPLICATES // 3) :]
        for at in range(0, len(chosen), BATCH):
            await self._send(chosen[at : at + BATCH])
        self.duplicates += len(chosen)

    async def _throw_garbage(self) -> None:
        self.events["spell of unreadable messages"] += 1
        for text in GARBAGE:
            body = text.format(mark=uuid4())
            await self._sqs.send_message(QueueUrl=self._queue_url, MessageBody=body)
            self.garbage.append(body)
        if self._proxy.copies:
            await self._throw_empty_request(self._proxy.copies[-1])

    async def _throw_empty_request(self, copy: Copy) -> None:
        """A request without a single column: read, tried, and refused for good."""
        identity = str(uuid4())
        request = msgspec.json.decode(copy.entry["MessageBody"])
        empty = {**request, "prediction_id": identity, "columns": {}, "callback_url": None}
        body = msgspec.json.encode(empty).decode()
        await self._sqs.send_message(QueueUrl=self._queue_url, MessageBody=body)
        self.empty_requests.append(identity)

    async def _send(self, copies: list[Copy]) -> None:
        await self._sqs.send_message_batch(
            QueueUrl=self._queue_url,
            Entries=[{**copy.entry, "Id": str(number)} for number, copy in enumerate(copies)],  # type: ignore[typeddict-item]
        )
