"""What happens to a message whose handler raised: answer, settle, tell the log.

It stands outside every other middleware except FastStream's acknowledgement, which then finds the
message settled. It sees the failure of anything inside: decoding, the handler, the reply's send.
"""

from __future__ import annotations

import traceback
from inspect import isawaitable
from types import TracebackType
from typing import TYPE_CHECKING, Any

import structlog
from faststream import AckPolicy, BaseMiddleware, ContextRepo
from faststream.exceptions import IgnoredException

from common.errors import CarimboError
from common.faststream_sqs.response import SQSResponse
from common.faststream_sqs.verdict import Bury, Drop, Retry, Verdict, verdict_of

if TYPE_CHECKING:
    from common.faststream_sqs.message import SQSMessage
    from common.faststream_sqs.subscriber.usecase import SQSSubscriber

log = structlog.get_logger(__name__)


class FailureMiddleware(BaseMiddleware):
    """One message's failure, settled by the subscriber's ack policy."""

    __slots__ = ("_message", "_subscriber")

    def __init__(
        self, msg: Any | None, /, *, context: ContextRepo, subscriber: SQSSubscriber
    ) -> None:
        super().__init__(msg, context=context)
        self._subscriber = subscriber
        self._message: SQSMessage | None = None

    async def consume_scope(self, call_next: Any, msg: Any) -> Any:
        """Remember the message that the handler gets."""
        self._message = msg
        return await call_next(msg)

    async def after_processed(
        self,
        exc_type: type[BaseException] | None = None,  # noqa: ARG002 - FastStream's signature
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,  # noqa: ARG002
    ) -> bool | None:
        """Settle after a failure; FastStream's own exceptions say themselves what they want."""
        subscriber = self._subscriber
        if (
            isinstance(exc_val, Exception)
            and not isinstance(exc_val, IgnoredException)
            and subscriber.ack_policy is not AckPolicy.MANUAL
        ):
            message = self._message or await subscriber.parse(self.msg)
            verdict = verdict_of(
                exc_val,
                subscriber.ack_policy,
                receive_count=message.receive_count,
                max_receive_count=subscriber.max_receive_count,
            )
            _log_failure(exc_val, message, subscriber.queue, verdict)
            if message.committed is None:
                await self._settle(exc_val, message, verdict)
        return False

    async def _settle(self, error: Exception, message: SQSMessage, verdict: Verdict) -> None:
        try:
            if isinstance(verdict, Retry):
                await message.nack(verdict.delay_seconds)
                return
            await self._answer(error, message)
            if isinstance(verdict, Bury):
                await message.reject(verdict.code, verdict.reason)
        except CarimboError as failure:
            log.warning(
                "a failed message could not be settled; it comes back when its visibility ends",
                queue=self._subscriber.queue,
                message_id=message.message_id,
                code=failure.code,
            )

    async def _answer(self, error: Exception, message: SQSMessage) -> None:
        """Tell the caller, if there is one and the application has something to say."""
        error_reply = self._subscriber.error_reply
        if error_reply is None or not message.reply_to:
            return
        try:
            body = error_reply(error, message)
            if isawaitable(body):
                body = await body
            if body is not None:
                await self._subscriber.reply(message, SQSResponse(body))
        except Exception as failure:  # noqa: BLE001 - whatever it is, the message must be settled
            log.warning(
                "an error reply was not sent",
                queue=self._subscriber.queue,
                message_id=message.message_id,
                error_type=type(failure).__name__,
            )


def _log_failure(error: Exception, message: SQSMessage, queue: str, verdict: Verdict) -> None:
    """A known error is a line; a bug comes with the frames it went through, never its text."""
    known = isinstance(error, CarimboError)
    fields: dict[str, Any] = {
        "queue": queue,
        "message_id": message.message_id,
        "correlation_id": message.correlation_id,
        "receive_count": message.receive_count,
        "error_type": type(error).__name__,
        "verdict": type(verdict).__name__.lower(),
    }
    if isinstance(error, CarimboError):
        fields["code"] = error.code
    if isinstance(verdict, Retry):
        fields["delay_seconds"] = verdict.delay_seconds
    if known and not isinstance(verdict, Drop):
        log.warning("message failed", **fields)
    else:
        frames = "".join(traceback.format_tb(error.__traceback__))
        log.error("message failed", traceback=frames, **fields)
