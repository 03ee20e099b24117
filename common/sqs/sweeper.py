"""Deletes the reply queues of owners that died without deleting their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from common.sqs.errors import QueueGone, sqs_errors
from common.sqs.reply_queue import delete_reply_queue, lease_end
from common.topology import reply_queue_prefix

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

SLACK_SECONDS = 300.0
"""How far past its end a lease must be: more than two hosts' clocks may differ."""
_PAGE = 1000

log = structlog.get_logger(__name__)


async def sweep_reply_queues(client: SQSClient, prefix: str, now: float) -> int:
    """Delete the reply queues under ``prefix`` whose lease is past; give their number.

    ``now`` is seconds since 1970. A queue without our tags is never deleted. Sweepers do not
    disturb one another: a queue that another one deleted is passed over.

    Raises:
        SqsUnavailable: SQS did not answer; what was swept is swept.
    """
    swept = 0
    with sqs_errors("ListQueues"):
        pages = client.get_paginator("list_queues").paginate(
            QueueNamePrefix=reply_queue_prefix(prefix), PaginationConfig={"PageSize": _PAGE}
        )
        async for page in pages:
            for queue_url in page.get("QueueUrls", ()):
                swept += await _sweep(client, queue_url, now)
    log.info("reply_queues_swept", swept=swept)
    return swept


async def _sweep(client: SQSClient, queue_url: str, now: float) -> bool:
    try:
        with sqs_errors("ListQueueTags"):
            answer = await client.list_queue_tags(QueueUrl=queue_url)
        end = lease_end(answer.get("Tags", {}))
        if end is None or end + SLACK_SECONDS >= now:
            return False
        await delete_reply_queue(client, queue_url)
    except QueueGone:
        return False
    return True
