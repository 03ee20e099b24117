"""Removes the claimed objects whose prediction has ended.

An object goes when its prediction has a result, that result cannot be taken back, and both are
older than the grace: a message that was delivered twice still finds its rows. Those of a buried
request stay, because it may be redriven; purging the letter removes them. What nobody ever
answered goes by the bucket's own rule, after ``common.topology.CLAIM_DAYS``.

Sweepers do not disturb one another: removing what is gone is no error, and each reads the same
results.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec
import structlog

from common.messages import ANSWERED, Completed, Failed, PredictionId
from common.objects import ObjectStore
from common.topology import CLAIMS_PREFIX, claimant, result_key

LARGEST_FAILURE_BYTES = 64 * 1024
"""A failure is a few sentences; a larger result has labels, and need not be read to know that."""

_results: msgspec.json.Decoder[Completed | Failed] = msgspec.json.Decoder(Completed | Failed)

log = structlog.get_logger(__name__)


async def sweep_claims(store: ObjectStore, grace: timedelta) -> int:
    """Remove the objects that nothing will ask for any more; give their number.

    Raises:
        TransientError: the store did not answer; what was swept is swept.
    """
    swept = 0
    ended: dict[PredictionId, bool] = {}
    async for claim in store.walk(CLAIMS_PREFIX):
        if claim.age_seconds < grace.total_seconds():
            continue
        owner = claimant(claim.key)
        if owner not in ended:
            ended[owner] = await _has_ended(store, owner, grace)
        if ended[owner]:
            await store.delete(claim.key)
            swept += 1
    if swept:
        log.info("claims_swept", swept=swept)
    return swept


async def _has_ended(store: ObjectStore, owner: PredictionId, grace: timedelta) -> bool:
    found = await store.stat(result_key(owner))
    if found is None or found.age_seconds < grace.total_seconds():
        return False
    if found.size > LARGEST_FAILURE_BYTES:
        return True
    body = await store.get(result_key(owner))
    if body is None:  # a redrive has just made way for another result
        return False
    try:
        result = _results.decode(body)
    except msgspec.DecodeError:  # a newer release's, whose meaning is unknown here
        return False
    return isinstance(result, Completed) or result.code in ANSWERED
