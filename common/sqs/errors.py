"""What can go wrong between us and SQS, as the project's two kinds of error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import ClientError as ConnectionFailure
from botocore.exceptions import BotoCoreError, ClientError

from common.errors import PermanentError, TransientError

_QUEUE_GONE = frozenset({"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"})
_FIRST_SERVER_STATUS = 500
_TOO_MANY_REQUESTS = 429


class QueueGone(PermanentError):  # noqa: N818 - names the condition, as its siblings do
    """The queue does not exist: not yet, no longer, or not under this name."""


class SqsRefused(PermanentError):  # noqa: N818 - names the condition
    """SQS says that the fault is ours: a missing permission, say, or a wrong parameter."""


class EntryRefused(SqsRefused):
    """SQS took the batch and refused this entry of it: sending it again cannot help."""


class MessageTooLarge(PermanentError):  # noqa: N818 - names the condition
    """Body and attributes together exceed what SQS carries: send a reference instead."""


class SqsUnavailable(TransientError):  # noqa: N818 - names the condition
    """SQS did not answer, or answered that the fault is its own."""


@contextmanager
def sqs_errors(operation: str) -> Iterator[None]:
    """Turn the client library's exceptions into ours. Never names a message's content."""
    try:
        yield
    except ClientError as error:
        raise _from_answer(operation, error) from error
    except (BotoCoreError, ConnectionFailure, OSError) as error:
        raise SqsUnavailable(
            "sqs-unavailable",
            f"{operation} got no answer from SQS ({type(error).__name__}); it can be tried again.",
        ) from error


def error_code(error: ClientError) -> str:
    """Give the code of an error answer, as SQS spells it."""
    return error.response.get("Error", {}).get("Code", "")


def _from_answer(operation: str, error: ClientError) -> PermanentError | TransientError:
    code = error_code(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _QUEUE_GONE:
        return QueueGone("queue-gone", f"{operation} found no such queue.")
    if status >= _FIRST_SERVER_STATUS or status == _TOO_MANY_REQUESTS or "Throttl" in code:
        return SqsUnavailable("sqs-unavailable", f"SQS failed {operation} with {code}.")
    return SqsRefused("sqs-refused", f"SQS refused {operation} with {code}.")
