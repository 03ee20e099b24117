from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from common.sqs import sweep_reply_queues, sweeper
from common.sqs.reply_queue import LEASE_TAG, ROLE, ROLE_TAG, create_reply_queue
from common.topology import reply_queue_prefix

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

DAY = 86_400.0


async def _left(sqs: SQSClient, prefix: str) -> set[str]:
    return set((await sqs.list_queues(QueueNamePrefix=prefix)).get("QueueUrls", []))


async def test_deletes_only_queues_whose_lease_is_past(sqs: SQSClient, queue_prefix: str) -> None:
    async def leased(seconds: float) -> str:
        return await create_reply_queue(
            sqs, prefix=queue_prefix, owner="gone", lease_seconds=seconds
        )

    past, recent, future = await leased(-DAY), await leased(-10), await leased(DAY)
    names = reply_queue_prefix(queue_prefix)
    untagged = (await sqs.create_queue(QueueName=f"{names}untagged"))["QueueUrl"]
    odd = (
        await sqs.create_queue(
            QueueName=f"{names}odd", tags={ROLE_TAG: ROLE, LEASE_TAG: "yesterday"}
        )
    )["QueueUrl"]
    other = (
        await sqs.create_queue(
            QueueName=f"{queue_prefix}requests", tags={ROLE_TAG: ROLE, LEASE_TAG: "0"}
        )
    )["QueueUrl"]
    assert await sweep_reply_queues(sqs, queue_prefix, time.time()) == 1
    left = await _left(sqs, queue_prefix)
    assert past not in left
    assert {recent, future, untagged, odd, other} == left


async def test_two_sweepers_at_once_do_not_disturb_one_another_on_any_page(
    sqs: SQSClient, queue_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "_PAGE", 2)
    for _ in range(5):
        await create_reply_queue(sqs, prefix=queue_prefix, owner="gone", lease_seconds=-DAY)
    swept = await asyncio.gather(
        *(sweep_reply_queues(sqs, queue_prefix, time.time()) for _ in range(2))
    )
    assert sum(swept) >= 5
    assert await _left(sqs, queue_prefix) == set()
