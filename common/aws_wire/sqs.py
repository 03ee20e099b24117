"""SQS's four hot operations in its JSON protocol; the others are the client's.

Takes and gives what aiobotocore's client does, errors included, so that either can stand behind
the same code.
"""

from __future__ import annotations

from typing import Any

import msgspec

from common.aws_wire.wire import Answer, Wire, refusal

_CONTENT_TYPE = "application/x-amz-json-1.0"
_ERROR_HEADER = "x-amzn-query-error"
"""``AWS.SimpleQueueService.NonExistentQueue;Sender``: the code that clients have always known."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class LeanSqs:
    """An aiobotocore SQS client whose hot operations go over ``wire``."""

    def __init__(self, client: Any, wire: Wire) -> None:
        self._client = client
        self._wire = wire

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send_message_batch(self, **request: Any) -> Any:
        """SendMessageBatch."""
        return await self._call("SendMessageBatch", request)

    async def receive_message(self, **request: Any) -> Any:
        """ReceiveMessage."""
        return await self._call("ReceiveMessage", request)

    async def delete_message_batch(self, **request: Any) -> Any:
        """DeleteMessageBatch."""
        return await self._call("DeleteMessageBatch", request)

    async def change_message_visibility_batch(self, **request: Any) -> Any:
        """ChangeMessageVisibilityBatch."""
        return await self._call("ChangeMessageVisibilityBatch", request)

    async def _call(self, operation: str, request: dict[str, Any]) -> Any:
        headers = {"content-type": _CONTENT_TYPE, "x-amz-target": f"AmazonSQS.{operation}"}
        answer = await self._wire.send(operation, "POST", "/", headers, _encode(request))
        if answer.is_error:
            raise refusal(answer, operation, _code(answer))
        return _decode(answer.body)


def _code(answer: Answer) -> str:
    known = answer.headers.get(_ERROR_HEADER, "").partition(";")[0]
    if known:
        return known
    try:
        body = _decode(answer.body)
    except msgspec.DecodeError:
        return str(answer.status)
    kind = body.get("__type", "") if isinstance(body, dict) else ""
    return str(kind).rpartition("#")[2] or str(answer.status)
