"""Makes queues and finds their addresses, any number of times with the same result."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from common.errors import TransientError
from common.sqs.errors import error_code, sqs_errors

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient
    from types_aiobotocore_sqs.literals import QueueAttributeNameType

_EXISTS = frozenset({"QueueAlreadyExists", "QueueNameExists"})
_DELETED_RECENTLY = frozenset(
    {"QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently"}
)
_SAME_NAME_AFTER_SECONDS = 60.0
_KEPT_SECONDS = 14 * 86_400
"""SQS's longest: a backlog must outlast any outage, and a dead letter wait until somebody looks."""


async def ensure_queue(
    client: SQSClient,
    name: str,
    *,
    visibility_seconds: int,
    dead_letter: str | None = None,
    max_receive_count: int = 5,
) -> str:
    """Make the queue ``name``, or bring the one that exists to these settings; give its URL.

    ``dead_letter`` names the queue, made too, where SQS moves a message that was handed out
    ``max_receive_count`` times without being deleted.

    Raises:
        TransientError: a queue of this name was deleted less than 60 s ago.
        SqsUnavailable: SQS did not answer.
    """
    attributes: dict[QueueAttributeNameType, str] = {
        "VisibilityTimeout": str(visibility_seconds),
        "MessageRetentionPeriod": str(_KEPT_SECONDS),
    }
    if dead_letter is not None:
        url = await _create(client, dead_letter, {"MessageRetentionPeriod": str(_KEPT_SECONDS)})
        attributes["RedrivePolicy"] = json.dumps(
            {
                "deadLetterTargetArn": await _arn(client, url),
                "maxReceiveCount": max_receive_count,
            }
        )
    return await _create(client, name, attributes)


class QueueUrls:
    """The addresses of queues that somebody else makes, asked for once each."""

    def __init__(self, client: SQSClient) -> None:
        self._client = client
        self._urls: dict[str, str] = {}

    async def url(self, name: str) -> str:
        """Give the address of a queue.

        Raises:
            QueueGone: there is no queue of this name (yet).
        """
        url = self._urls.get(name)
        if url is None:
            with sqs_errors("GetQueueUrl"):
                answer = await self._client.get_queue_url(QueueName=name)
            url = self._urls[name] = answer["QueueUrl"]
        return url

    def forget(self, name: str) -> None:
        """Ask again next time: the queue was found gone."""
        self._urls.pop(name, None)


async def _create(
    client: SQSClient, name: str, attributes: dict[QueueAttributeNameType, str]
) -> str:
    with sqs_errors("CreateQueue"):
        try:
            return (await client.create_queue(QueueName=name, Attributes=attributes))["QueueUrl"]
        except ClientError as error:
            if error_code(error) in _DELETED_RECENTLY:
                raise TransientError(
                    "queue-deleted-recently",
                    f"The queue {name} was deleted less than 60 s ago; its name is free then.",
                    delay_seconds=_SAME_NAME_AFTER_SECONDS,
                ) from error
            if error_code(error) not in _EXISTS:
                raise
        # It exists with other settings: ours win.
        url = (await client.get_queue_url(QueueName=name))["QueueUrl"]
        await client.set_queue_attributes(QueueUrl=url, Attributes=attributes)
        return url


async def _arn(client: SQSClient, queue_url: str) -> str:
    with sqs_errors("GetQueueAttributes"):
        answer = await client.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
    return answer["Attributes"]["QueueArn"]
