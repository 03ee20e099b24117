from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from common.errors import TransientError
from common.sqs import QueueGone, QueueUrls, ensure_queue
from tests.common.sqs.conftest import ScriptedSqs

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient


async def test_makes_a_queue_any_number_of_times_and_at_once(
    sqs: SQSClient, queue_prefix: str
) -> None:
    urls = await asyncio.gather(
        *(
            ensure_queue(
                sqs,
                f"{queue_prefix}work",
                visibility_seconds=5,
                dead_letter=f"{queue_prefix}dead",
                max_receive_count=3,
            )
            for _ in range(3)
        )
    )
    assert len(set(urls)) == 1


async def test_brings_an_existing_queue_to_the_settings_asked_for(
    sqs: SQSClient, queue_prefix: str
) -> None:
    name = f"{queue_prefix}work"
    await ensure_queue(sqs, name, visibility_seconds=5)
    url = await ensure_queue(
        sqs, name, visibility_seconds=7, dead_letter=f"{queue_prefix}dead", max_receive_count=4
    )
    attributes = (await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]))[
        "Attributes"
    ]
    assert attributes["VisibilityTimeout"] == "7"
    redrive = json.loads(attributes["RedrivePolicy"])
    assert int(redrive["maxReceiveCount"]) == 4
    assert redrive["deadLetterTargetArn"].endswith(f":{queue_prefix}dead")


async def test_says_when_a_name_is_not_free_yet(
    scripted: ScriptedSqs, scripted_client: SQSClient
) -> None:
    async def deleted_recently(_: str, content: dict[str, Any]) -> web.Response:
        assert content
        return scripted.json({"__type": "com.amazonaws.sqs#QueueDeletedRecently"}, status=400)

    scripted.answer = deleted_recently
    with pytest.raises(TransientError) as raised:
        await ensure_queue(scripted_client, "work", visibility_seconds=5)
    assert raised.value.delay_seconds == 60


async def test_finds_an_address_once_and_again_after_forgetting_it(
    sqs: SQSClient, queue_prefix: str
) -> None:
    urls = QueueUrls(sqs)
    name = f"{queue_prefix}work"
    with pytest.raises(QueueGone):
        await urls.url(name)
    made = await ensure_queue(sqs, name, visibility_seconds=5)
    assert await urls.url(name) == made
    await sqs.delete_queue(QueueUrl=made)
    assert await urls.url(name) == made
    urls.forget(name)
    with pytest.raises(QueueGone):
        await urls.url(name)
