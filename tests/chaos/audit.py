"""What the engine itself has to say at the end: every object, every queue, every dead letter.

The bucket keeps all versions of its objects, so it remembers a result that was written over.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from common.deadletters.letter import SOURCE_ARN, DeadLetter, read_letter
from common.sqs.envelope import SYSTEM_ATTRIBUTES
from common.topology import (
    callbacks_dead_letter_queue,
    callbacks_queue,
    dead_letter_queue,
    reply_queue_prefix,
    requests_queue,
)
from tests.chaos.models import FAMILY
from tests.chaos.system import BUCKET, PREFIX

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client
    from types_aiobotocore_sqs.client import SQSClient

EMPTY_SECONDS = 150.0
LOOK_SECONDS = 0.5
HIDDEN_SECONDS = 120
COUNTS = ("", "NotVisible", "Delayed")


@dataclass(slots=True)
class Audit:
    """Ids are of predictions. ``depths`` are messages by queue; ``others`` unknown objects."""

    results: dict[str, int] = field(default_factory=dict)
    """How often each prediction's result was written."""
    promises: set[str] = field(default_factory=set)
    keys: int = 0
    called_back: set[str] = field(default_factory=set)
    others: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    letters: dict[str, list[DeadLetter]] = field(default_factory=dict)
    unreadable: Counter[str] = field(default_factory=Counter)
    depths: dict[str, int] = field(default_factory=dict)
    reply_queues: int = 0


async def when_empty(sqs: SQSClient) -> dict[str, int]:
    """Wait until nothing is on its way any more; what is left after all that time."""
    names = [requests_queue(PREFIX, FAMILY), callbacks_queue(PREFIX)]
    try:
        async with asyncio.timeout(EMPTY_SECONDS):
            while any((await depths(sqs, names)).values()):  # noqa: ASYNC110 - SQS has no event
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        pass
    return await depths(sqs, names)


async def depths(sqs: SQSClient, names: list[str]) -> dict[str, int]:
    """Messages in each queue, hidden and delayed ones included."""
    return {name: await _depth(sqs, name) for name in names}


async def audit(s3: S3Client, sqs: SQSClient) -> Audit:
    """Look at everything. Leaves the dead letters hidden."""
    found = Audit()
    await _objects(s3, found)
    await _dead_letters(sqs, found)
    found.depths = await depths(
        sqs,
        [
            requests_queue(PREFIX, FAMILY),
            callbacks_queue(PREFIX),
            callbacks_dead_letter_queue(PREFIX),
        ],
    )
    answer = await sqs.list_queues(QueueNamePrefix=reply_queue_prefix(PREFIX), MaxResults=1000)
    found.reply_queues = len(answer.get("QueueUrls", []))
    return found


async def _objects(s3: S3Client, found: Audit) -> None:
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET)
    async for page in pages:
        found.deleted += [marker["Key"] for marker in page.get("DeleteMarkers", [])]
        for version in page.get("Versions", []):
            _count(version["Key"], found)


def _count(key: str, found: Audit) -> None:
    prefix, _, rest = key.partition("/")
    name = rest.removesuffix(".json")
    if prefix == "results":
        found.results[name] = found.results.get(name, 0) + 1
    elif prefix == "accepted":
        found.promises.add(name)
    elif prefix == "idempotency":
        found.keys += 1
    elif prefix == "callbacks":
        found.called_back.add(name.partition("/")[0])
    else:
        found.others.append(key)


async def _dead_letters(sqs: SQSClient, found: Audit) -> None:
    url = (await sqs.get_queue_url(QueueName=dead_letter_queue(PREFIX, FAMILY)))["QueueUrl"]
    seen: set[str] = set()
    while True:
        answer: Any = await sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=1,
            VisibilityTimeout=HIDDEN_SECONDS,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=[*SYSTEM_ATTRIBUTES, SOURCE_ARN],  # type: ignore[list-item]
        )
        messages = [raw for raw in answer.get("Messages", []) if raw["MessageId"] not in seen]
        if not messages:
            return
        for raw in messages:
            seen.add(raw["MessageId"])
            letter = read_letter(raw, url)
            if letter.prediction_id:
                found.letters.setdefault(letter.prediction_id, []).append(letter)
            else:
                found.unreadable[letter.message.body.decode(errors="replace")] += 1


async def stored(s3: S3Client, prediction_id: str) -> dict[str, Any]:
    """A stored result, as it is now."""
    answer = await s3.get_object(Bucket=BUCKET, Key=f"results/{prediction_id}.json")
    async with answer["Body"] as stream:
        decoded: dict[str, Any] = msgspec.json.decode(await stream.read())
    return decoded


async def _depth(sqs: SQSClient, name: str) -> int:
    url = (await sqs.get_queue_url(QueueName=name))["QueueUrl"]
    answer = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    attributes: Mapping[Any, str] = answer["Attributes"]
    return sum(int(attributes[f"ApproximateNumberOfMessages{count}"]) for count in COUNTS)
