"""Idempotency-Key: the same key with the same content is the same prediction, however often sent.

What a key means is written down once, before anything is sent. A replica that dies between the two
leaves a key without work behind: whoever repeats the request finds that, and does the sending.
"""

from __future__ import annotations

import hashlib
import re

import msgspec

from common.errors import PermanentError, TransientError
from common.messages import PredictionId, PredictionRequest
from common.objects import ObjectStore
from common.topology import idempotency_key

JSON = "application/json"

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class KeyMeaning(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored under a key's digest."""

    prediction_id: PredictionId
    fingerprint: str


def read_key(header: str | None) -> str | None:
    """The key that a request bears, or None.

    Raises:
        PermanentError: ``invalid-idempotency-key``.
    """
    if header is None:
        return None
    key = header.strip()
    if _KEY.fullmatch(key) is None:
        raise PermanentError(
            "invalid-idempotency-key",
            "The Idempotency-Key header is empty, longer than 255 characters, or holds a character "
            "that is not visible ASCII; a UUID is a good key.",
        )
    return key


class Keys:
    """The keys of all requests, kept as long as the results are."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def meaning(self, key: str, request: PredictionRequest) -> PredictionId:
        """The prediction that ``key`` means: the request's own, unless the key was used before.

        Raises:
            PermanentError: ``idempotency-key-reused``, when it was used for other content.
            TransientError: the object store did not answer.
        """
        wanted = KeyMeaning(
            prediction_id=request.prediction_id, fingerprint=content_fingerprint(request)
        )
        name = idempotency_key(hashlib.sha256(key.encode()).hexdigest())
        if await self._store.put_once(name, msgspec.json.encode(wanted), JSON):
            return request.prediction_id
        stored = await self._store.get(name)
        if stored is None:
            raise TransientError("unavailable", "The key was forgotten just now; send it again.")
        meaning = msgspec.json.decode(stored, type=KeyMeaning)
        if meaning.fingerprint != wanted.fingerprint:
            raise PermanentError(
                "idempotency-key-reused",
                "This Idempotency-Key was used for another file, model, way of reading or "
                "callback; send every request that differs under a key of its own.",
            )
        return meaning.prediction_id


def content_fingerprint(request: PredictionRequest) -> str:
    """SHA-256 of all that a key stands for: the request's fingerprint, and who is called back."""
    if request.callback_url is None:
        return request.fingerprint
    text = f"{request.fingerprint}\0{request.callback_url}"
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
