"""Checks rows in and redeems them.

A claim's key tells its content, so writing it twice changes nothing: a request that is sent again
finds its object, and two replicas never disturb one another.
"""

from __future__ import annotations

import asyncio
import hashlib
from io import BytesIO
from typing import IO

import msgspec

from common.claims.table import CONTENT_TYPE, ClaimedTable, TablePart, read_table_parts, write_part
from common.errors import PermanentError
from common.messages import Claim, FailureCode, PredictionId, PredictionRequest
from common.objects import ObjectStore
from common.topology import claim_key

_NO_COLUMNS = msgspec.Raw(b"{}")


class Claims:
    """The claimed objects of one bucket."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def lighten(self, body: object) -> object | None:
        """For a broker whose message does not fit: the request without its rows, which are stored.

        None for anything that has no rows to put away.

        Raises:
            TransientError: the store did not take them.
        """
        if not isinstance(body, PredictionRequest) or body.claim is not None:
            return None
        part = TablePart(lines=body.lines, columns=body.columns, violations=body.violations)
        content = write_part(part)
        digest = hashlib.sha256(content).hexdigest()
        claim = await self.check_in(
            body.prediction_id, BytesIO(content), sha256=digest, size=len(content)
        )
        return without_rows(body, claim)

    async def check_in(
        self, prediction_id: PredictionId, table: IO[bytes], *, sha256: str, size: int
    ) -> Claim:
        """Store ``table``, which has that digest and size, until the prediction has ended.

        Raises:
            TransientError: the store did not take it.
        """
        key = claim_key(prediction_id, sha256)
        await self._store.put_file(key, table, CONTENT_TYPE)
        return Claim(key=key, sha256=sha256, size=size)

    async def redeem(self, claim: Claim) -> ClaimedTable:
        """The rows of a claim.

        Raises:
            PermanentError: ``claim-lost``, when the object is gone or holds something else.
            TransientError: the store did not answer.
        """
        content = await self._store.get(claim.key)
        if content is None:
            raise _lost("is gone from the bucket")
        return await asyncio.to_thread(_verified, content, claim)

    async def check(self, claim: Claim) -> None:
        """Make sure that the object is there, without reading it.

        Raises:
            PermanentError: ``claim-lost``, when it is gone or has another size.
            TransientError: the store did not answer.
        """
        found = await self._store.stat(claim.key)
        if found is None:
            raise _lost("is gone from the bucket")
        if found.size != claim.size:
            raise _lost(f"has {found.size} bytes where {claim.size} were stored")

    async def forget(self, claim: Claim) -> None:
        """Remove the object: nothing will ask for it again.

        Raises:
            TransientError: the store did not answer.
        """
        await self._store.delete(claim.key)


def without_rows(request: PredictionRequest, claim: Claim) -> PredictionRequest:
    """The request as it travels when its rows are in the object of ``claim``."""
    return msgspec.structs.replace(
        request, lines=[], columns=_NO_COLUMNS, violations=[], claim=claim
    )


def _verified(content: bytes, claim: Claim) -> ClaimedTable:
    if hashlib.sha256(content).hexdigest() != claim.sha256:
        raise _lost(f"does not have the digest that was stored; it has {len(content)} bytes")
    try:
        return read_table_parts(content)
    except msgspec.DecodeError:
        failure = _lost("is not in a form that this release reads")
    raise failure


def _lost(how: str) -> PermanentError:
    return PermanentError(
        FailureCode.CLAIM_LOST,
        f"The file's rows were too large for a message, and the object that held them {how}. "
        "Send the file again under a new id.",
    )
