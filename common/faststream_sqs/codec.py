"""Bodies to typed values and back: one strict ``msgspec`` pass each way.

FastStream's own path decodes to a dict and then converts it laxly ("1.5" passes for a float), and
its validation errors quote the payload. Here the handler's annotation makes the decoder, and an
undecodable body is told by its size and the expected type alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
from faststream.exceptions import SetupError

from common.faststream_sqs.exceptions import UndecodableMessageError

if TYPE_CHECKING:
    from faststream.message import StreamMessage

    from common.faststream_sqs._compat import HandlerItem

JSON_CONTENT = "application/json"
BINARY_CONTENT = "application/octet-stream"
TEXT_CONTENT = "text/plain"

_encode = msgspec.json.Encoder().encode


class TypedCodec:
    """Decodes bodies strictly as one type. Built once a handler, used for each message.

    ``bytes`` passes the body through, ``str`` reads it as UTF-8 text; every other type is JSON,
    unions of tagged structs included.
    """

    __slots__ = ("_decode", "expected")

    def __init__(self, body_type: Any) -> None:
        self.expected = type_name(body_type)
        self._decode = _decoder(body_type)

    async def decode(self, message: StreamMessage[Any]) -> Any:
        """Return the message's body as the type.

        Raises:
            UndecodableMessageError: it is something else; the cause is dropped, for it may quote
                the body.
        """
        try:
            return self._decode(message.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            failure = UndecodableMessageError(self.expected, len(message.body))
        raise failure


class WireCodec:
    """What the producer side holds: encodes anything, decodes replies without a type."""

    __slots__ = ("_untyped",)

    def __init__(self) -> None:
        self._untyped = TypedCodec(Any)

    async def decode(self, msg: StreamMessage[Any]) -> Any:
        """Return the body as plain JSON values, or untouched when it is not JSON."""
        if msg.content_type == JSON_CONTENT:
            return await self._untyped.decode(msg)
        return msg.body

    async def encode(self, msg: Any, serializer: Any = None) -> tuple[bytes, str | None]:  # noqa: ARG002
        """Return the encoded body and its content type; FastStream's serializer is not used."""
        return encode_body(msg)


def encode_body(body: Any) -> tuple[bytes, str]:
    """Return the bytes that travel and their content type: bytes and text as they are, else JSON.

    SQS refuses an empty body, so ``None`` travels as JSON's ``null``.
    """
    if isinstance(body, bytes):
        return body, BINARY_CONTENT
    if isinstance(body, str):
        return body.encode(), TEXT_CONTENT
    return _encode(body), JSON_CONTENT


def handler_body_type(handler: HandlerItem[Any]) -> Any:
    """Return the type of the one parameter that FastStream does not inject.

    Raises:
        SetupError: the handler does not take exactly one message body.
    """
    parameters = [] if handler.dependant is None else handler.dependant.flat_params
    if len(parameters) != 1:
        names = ", ".join(parameter.field_name for parameter in parameters) or "none"
        raise SetupError(
            f"Handler {handler.name!r} must take exactly one message body; found: {names}. "
            "Annotate the others with Context() or Depends(), and the body with its type."
        )
    return parameters[0].field_type


@cache
def codec_of(body_type: Any) -> TypedCodec:
    """Return the one codec of a type."""
    return TypedCodec(body_type)


def type_name(body_type: Any) -> str:
    """Return a type's name as a person would write it: ``Completed | Failed``."""
    return getattr(body_type, "__name__", None) or str(body_type).replace("typing.", "")


def _decoder(body_type: Any) -> Callable[[bytes], Any]:
    if body_type is bytes:
        return bytes
    if body_type is str:
        return bytes.decode
    return msgspec.json.Decoder(body_type).decode
