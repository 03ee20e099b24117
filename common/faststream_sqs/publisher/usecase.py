"""A queue that an application sends to, declared once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from faststream.response import PublishCommand, PublishType

from common.faststream_sqs._compat import (
    PublisherMiddleware,
    PublisherSpecification,
    PublisherUsecase,
)
from common.faststream_sqs.message import SQSMessage
from common.faststream_sqs.publisher.config import SQSPublisherConfig
from common.faststream_sqs.response import DEFAULT_REQUEST_TIMEOUT_SECONDS, SQSPublishCommand


class SQSPublisher(PublisherUsecase):
    """Sends to one queue: called, or as a decorator that sends each result of a handler."""

    def __init__(
        self, config: SQSPublisherConfig, specification: PublisherSpecification[Any, Any]
    ) -> None:
        super().__init__(config, specification)
        self._queue = config.queue
        self._headers = config.headers

    @property
    def queue(self) -> str:
        """The queue's full name, with the prefixes of the routers around it."""
        return f"{self._outer_config.prefix}{self._queue}"

    async def publish(
        self,
        message: Any,
        /,
        *,
        headers: dict[str, str] | None = None,
        correlation_id: str | None = None,
        reply_to: str = "",
    ) -> str:
        """Send ``message`` and return the id that SQS stored it under."""
        cmd = SQSPublishCommand(
            message,
            _publish_type=PublishType.PUBLISH,
            destination=self.queue,
            headers={**self._headers, **(headers or {})},
            correlation_id=correlation_id or self._outer_config.id_generator(),
            reply_to=reply_to,
        )
        message_id: str = await self._basic_publish(
            cmd, producer=self._outer_config.producer, _extra_middlewares=()
        )
        return message_id

    async def request(
        self,
        message: Any,
        /,
        *,
        headers: dict[str, str] | None = None,
        correlation_id: str | None = None,
        timeout: float = DEFAULT_REQUEST_TIMEOUT_SECONDS,  # noqa: ASYNC109 - FastStream's name
    ) -> SQSMessage:
        """Send ``message`` and return its reply.

        Raises:
            ReplyTimeoutError: none came within ``timeout`` seconds.
        """
        cmd = SQSPublishCommand(
            message,
            _publish_type=PublishType.REQUEST,
            destination=self.queue,
            headers={**self._headers, **(headers or {})},
            correlation_id=correlation_id or self._outer_config.id_generator(),
            timeout_seconds=timeout,
        )
        reply: SQSMessage = await self._basic_request(cmd, producer=self._outer_config.producer)
        return reply

    async def _publish(
        self, cmd: PublishCommand, *, _extra_middlewares: Iterable[PublisherMiddleware[Any]]
    ) -> None:
        command = SQSPublishCommand.from_cmd(cmd)
        command.destination = self.queue
        command.add_headers(self._headers, override=False)
        await self._basic_publish(
            command,
            producer=self._outer_config.producer,
            _extra_middlewares=_extra_middlewares,
        )
