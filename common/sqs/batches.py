"""The outcome of each entry of a batch call, which can fail entry by entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from common.errors import CarimboError
from common.sqs.errors import EntryRefused, SqsUnavailable

R = TypeVar("R")

_RECEIPT_GONE = frozenset(
    {
        "ReceiptHandleIsInvalid",
        "MessageNotInflight",
        "AWS.SimpleQueueService.MessageNotInflight",
    }
)
"""Never SQS's own fault, though LocalStack says so of the first."""


def entry_outcomes(
    operation: str,
    answer: Mapping[str, Any],
    count: int,
    success: Callable[[Mapping[str, Any]], R],
) -> Sequence[R | CarimboError]:
    """Give one outcome for each of the ``count`` entries, whose ids are "0", "1", ...

    An entry that the answer does not mention may or may not have been taken: it counts as a fault
    of SQS, to be tried again, because doing a thing twice is safe here and losing it is not.
    """
    outcomes: list[R | CarimboError] = [
        SqsUnavailable("sqs-unavailable", f"The answer to {operation} left an entry out.")
        for _ in range(count)
    ]
    for done in answer.get("Successful", ()):
        outcomes[int(done["Id"])] = success(done)
    for failed in answer.get("Failed", ()):
        outcomes[int(failed["Id"])] = _failure(operation, failed)
    return outcomes


def _failure(operation: str, failed: Mapping[str, Any]) -> CarimboError:
    code = str(failed.get("Code", ""))
    if failed.get("SenderFault", False) or code in _RECEIPT_GONE:
        return EntryRefused(
            "sqs-entry-refused", f"SQS refused an entry of {operation} with {code}."
        )
    return SqsUnavailable("sqs-unavailable", f"SQS failed an entry of {operation} with {code}.")
