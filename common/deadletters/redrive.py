"""Sends a dead letter back to the queue it came from, so that its prediction is made after all.

In this order, and so that a crash between two steps costs at worst a second run, never a letter:
a promise says that the prediction is under way; the stored failure is removed, because a result is
written once; the message is sent back; only then it is deleted here. A result that is no failure,
or a cancellation, stays: the worker finds it and does not work.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import uuid4

import msgspec

from common.claims import Claims
from common.deadletters.browse import Browse
from common.deadletters.letter import (
    REASON_HEADERS,
    REDRIVE_PASS,
    REDRIVES,
    UNREADABLE,
    DeadLetter,
    claim_of,
)
from common.errors import CarimboError
from common.messages import Accepted, Completed, Failed, FailureCode, PredictionRequest
from common.objects import ObjectStore
from common.sqs import (
    MessageTooLarge,
    OutgoingMessage,
    QueueUrls,
    Sender,
    entry_size,
    to_entry,
)
from common.sqs.envelope import check_size
from common.sqs.limits import MESSAGE_LIMIT_BYTES
from common.topology import promise_key, result_key

_JSON = "application/json"


class StoredResult(StrEnum):
    """What a redrive finds under the prediction's id, and what becomes of it."""

    REPLACEABLE = "a failure, made way for"
    KEPT = "a result, kept"
    NONE = "no result"


class _Plan(NamedTuple):
    source_url: str
    message: OutgoingMessage
    key: str
    stored: bytes | None
    result: StoredResult


class Redrive:
    """One redrive of any number of letters; letters buried anew meanwhile are told apart by it.

    ``default_source`` is the queue for a letter that does not say where it came from.
    """

    def __init__(
        self,
        *,
        store: ObjectStore,
        sender: Sender,
        queues: QueueUrls,
        default_source: str,
        limit_bytes: int = MESSAGE_LIMIT_BYTES,
    ) -> None:
        self._store = store
        self._claims = Claims(store)
        self._sender = sender
        self._queues = queues
        self._default_source = default_source
        self._limit_bytes = limit_bytes
        self._pass_id = uuid4().hex

    def came_back(self, letter: DeadLetter) -> bool:
        """Say whether this very redrive sent it back already, and it was buried anew."""
        return letter.message.headers.get(REDRIVE_PASS) == self._pass_id

    async def preview(self, letter: DeadLetter) -> StoredResult:
        """Say what ``send_back`` would find, and fail as it would; changes nothing.

        Raises:
            CarimboError: the letter cannot be sent back (its queue is gone, say).
        """
        return (await self._plan(letter)).result

    async def send_back(self, letter: DeadLetter, browse: Browse) -> StoredResult:
        """Send a letter back and delete it from the dead-letter queue.

        Raises:
            CarimboError: it was not sent back, or not deleted; either way it is still here.
        """
        plan = await self._plan(letter)
        message = await self._fitting(plan.message)
        if plan.result is StoredResult.REPLACEABLE:
            await self._promise(plan)
            await self._store.delete(plan.key)
        try:
            await self._sender.send(plan.source_url, message)
        except CarimboError:
            await self._restore(plan)
            raise
        await browse.delete(letter)
        return plan.result

    async def _plan(self, letter: DeadLetter) -> _Plan:
        """Find out everything that can fail before anything is changed."""
        source_url = await self._queues.url(letter.source or self._default_source)
        message = sent_back(letter, self._pass_id)
        claim = claim_of(letter)
        if claim is not None:
            await self._claims.check(claim)
        if _request_of(message.body) is None:  # what is one, can be made to fit
            self._check_size(message)
        key = result_key(letter.prediction_id)
        stored = await self._store.get(key) if letter.prediction_id else None
        return _Plan(source_url, message, key, stored, judge(stored, letter.fingerprint))

    async def _fitting(self, message: OutgoingMessage) -> OutgoingMessage:
        """The message without its rows, should it have outgrown SQS on its way."""
        try:
            self._check_size(message)
        except MessageTooLarge:
            lighter = await self._claims.lighten(_request_of(message.body))
            if lighter is None:
                raise
            return OutgoingMessage(body=msgspec.json.encode(lighter), headers=message.headers)
        return message

    def _check_size(self, message: OutgoingMessage) -> None:
        check_size(entry_size(to_entry(message, "")), self._limit_bytes)

    async def _promise(self, plan: _Plan) -> None:
        """Whoever asks between the failure's end and the result is told that it is under way."""
        request = _request_of(plan.message.body)
        if request is None:
            return
        accepted = Accepted(
            prediction_id=request.prediction_id,
            model=request.model,
            fingerprint=request.fingerprint,
            created=datetime.now(UTC),
            callback_url=request.callback_url,
        )
        key = promise_key(request.prediction_id)
        await self._store.put_once(key, msgspec.json.encode(accepted), _JSON)

    async def _restore(self, plan: _Plan) -> None:
        """Nothing was sent, as far as we know: the client's answer is the old failure again."""
        if plan.result is StoredResult.REPLACEABLE and plan.stored is not None:
            with suppress(CarimboError):
                await self._store.put_once(plan.key, plan.stored, _JSON)


def judge(stored: bytes | None, fingerprint: str) -> StoredResult:
    """Say whether a stored result may make way: a failure of the same file, not a cancellation."""
    if stored is None:
        return StoredResult.NONE
    try:
        result = _result.decode(stored)
    except UNREADABLE:
        return StoredResult.KEPT  # a newer release's, whose meaning is unknown here
    is_ours = not result.fingerprint or result.fingerprint == fingerprint
    if isinstance(result, Failed) and result.code != FailureCode.CANCELLED and is_ours:
        return StoredResult.REPLACEABLE
    return StoredResult.KEPT


def sent_back(letter: DeadLetter, pass_id: str) -> OutgoingMessage:
    """The message as it goes back: without its reasons, wanted whatever its age.

    Its relative budget starts anew with the send.
    """
    headers = {
        name: value for name, value in letter.message.headers.items() if name not in REASON_HEADERS
    }
    headers[REDRIVES] = str(letter.redrives + 1)
    headers[REDRIVE_PASS] = pass_id
    return OutgoingMessage(body=_wanted(letter.message.body), headers=headers)


def _wanted(body: bytes) -> bytes:
    """Set ``keep`` in a request, so that it is not skipped as expired, and take its id for used.

    Only these two fields are touched: a newer release's unknown fields must get through. What is
    no request goes back as it is.
    """
    if _request_of(body) is None:
        return body
    fields = _fields.decode(body)
    fields["keep"] = msgspec.Raw(b"true")
    fields["fresh_id"] = msgspec.Raw(b"false")
    return msgspec.json.encode(fields)


def _request_of(body: bytes) -> PredictionRequest | None:
    try:
        return _request.decode(body)
    except UNREADABLE:
        return None


_result: msgspec.json.Decoder[Completed | Failed] = msgspec.json.Decoder(Completed | Failed)
_request = msgspec.json.Decoder(PredictionRequest)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
