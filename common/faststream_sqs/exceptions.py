"""What can go wrong in the broker itself. No message here ever quotes a body."""

from __future__ import annotations

from common.errors import PermanentError


class UndecodableMessageError(PermanentError):
    """A body is not what the handler's annotation says; trying again cannot help."""

    def __init__(self, expected: str, size: int) -> None:
        super().__init__(
            "undecodable-message",
            f"A body of {size} bytes was found where {expected} was expected. "
            "Compare the sender's release with this one's: fields may only be added.",
        )


class ReplyTimeoutError(TimeoutError):
    """No reply arrived in time. The request may still be answered; its reply will be dropped."""

    def __init__(self, queue: str, timeout_seconds: float) -> None:
        super().__init__(
            f"No reply to a request on {queue} within {timeout_seconds:g} s. "
            "Read the stored result, or ask again."
        )
        self.queue = queue
        self.timeout_seconds = timeout_seconds


class NotConnectedError(RuntimeError):
    """The broker was used before it was connected, or after it was stopped."""

    def __init__(self) -> None:
        super().__init__(
            "The SQS broker is not connected: await broker.connect() or broker.start() first."
        )
