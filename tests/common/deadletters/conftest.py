"""A model's queues and results on the real engine, and letters to bury in them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec
import pytest

from common.aws import aws_client
from common.deadletters import DeadLetterOffice
from common.faststream_sqs.subscriber.settlement import dead_letter_headers
from common.messages import Completed, Failed, PredictionId, PredictionRequest
from common.objects import ObjectStore
from common.sqs import (
    OutgoingMessage,
    ReceivedMessage,
    Sender,
    ensure_queue,
    from_raw,
    receiving_client,
    sending_client,
)
from common.sqs.envelope import SYSTEM_ATTRIBUTES
from common.topology import dead_letter_queue, requests_queue, result_key

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

MODEL = "cards"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SECRET = "PADARIA SECRETA"  # a cell: it must show nowhere


def make_request(**changes: object) -> PredictionRequest:
    request = PredictionRequest(
        prediction_id=PredictionId(str(uuid4())),
        model=MODEL,
        lines=[2, 3],
        columns=msgspec.Raw(
            msgspec.json.encode({"merchant": [SECRET, None], "amount": ["1", "2"]})
        ),
        fingerprint="f" * 64,
        contract="c" * 64,
        rows_read=2,
        alias="champion",
        fresh_id=True,
    )
    return msgspec.structs.replace(request, **changes)


class Cemetery:
    """One model's queues and bucket, and what a test does to them."""

    def __init__(
        self,
        sqs: SQSClient,
        receiver: SQSClient,
        store: ObjectStore,
        prefix: str,
        urls: tuple[str, str],
    ) -> None:
        self.sqs = sqs
        self.receiver = receiver
        self.store = store
        self.prefix = prefix
        self.source_url, self.dead_url = urls
        self.sender = Sender(sqs)
        self.office = DeadLetterOffice(
            receiver=receiver,
            client=sqs,
            store=store,
            queue_url=self.dead_url,
            default_source=requests_queue(prefix, MODEL),
        )

    async def bury(
        self,
        *bodies: PredictionRequest | bytes,
        code: str = "internal",
        reason: str = "It broke.",
        source: str | None = None,
    ) -> None:
        """Put messages where a worker buries them, with the headers that it would add."""
        received = ReceivedMessage(
            body=b"",
            headers={},
            message_id="",
            receipt_handle="",
            receive_count=3,
            sent_ms=0,
            first_received_ms=0,
            queue_url=f"http://sqs/{source or requests_queue(self.prefix, MODEL)}",
            received_at=0.0,
        )
        headers = {
            "traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01",
            "budget_ms": "950",
            "reply_to": "replies",
            **dead_letter_headers(received, code, reason),
        }
        await self.send(self.dead_url, *bodies, headers=headers)

    async def send(
        self, url: str, *bodies: PredictionRequest | bytes, headers: dict[str, str] | None = None
    ) -> None:
        await asyncio.gather(
            *(
                self.sender.send(
                    url,
                    OutgoingMessage(
                        body=body if isinstance(body, bytes) else msgspec.json.encode(body),
                        headers=headers or {},
                    ),
                )
                for body in bodies
            )
        )

    async def keep(self, result: Completed | Failed) -> None:
        key = result_key(result.prediction_id)
        await self.store.put_once(key, msgspec.json.encode(result), "application/json")

    async def kept(self, prediction_id: PredictionId) -> bytes | None:
        return await self.store.get(result_key(prediction_id))

    async def take(self, url: str, *, visibility: int = 30) -> list[ReceivedMessage]:
        """Receive until a poll finds nothing; what is taken stays hidden."""
        taken: list[ReceivedMessage] = []
        while messages := await self.receive(url, visibility=visibility):
            taken.extend(messages)
        return taken

    async def receive(self, url: str, *, visibility: int = 30) -> list[ReceivedMessage]:
        answer = await self.receiver.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=1,
            VisibilityTimeout=visibility,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=SYSTEM_ATTRIBUTES,
        )
        return [from_raw(raw, url) for raw in answer.get("Messages", ())]

    async def visible(self, url: str) -> int:
        return await self._count(url, "ApproximateNumberOfMessages")

    async def hidden(self, url: str) -> int:
        return await self._count(url, "ApproximateNumberOfMessagesNotVisible")

    async def _count(self, url: str, name: str) -> int:
        answer = await self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        return next(int(value) for key, value in answer["Attributes"].items() if key == name)


def failure(request: PredictionRequest, code: str = "internal", **changes: object) -> Failed:
    failed = Failed(
        prediction_id=request.prediction_id,
        model=MODEL,
        code=code,
        message="It broke.",
        fingerprint=request.fingerprint,
    )
    return msgspec.structs.replace(failed, **changes)


def bodies_of(messages: Sequence[ReceivedMessage]) -> list[bytes]:
    return sorted(message.body for message in messages)


@pytest.fixture
async def cemetery(aws_environment: dict[str, str], queue_prefix: str) -> AsyncIterator[Cemetery]:
    assert aws_environment
    async with (
        sending_client(connections=12) as sqs,
        receiving_client(connections=4) as receiver,
        aws_client("s3", connections=12) as s3,
    ):
        dead = dead_letter_queue(queue_prefix, MODEL)
        source = await ensure_queue(
            sqs,
            requests_queue(queue_prefix, MODEL),
            visibility_seconds=30,
            dead_letter=dead,
            max_receive_count=1,
        )
        store = ObjectStore(s3, f"{queue_prefix}bucket")
        await store.ensure_bucket()
        dead_url = (await sqs.get_queue_url(QueueName=dead))["QueueUrl"]
        yield Cemetery(sqs, receiver, store, queue_prefix, (source, dead_url))
