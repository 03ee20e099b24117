"""A request to a worker and its result: by the reply queue, or, when no reply comes, as stored.

A reply may be lost; the result it announced is durable before the request is ever deleted. So the
second half of every wait also looks at the object store, a few times, and a lost reply costs time
but no answer. A wait that is over loses nothing either: whoever asks here later is woken by the
reply, as long as it is awaited at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from common.errors import CarimboError, TransientError
from common.faststream_sqs import SQSBroker
from common.faststream_sqs.exceptions import ReplyTimeoutError
from common.messages import PredictionId, PredictionReply, PredictionRequest
from common.sqs import QueueGone
from common.topology import requests_queue
from producer.queues import RequestQueues
from producer.records import Records, refuse_reuse

LOOKS = 5
LINGER_SECONDS = 30.0
MOST_LINGERING = 1000
STORE_TIMEOUT_SECONDS = 2.0
QUEUE_REPAIR_SECONDS = 10.0

_decoder: msgspec.json.Decoder[PredictionReply] = msgspec.json.Decoder(PredictionReply)


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
            for pause in look_pauses(wait_seconds):
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
        return Outcome(_decoder.decode(message.body), Source.REPLY, float(message.queue_wait_ms))

    def _gone(self, model: str) -> TransientError:
        self._queues.forget(model)
        return TransientError(
            "unavailable",
            f"The queue of model {model!r} is gone and is being made anew; "
            "send the file again shortly.",
            delay_seconds=QUEUE_REPAIR_SECONDS,
        )

    async def _glance(self, request: PredictionRequest) -> PredictionReply | None:
        """A stored result, if there is one and the store answers soon."""
        with suppress(TransientError, TimeoutError):
            async with asyncio.timeout(STORE_TIMEOUT_SECONDS):
                result = await self._records.result(request.prediction_id)
            if result is not None:
                refuse_reuse(request, result)
            return result
        return None


def look_pauses(wait_seconds: float) -> tuple[float, ...]:
    """Pauses before each look at the store: half of the wait, then tenths of it, to its end."""
    half = wait_seconds / 2
    return (half, *[half / LOOKS] * LOOKS)
