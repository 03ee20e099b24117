"""One dead letter as people see it: which prediction, why it was buried, where it came from.

Nothing here tells a row: a letter's body gives its prediction id and counts, never a cell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from common.messages import Claim, PredictionId, PredictionRequest
from common.sqs import ReceivedMessage, from_raw

if TYPE_CHECKING:
    from types_aiobotocore_sqs.type_defs import MessageTypeDef

CODE = "dead_letter_code"
REASON = "dead_letter_reason"
SOURCE = "dead_letter_source"
ATTEMPTS = "dead_letter_receive_count"
REASON_HEADERS = frozenset({CODE, REASON, SOURCE, ATTEMPTS})
"""What a worker adds when it buries a message; gone again once the letter is sent back."""

REDRIVES = "redrives"
"""How often a message was sent back so far. Stays with it, should it be buried again."""

REDRIVE_PASS = "redrive_pass"  # noqa: S105 - a pass over a queue
"""The pass that last sent it back: how that pass knows a letter that is buried anew."""

SOURCE_ARN: str = "DeadLetterQueueSourceArn"
CRASHED = "crashed-or-expired"
"""SQS itself moved it: every attempt ended without a word, by a crash or a lease that ran out."""
UNKNOWN = "unknown"

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding may raise: a body that killed its workers must not stop those who look at it."""

_MOVED_BY_SQS = (
    "SQS moved it after too many receipts that nobody settled: its workers crashed or hung."
)
_SILENT = "It was buried without a reason: the reason did not fit, or another program sent it."


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message in a dead-letter queue.

    ``prediction_id`` and ``fingerprint`` are empty when the body is no prediction request.
    ``source`` is the name of the queue it came from, None when nobody said. ``attempts`` is how
    often it was received there, None when SQS moved it itself.
    """

    message: ReceivedMessage
    prediction_id: PredictionId
    fingerprint: str
    code: str
    reason: str
    source: str | None
    attempts: int | None
    trace_id: str
    redrives: int

    @property
    def names(self) -> frozenset[str]:
        """What a person may call it: the prediction's id, or SQS's own id of the message."""
        return frozenset({self.prediction_id, self.message.message_id}) - {""}

    @property
    def name(self) -> str:
        """The prediction's id; of a body that cannot be read, the message's."""
        return self.prediction_id or self.message.message_id


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What a letter holds, in numbers: of the rows as well, when they are claimed.

    Everything but the bytes is None when it cannot be read, or is in the claimed object.
    """

    body_bytes: int
    rows: int | None = None
    rejected_rows: int | None = None
    columns: int | None = None


class _Identity(msgspec.Struct, frozen=True, kw_only=True, tag="prediction-request"):
    prediction_id: PredictionId
    fingerprint: str


class _Claimed(msgspec.Struct, frozen=True, kw_only=True, tag="prediction-request"):
    claim: Claim | None = None


_identity = msgspec.json.Decoder(_Identity)
_claimed = msgspec.json.Decoder(_Claimed)
_request = msgspec.json.Decoder(PredictionRequest)
_cells = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_letter(raw: MessageTypeDef, queue_url: str) -> DeadLetter:
    """Read a message as SQS hands it out from a dead-letter queue; never fails on its content."""
    message = from_raw(raw, queue_url)
    headers = message.headers
    attributes = raw.get("Attributes", {})
    arn = next((value for name, value in attributes.items() if name == SOURCE_ARN), "")
    identity = _identify(message.body)
    return DeadLetter(
        message=message,
        prediction_id=identity.prediction_id,
        fingerprint=identity.fingerprint,
        code=headers.get(CODE) or (CRASHED if arn else UNKNOWN),
        reason=headers.get(REASON) or (_MOVED_BY_SQS if arn else _SILENT),
        source=headers.get(SOURCE) or str(arn).rpartition(":")[2] or None,
        attempts=_count(headers.get(ATTEMPTS, "")),
        trace_id=_trace_id(headers.get("traceparent", "")),
        redrives=_count(headers.get(REDRIVES, "")) or 0,
    )


def claim_of(letter: DeadLetter) -> Claim | None:
    """Where a letter's rows are, if they were too large for it."""
    try:
        return _claimed.decode(letter.message.body).claim
    except UNREADABLE:
        return None


def contents(letter: DeadLetter) -> Contents:
    """Measure a letter's body."""
    body = letter.message.body
    try:
        request = _request.decode(body)
        columns = len(_cells.decode(request.columns))
    except UNREADABLE:
        return Contents(body_bytes=len(body))
    if request.claim is not None:
        return Contents(body_bytes=len(body) + request.claim.size)
    return Contents(
        body_bytes=len(body),
        rows=len(request.lines),
        rejected_rows=len(request.violations),
        columns=columns,
    )


def _identify(body: bytes) -> _Identity:
    try:
        return _identity.decode(body)
    except UNREADABLE:
        return _Identity(prediction_id=PredictionId(""), fingerprint="")


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _trace_id(traceparent: str) -> str:
    """The second field of a W3C ``traceparent``; empty when there is none."""
    fields = traceparent.split("-")
    return fields[1] if len(fields) > 1 else ""
