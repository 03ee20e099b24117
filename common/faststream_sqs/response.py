"""What a handler may return, and the command that every publication becomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from faststream.response import BatchPublishCommand, PublishCommand, PublishType, Response

DEFAULT_REQUEST_TIMEOUT_SECONDS = 30.0


class SQSResponse(Response):
    """A handler's result with headers of its own; a bare result is replied without any."""

    def as_publish_command(self) -> SQSPublishCommand:
        """Return the publication that this result becomes."""
        return SQSPublishCommand(
            self.body,
            _publish_type=PublishType.PUBLISH,
            headers=self.headers,
            correlation_id=self.correlation_id,
        )


class SQSPublishCommand(BatchPublishCommand):
    """One send, one batch of sends, or one request, on its way through the middlewares.

    ``destination`` and ``reply_to`` are a queue's name or its URL. ``timeout_seconds`` bounds the
    wait for a reply and means nothing to a plain send; ``sent`` is called once SQS has a request.
    """

    def __init__(  # noqa: PLR0913 - FastStream's fields and ours
        self,
        body: Any,
        /,
        *bodies: Any,
        _publish_type: PublishType,
        destination: str = "",
        reply_to: str = "",
        correlation_id: str | None = None,
        headers: dict[str, str] | None = None,
        timeout_seconds: float = DEFAULT_REQUEST_TIMEOUT_SECONDS,
        sent: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(
            body,
            *bodies,
            _publish_type=_publish_type,
            reply_to=reply_to,
            destination=destination,
            correlation_id=correlation_id,
            headers=dict(headers or {}),  # middlewares write into it
        )
        self.timeout_seconds = timeout_seconds
        self._on_sent = sent

    def sent(self) -> None:
        """Tell whoever asked to know that SQS has the request, before its reply comes."""
        if self._on_sent is not None:
            self._on_sent()

    @classmethod
    def from_cmd(cls, cmd: PublishCommand, *, batch: bool = False) -> SQSPublishCommand:
        """Return ``cmd`` as this broker's command; in a batch a sequence is many bodies."""
        if isinstance(cmd, cls):
            return cmd
        body, extra_bodies = cls._parse_bodies(cmd.body, batch=batch)
        return cls(
            body,
            *extra_bodies,
            _publish_type=cmd.publish_type,
            destination=cmd.destination,
            reply_to=cmd.reply_to,
            correlation_id=cmd.correlation_id,
            headers=cmd.headers,
        )
