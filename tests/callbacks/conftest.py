"""A deliverer within the test's process, a receiver on loopback, a desk that orders callbacks."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from callbacks import wiring
from callbacks.settings import Settings
from callbacks.wiring import Deliverer, deliverer
from common.aws import aws_client
from common.callbacks import CallbackOrder
from common.callbacks.orders import CallbackAttempt
from common.faststream_sqs import SQSBroker
from common.messages import Completed, Failed, PredictionId, PredictionReply
from common.objects import ObjectStore
from common.sqs import ensure_queue, sending_client
from common.topology import (
    callback_attempt_key,
    callbacks_dead_letter_queue,
    callbacks_queue,
    result_key,
)
from tests.callbacks.receivers import Receiver

PATIENCE_SECONDS = 20.0
OLD_SECRET = "whsec_" + b64encode(b"o" * 32).decode()
NEW_SECRET = "whsec_" + b64encode(b"n" * 32).decode()

Running = Callable[[Settings], AbstractAsyncContextManager[Deliverer]]


@pytest.fixture
def settings(queue_prefix: str, aws_environment: dict[str, str]) -> Settings:
    """Settings with short pauses, apart from every other test's."""
    assert aws_environment
    return Settings.model_validate(
        {
            "callback_secrets": NEW_SECRET,
            "callback_allow": "127.0.0.1",
            "callback_schedule": "0,1,1,1,1",
            "queue_prefix": queue_prefix,
            "bucket": f"{queue_prefix}bucket",
            "visibility": "2",
        }
    )


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Running:
    """Runs a deliverer in the test's process, its queue read."""
    monkeypatch.setattr(wiring, "POLL_SECONDS", 1)  # what a stop waits for

    @asynccontextmanager
    async def run(settings: Settings) -> AsyncIterator[Deliverer]:
        async with deliverer(settings) as parts:
            await parts.store.ensure_bucket()
            await parts.broker.start()
            try:
                yield parts
            finally:
                await parts.broker.stop()

    return run


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver on loopback that answers 204 until told otherwise."""
    async with Receiver().serving() as serving:
        yield serving


@dataclass
class Desk:
    """Stores results and orders callbacks as a worker does, and looks at what remains."""

    broker: SQSBroker
    store: ObjectStore
    sqs: Any
    prefix: str

    async def order(self, url: str, *, result: PredictionReply | None = None) -> PredictionId:
        """Store a result and order its callback."""
        result = completed() if result is None else result
        await self.store_result(result)
        await self.send(CallbackOrder(prediction_id=result.prediction_id, url=url))
        return result.prediction_id

    async def store_result(self, result: PredictionReply) -> None:
        """Store a result."""
        body = msgspec.json.encode(result)
        await self.store.put_once(result_key(result.prediction_id), body, "application/json")

    async def send(self, order: CallbackOrder) -> None:
        """Send an order."""
        await self.broker.publish(order, callbacks_queue(self.prefix))

    async def log(self, prediction_id: PredictionId) -> list[CallbackAttempt]:
        """The delivery log."""
        found: list[CallbackAttempt] = []
        while True:
            body = await self.store.get(callback_attempt_key(prediction_id, len(found) + 1))
            if body is None:
                return found
            found.append(msgspec.json.decode(body, type=CallbackAttempt))

    async def outcomes(self, prediction_id: PredictionId) -> list[int | str | None]:
        """What each attempt of the log got."""
        return [attempt.status or attempt.error for attempt in await self.log(prediction_id)]

    async def waiting(self, queue: str) -> int:
        """Messages in a queue, in flight or not."""
        url = (await self.sqs.get_queue_url(QueueName=queue))["QueueUrl"]
        answer = await self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        return sum(
            int(answer["Attributes"][f"ApproximateNumberOfMessages{which}"])
            for which in ("", "NotVisible", "Delayed")
        )

    async def when_settled(self) -> None:
        """Return once no callback is waiting or under way."""
        await eventually(self._is_settled)

    async def _is_settled(self) -> bool:
        return not await self.waiting(callbacks_queue(self.prefix))

    async def buried(self) -> int:
        """Messages in the dead-letter queue."""
        return await self.waiting(callbacks_dead_letter_queue(self.prefix))

    async def burial(self) -> dict[str, str]:
        """What one buried message says of its end."""
        name = callbacks_dead_letter_queue(self.prefix)
        url = (await self.sqs.get_queue_url(QueueName=name))["QueueUrl"]
        answer = await self.sqs.receive_message(
            QueueUrl=url, MessageAttributeNames=["All"], WaitTimeSeconds=5, VisibilityTimeout=0
        )
        headers: dict[str, str] = msgspec.json.decode(
            answer["Messages"][0]["MessageAttributes"]["headers"]["StringValue"]
        )
        return headers


@pytest.fixture
async def desk(settings: Settings) -> AsyncIterator[Desk]:
    """A desk whose queues and bucket exist."""
    prefix = settings.queue_prefix
    broker = SQSBroker()
    async with aws_client("s3", connections=4) as s3, sending_client(connections=4) as sqs:
        store = ObjectStore(s3, settings.bucket)
        await store.ensure_bucket()
        await ensure_queue(
            sqs,
            callbacks_queue(prefix),
            visibility_seconds=2,
            dead_letter=callbacks_dead_letter_queue(prefix),
            max_receive_count=200,
        )
        await broker.start()
        try:
            yield Desk(broker, store, sqs, prefix)
        finally:
            await broker.stop()


def completed(**changes: Any) -> Completed:
    """A result of two good rows and none bad."""
    fields: dict[str, Any] = {
        "prediction_id": PredictionId(str(uuid4())),
        "model": "parcels",
        "version": "3",
        "fingerprint": "f" * 64,
        "rows_read": 2,
        "lines": [2, 3],
        "labels": ["barge", "canary-label"],
        "confidences": [0.75, 0.5],
    }
    return Completed(**{**fields, **changes})


def failed(**changes: Any) -> Failed:
    """A result without labels."""
    fields: dict[str, Any] = {
        "prediction_id": PredictionId(str(uuid4())),
        "model": "parcels",
        "code": "unprocessable",
        "message": "No attempt could label it.",
    }
    return Failed(**{**fields, **changes})


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await condition():  # noqa: ASYNC110 - it watches the engine
            await asyncio.sleep(0.05)
