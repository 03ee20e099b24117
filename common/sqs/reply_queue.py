"""The reply queue itself: how one is made, whose it is, and until when.

Its tags are a lease: the owner renews them, the sweeper believes them. Both read this module.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from common.sqs.errors import sqs_errors
from common.topology import new_reply_queue

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

ROLE_TAG = "carimbo:role"
ROLE = "reply-queue"
OWNER_TAG = "carimbo:owner"
LEASE_TAG = "carimbo:lease-until"

VISIBILITY_SECONDS = 5
"""Short: a reply lost on its way to the owner must come again while somebody waits."""
_KEPT_SECONDS = 60  # SQS's shortest: nobody waits longer for a reply, the result is stored


async def create_reply_queue(
    client: SQSClient, *, prefix: str, owner: str, lease_seconds: float
) -> str:
    """Make a reply queue under a name never used before, leased from its first moment."""
    with sqs_errors("CreateQueue"):
        answer = await client.create_queue(
            QueueName=new_reply_queue(prefix),
            Attributes={
                "VisibilityTimeout": str(VISIBILITY_SECONDS),
                "MessageRetentionPeriod": str(_KEPT_SECONDS),
            },
            tags={ROLE_TAG: ROLE, OWNER_TAG: owner, LEASE_TAG: _lease_until(lease_seconds)},
        )
    return answer["QueueUrl"]


async def renew_reply_queue(client: SQSClient, queue_url: str, *, lease_seconds: float) -> None:
    """Move the end of the lease to ``lease_seconds`` from now.

    Raises:
        QueueGone: the queue does not exist any more.
    """
    with sqs_errors("TagQueue"):
        await client.tag_queue(QueueUrl=queue_url, Tags={LEASE_TAG: _lease_until(lease_seconds)})


async def delete_reply_queue(client: SQSClient, queue_url: str) -> None:
    """Delete the queue and whatever is in it.

    Raises:
        QueueGone: somebody else has.
    """
    with sqs_errors("DeleteQueue"):
        await client.delete_queue(QueueUrl=queue_url)


def lease_end(tags: dict[str, str]) -> float | None:
    """Give the end of a reply queue's lease, seconds since 1970; None if it is not one of ours."""
    if tags.get(ROLE_TAG) != ROLE:
        return None
    try:
        return float(tags[LEASE_TAG])
    except (KeyError, ValueError):
        return None


def _lease_until(lease_seconds: float) -> str:
    return str(int(time.time() + lease_seconds))
