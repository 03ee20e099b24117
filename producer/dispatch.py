"""A request to a worker and its result: by the reply queue, or, when no reply comes, as stored.

A reply may be lost; the result it announced is durable before the request is ever deleted. So a
wait whose reply is overdue also looks at the object store, and a lost reply costs time but no
answer. A wait that is over loses nothing either: whoever asks here later is woken by the
reply, as long as it is awaited at all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from common.errors import CarimboError, TransientError
from common.faststream_sqs import SQSBroker
from common.faststream_sqs.exceptions import ReplyTimeoutError
from common.messages import (
    Completed,
    Failed,
    PredictionId,
    PredictionReply,
    PredictionRequest,
    Stored,
)
from common.sqs import QueueGone
from common.topology import requests_queue
from producer.looks import LookRoom, ReplyTimes, look_pauses
from producer.queues import RequestQueues
from producer.records import Records, refuse_reuse

LINGER_SECONDS = 30.0
MOST_LINGERING = 1000
STORE_TIMEOUT_SECONDS = 2.0
STORED_PAUSE_SECONDS = 0.1
QUEUE_REPAIR_SECONDS = 10.0

_decoder: msgspec.json.Decoder[PredictionReply | Stored] = msgspec.json.Decoder(
    Completed | Failed | Stored
)


class Source(StrEnum):
    """Where a result came from."""

    REPLY = "reply"
    STORE = "store"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A prediction's terminal result. ``reply_queue_ms`` is its wait on SQS's own clock."""

    result: PredictionReply
    source: Source
    reply_queue_ms: float = 0.0


class Dispatch:
    """Sends requests for models whose queues start with ``prefix``."""

    def __init__(
        self, broker: SQSBroker, records: Records, queues: RequestQueues, prefix: str
    ) -> None:
        self._broker = broker
        self._records = records
        self._queues = queues
        self._prefix = prefix
        self._awaited: dict[PredictionId, asyncio.Task[Outcome]] = {}
        self._lingering = 0
        self._reply_times = ReplyTimes()
        self._look_room = LookRoom()

    async def send(self, request: PredictionRequest) -> None:
        """Send ``request``, whose result is fetched later: no reply comes.

        Raises:
            PermanentError: the message cannot be sent.
            TransientError: the queue did not take the message.
        """
        try:
            await self._broker.publish(request, requests_queue(self._prefix, request.model))
        except QueueGone as error:
            raise self._gone(request.model) from error

    async def ask(
        self, request: PredictionRequest, wait_seconds: float, *, sent: Callable[[], None]
    ) -> Outcome | None:
        """Send ``request`` and wait for its result; None when ``wait_seconds`` are over first.

        ``sent`` is called once the queue has the request.

        Raises:
            PermanentError: the message cannot be sent, or the id belongs to another request.
            TransientError: the queue did not take the message.
        """
        is_sent = False

        def tell_sent() -> None:
            nonlocal is_sent
            is_sent = True
            sent()

        reply = self._await_reply(request, wait_seconds, tell_sent)
        lingers = False
        try:
            for pause in look_pauses(wait_seconds, self._reply_times.usual):
                done, _ = await asyncio.wait({reply}, timeout=pause)
                if done:
                    return reply.result()
                stored = await self._glance(request)
                if stored is not None:
                    return Outcome(stored, Source.STORE)
            if not is_sent:
                raise TransientError(
                    "unavailable",
                    f"The queue did not take the file within {wait_seconds:.3g} s; "
                    "send it again shortly.",
                )
            lingers = self._lingering < MOST_LINGERING
        finally:
            if lingers:
                self._let_linger(reply)
            else:
                reply.cancel()
        return None

    def awaited(self, prediction_id: PredictionId) -> asyncio.Task[Outcome] | None:
        """What ends when this replica hears of the prediction's result; None if it will not."""
        return self._awaited.get(prediction_id)

    def _await_reply(
        self, request: PredictionRequest, wait_seconds: float, sent: Callable[[], None]
    ) -> asyncio.Task[Outcome]:
        reply = asyncio.create_task(self._by_reply(request, wait_seconds, sent))
        identity = request.prediction_id
        self._awaited[identity] = reply

        def forget(ended: asyncio.Task[Outcome]) -> None:
            if self._awaited.get(identity) is ended:
                del self._awaited[identity]

        reply.add_done_callback(forget)
        return reply

    def _let_linger(self, reply: asyncio.Task[Outcome]) -> None:
        def end(ended: asyncio.Task[Outcome]) -> None:
            self._lingering -= 1
            with suppress(asyncio.CancelledError, CarimboError, ReplyTimeoutError):
                ended.result()

        self._lingering += 1
        reply.add_done_callback(end)

    async def _by_reply(
        self, request: PredictionRequest, wait_seconds: float, sent: Callable[[], None]
    ) -> Outcome:
        started = time.monotonic()
        try:
            message = await self._broker.request(
                request,
                requests_queue(self._prefix, request.model),
                timeout=wait_seconds + LINGER_SECONDS,
                headers={"budget_ms": str(int(wait_seconds * 1000))},
                sent=sent,
            )
        except QueueGone as error:
            raise self._gone(request.model) from error
        self._reply_times.heard(time.monotonic() - started)
        result = _decoder.decode(message.body)
        if isinstance(result, Stored):
            return Outcome(await self._stored(request), Source.STORE)
        return Outcome(result, Source.REPLY, float(message.queue_wait_ms))

    async def _stored(self, request: PredictionRequest) -> PredictionReply:
        """The result that was too large for its reply; it was stored before the reply was sent."""
        async with asyncio.timeout(LINGER_SECONDS):
            while True:
                result = await self._glance(request)
                if result is not None:
                    return result
                await asyncio.sleep(STORED_PAUSE_SECONDS)

    def _gone(self, model: str) -> TransientError:
        self._queues.forget(model)
        return TransientError(
            "unavailable",
            f"The queue of model {model!r} is gone and is being made anew; "
            "send the file again shortly.",
            delay_seconds=QUEUE_REPAIR_SECONDS,
        )

    async def _glance(self, request: PredictionRequest) -> PredictionReply | None:
        """A stored result, if there is one, room to look, and the store answers soon."""
        with self._look_room.place() as is_free, suppress(TransientError, TimeoutError):
            if not is_free:
                return None
            async with asyncio.timeout(STORE_TIMEOUT_SECONDS):
                result = await self._records.result(request.prediction_id)
            if result is not None:
                refuse_reuse(request, result)
            return result
        return None
