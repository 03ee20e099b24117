"""The queues that requests go to, made when absent: neither service must come first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from common.faststream_sqs.schemas import DEFAULT_VISIBILITY_SECONDS, LAST_RESORT_RECEIVE_COUNT
from common.sqs import QueueGone, QueueUrls, ensure_queue
from common.sqs.errors import sqs_errors
from common.topology import dead_letter_queue, requests_queue

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient


class RequestQueues:
    """Makes models' queues. One that exists keeps the settings that its workers gave it."""

    def __init__(self, client: SQSClient, prefix: str) -> None:
        self._client = client
        self._urls = QueueUrls(client)
        self._prefix = prefix

    async def ensure(self, models: Iterable[str]) -> None:
        """Make the queues of ``models`` that do not exist yet.

        Raises:
            TransientError: SQS did not answer.
        """
        for model in models:
            try:
                await self._urls.url(requests_queue(self._prefix, model))
            except QueueGone:
                await ensure_queue(
                    self._client,
                    requests_queue(self._prefix, model),
                    visibility_seconds=DEFAULT_VISIBILITY_SECONDS,
                    dead_letter=dead_letter_queue(self._prefix, model),
                    max_receive_count=LAST_RESORT_RECEIVE_COUNT,
                )

    async def queued(self, model: str) -> int:
        """About how many requests no worker has taken on; SQS counts over several machines.

        Raises:
            QueueGone: there is no such queue.
            SqsUnavailable: SQS did not answer.
        """
        url = await self._urls.url(requests_queue(self._prefix, model))
        with sqs_errors("GetQueueAttributes"):
            answer = await self._client.get_queue_attributes(
                QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
            )
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])

    def forget(self, model: str) -> None:
        """Look again next time: the model's queue was found gone."""
        self._urls.forget(requests_queue(self._prefix, model))
