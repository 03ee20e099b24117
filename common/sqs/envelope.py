"""How a message travels: body and headers to SQS's text and attributes, and back.

SQS carries text of the XML 1.0 character set, at most ten attributes, none of them empty. Eight
headers of the protocol have an attribute of their own; all others share one, as a JSON object;
the tenth says how the body was encoded. What this module once wrote it must always read:
``tests/common/golden/`` holds a sample of every form.
"""

from __future__ import annotations

import binascii
import json
import re
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from common.sqs.errors import MessageTooLarge

if TYPE_CHECKING:
    from types_aiobotocore_sqs.literals import MessageSystemAttributeNameType
    from types_aiobotocore_sqs.type_defs import (
        MessageAttributeValueOutputTypeDef,
        MessageAttributeValueTypeDef,
        MessageTypeDef,
        SendMessageBatchRequestEntryTypeDef,
    )

PROTOCOL_HEADERS = (
    "correlation_id",
    "reply_to",
    "content_type",
    "traceparent",
    "tracestate",
    "baggage",
    "budget_ms",
    "message_type",
)
SYSTEM_ATTRIBUTES: Sequence[MessageSystemAttributeNameType] = (
    "ApproximateReceiveCount",
    "SentTimestamp",
    "ApproximateFirstReceiveTimestamp",
)
_PACKED = "headers"
_ENCODING = "content_encoding"
_BASE64 = "base64"
_EMPTY = "empty"
_EMPTY_BODY = "-"  # SQS refuses a body of no characters
_UNSPEAKABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPEAKABLE_ASCII = bytes([0x09, 0x0A, 0x0D, *range(0x20, 0x80)])


class OutgoingMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message to send. Headers with an empty value do not travel."""

    body: bytes
    headers: dict[str, str] = {}


class ReceivedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as received, with what is needed to settle it.

    ``sent_ms`` and ``first_received_ms`` are SQS's own clock, milliseconds since 1970;
    ``received_at`` is this process's monotonic clock, seconds. ``receive_count`` starts at 1.
    """

    body: bytes
    headers: dict[str, str]
    message_id: str
    receipt_handle: str
    receive_count: int
    sent_ms: int
    first_received_ms: int
    queue_url: str
    received_at: float

    def __repr__(self) -> str:
        """Tell the message without its content: a framework may print it in an error."""
        return f"ReceivedMessage({self.message_id!r}, {len(self.body)} bytes)"

    @property
    def queue_wait_ms(self) -> int:
        """Milliseconds from the send to the first receipt, by SQS's clock alone."""
        return max(0, self.first_received_ms - self.sent_ms)

    @property
    def age_ms(self) -> float:
        """Milliseconds since the send; too few after a redelivery, whose gap SQS does not tell."""
        return self.queue_wait_ms + (time.monotonic() - self.received_at) * 1000


def to_entry(message: OutgoingMessage, entry_id: str) -> SendMessageBatchRequestEntryTypeDef:
    """Encode a message as the entry of a batch."""
    body, encoding = _encoded_body(message.body)
    attributes = _attributes(message.headers)
    if encoding is not None:
        attributes[_ENCODING] = _text_attribute(encoding)
    return {"Id": entry_id, "MessageBody": body, "MessageAttributes": attributes}


def entry_size(entry: SendMessageBatchRequestEntryTypeDef) -> int:
    """Bytes of an entry as SQS counts them: body, and each attribute's name, type and value."""
    size = _utf8_length(entry["MessageBody"])
    for name, attribute in entry.get("MessageAttributes", {}).items():
        size += _utf8_length(name) + len(attribute["DataType"])
        size += _utf8_length(attribute.get("StringValue", ""))
    return size


def check_size(size: int, limit_bytes: int) -> None:
    """Refuse a message that SQS would refuse.

    Raises:
        MessageTooLarge: the message cannot travel in one piece.
    """
    if size > limit_bytes:
        raise MessageTooLarge(
            "message-too-large",
            f"The message has {size} bytes with its attributes; the limit is {limit_bytes}. "
            "Send less at once: split the file, or store it and send a reference.",
        )


def from_raw(raw: MessageTypeDef, queue_url: str) -> ReceivedMessage:
    """Decode a message as SQS hands it out, ours or anybody's."""
    headers, encoding = _headers(raw.get("MessageAttributes", {}))
    system = raw.get("Attributes", {})
    return ReceivedMessage(
        body=_decoded_body(raw.get("Body", ""), encoding),
        headers=headers,
        message_id=raw.get("MessageId", ""),
        receipt_handle=raw.get("ReceiptHandle", ""),
        receive_count=int(system.get("ApproximateReceiveCount", "1")),
        sent_ms=int(system.get("SentTimestamp", "0")),
        first_received_ms=int(system.get("ApproximateFirstReceiveTimestamp", "0")),
        queue_url=queue_url,
        received_at=time.monotonic(),
    )


def _encoded_body(body: bytes) -> tuple[str, str | None]:
    if not body:
        return _EMPTY_BODY, _EMPTY
    if body.isascii():
        if not body.translate(None, _SPEAKABLE_ASCII):
            return body.decode("ascii"), None
    else:
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            pass
        else:
            if _UNSPEAKABLE.search(text) is None:
                return text, None
    return b64encode(body).decode("ascii"), _BASE64


def _decoded_body(body: str, encoding: str | None) -> bytes:
    if encoding == _BASE64:
        # Somebody else's attribute of that name must not make a message unreadable.
        with suppress(binascii.Error):
            return b64decode(body, validate=True)
    return b"" if encoding == _EMPTY else body.encode("utf-8")


def _attributes(headers: dict[str, str]) -> dict[str, MessageAttributeValueTypeDef]:
    attributes: dict[str, MessageAttributeValueTypeDef] = {}
    packed: dict[str, str] = {}
    for name, value in headers.items():
        if not value:
            continue
        if name in PROTOCOL_HEADERS and _UNSPEAKABLE.search(value) is None:
            attributes[name] = _text_attribute(value)
        else:
            packed[name] = value
    if packed:
        attributes[_PACKED] = _text_attribute(json.dumps(packed, separators=(",", ":")))
    return attributes


def _headers(
    attributes: Mapping[str, MessageAttributeValueOutputTypeDef],
) -> tuple[dict[str, str], str | None]:
    """Read the headers and the body's encoding; other people's binary attributes are left out."""
    headers = {
        name: attribute["StringValue"]
        for name, attribute in attributes.items()
        if "StringValue" in attribute
    }
    encoding = headers.pop(_ENCODING, None)
    packed = headers.pop(_PACKED, None)
    if packed is not None:
        try:
            headers.update(msgspec.json.decode(packed, type=dict[str, str]))
        except msgspec.DecodeError:
            headers[_PACKED] = packed  # somebody else's attribute of that name
    return headers, encoding


def _text_attribute(value: str) -> MessageAttributeValueTypeDef:
    return {"DataType": "String", "StringValue": value}


def _utf8_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8"))
