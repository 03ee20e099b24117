"""Sends a copy of what was sent to workers that only look on, and never lets anybody wait for it.

A copy is worth nothing to the client: it is dropped, and counted, whenever it cannot leave at once.
"""

from __future__ import annotations

import asyncio
import time

import msgspec
import structlog

from common.errors import CarimboError
from common.faststream_sqs import SQSBroker
from common.messages import PredictionRequest
from common.sqs import QueueGone
from common.topology import shadow_queue
from producer.catalogue import Catalogue, Served
from producer.metrics import Metrics

MOST_SENDING = 32
LARGEST_COPY_BYTES = 200_000
"""Of columns. Below what a message carries by itself: a copy never gets an object of its own."""

SEND_TIMEOUT_SECONDS = 5.0
ABSENT_PAUSE_SECONDS = 30.0
"""A queue that no shadow worker has made yet is not looked for again before."""

_log = structlog.get_logger("producer.shadows")


class Shadows:
    """Copies for models whose queues start with ``prefix``; the workers make those queues."""

    def __init__(
        self, broker: SQSBroker, catalogue: Catalogue, metrics: Metrics, prefix: str
    ) -> None:
        self._broker = broker
        self._catalogue = catalogue
        self._metrics = metrics
        self._prefix = prefix
        self._sending: set[asyncio.Task[None]] = set()
        self._absent_until: dict[str, float] = {}

    def copy(self, request: PredictionRequest) -> None:
        """Send ``request`` to its model's shadow, if it has one, some time soon."""
        known = self._catalogue.models.get(request.model)
        if known is None or known.shadow is None:
            return
        version = known.shadow.version
        dropped = self._why_not(request, known.versions[version])
        if dropped is not None:
            self._count(request.model, dropped)
            return
        copied = msgspec.structs.replace(
            request, alias=None, version=version, keep=False, callback_url=None
        )
        sending = asyncio.create_task(self._send(copied), name="copy to the shadow")
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    async def close(self) -> None:
        """Give up what has not left."""
        for sending in self._sending:
            sending.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    def _why_not(self, request: PredictionRequest, served: Served) -> str | None:
        if request.version == served.version:
            return "same-version"
        if request.contract != served.digest:
            return "other-contract"
        if request.claim is not None or memoryview(request.columns).nbytes > LARGEST_COPY_BYTES:
            return "too-large"
        if self._absent_until.get(request.model, 0.0) > time.monotonic():
            return "no-queue"
        return "busy" if len(self._sending) >= MOST_SENDING else None

    async def _send(self, request: PredictionRequest) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                await self._broker.publish(request, shadow_queue(self._prefix, request.model))
        except QueueGone:
            self._absent_until[request.model] = time.monotonic() + ABSENT_PAUSE_SECONDS
            self._count(request.model, "no-queue")
        except (CarimboError, TimeoutError) as error:
            self._count(request.model, "refused")
            _log.warning("copy not sent", model=request.model, reason=type(error).__name__)
        else:
            self._count(request.model, "sent")

    def _count(self, model: str, outcome: str) -> None:
        self._metrics.shadow_copies.labels(model, outcome).inc()
