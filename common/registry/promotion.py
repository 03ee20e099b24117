"""Who serves: a version is promoted to champion, and the one it replaced can be put back.

The history is in the versions' tags: each champion remembers which version it replaced. The tags
are written before the alias moves, so an act that breaks off in between is done again by
repeating it.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from common.errors import PermanentError
from common.registry.client import Registry
from common.registry.model import Alias, Tag


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """What an act left: ``version`` serves now, ``replaced`` (if any) served before.

    ``at`` is ISO 8601 in UTC. ``is_new`` is false when the version served already and nothing was
    written.
    """

    model: str
    version: str
    replaced: str | None
    at: str
    reason: str
    is_new: bool = True


async def promote(registry: Registry, model: str, version: str, *, reason: str) -> Promotion:
    """Make ``version`` the champion, and note when, why and in whose place.

    A champion stays as it is and keeps the history of its first promotion.

    Raises:
        PermanentError: code "unknown-version" or "unknown-model".
        TransientError: the registry is away; do it again.
    """
    champion = (await registry.model(model)).aliases.get(Alias.CHAMPION)
    tags = (await registry.version(model, version)).tags
    if champion == version:
        return Promotion(
            model=model,
            version=version,
            replaced=tags.get(Tag.REPLACED),
            at=tags.get(Tag.PROMOTED_AT, ""),
            reason=tags.get(Tag.PROMOTED_BECAUSE, ""),
            is_new=False,
        )
    at = _now()
    written = {
        Tag.PROMOTED_AT: at,
        Tag.PROMOTED_BECAUSE: reason,
        Tag.REPLACED: champion,
        Tag.ROLLED_BACK_AT: None,
        Tag.ROLLED_BACK_BECAUSE: None,
    }
    for tag, value in written.items():
        if tags.get(tag) != value:
            await registry.tag_version(model, version, tag, value)
    await registry.point(model, Alias.CHAMPION, version)
    return Promotion(model=model, version=version, replaced=champion, at=at, reason=reason)


async def rollback(registry: Registry, model: str, *, reason: str) -> Promotion:
    """Put back the version that the champion replaced; note on the one that leaves why it left.

    Raises:
        PermanentError: code "unknown-model", "no-champion", or "nothing-to-roll-back-to" when the
            champion replaced none, or one that is gone or was itself rolled back.
        TransientError: the registry is away; do it again.
    """
    leaving = (await registry.model(model)).aliases.get(Alias.CHAMPION)
    if leaving is None:
        raise PermanentError(
            "no-champion",
            f"Model {model!r} has no {Alias.CHAMPION}, so there is nothing to roll back. "
            "Promote one of its versions.",
        )
    returning = (await registry.version(model, leaving)).tags.get(Tag.REPLACED)
    await _check_return(registry, model, leaving, returning)
    at = _now()
    await registry.tag_version(model, leaving, Tag.ROLLED_BACK_BECAUSE, reason)
    await registry.tag_version(model, leaving, Tag.ROLLED_BACK_AT, at)
    await registry.point(model, Alias.CHAMPION, str(returning))
    return Promotion(model=model, version=str(returning), replaced=leaving, at=at, reason=reason)


async def _check_return(
    registry: Registry, model: str, leaving: str, returning: str | None
) -> None:
    if returning is None:
        why = "replaced no other version"
    else:
        try:
            found = await registry.version(model, returning)
        except PermanentError as error:
            if error.code != "unknown-version":
                raise
            why = f"replaced version {returning}, which the registry holds no more"
        else:
            if Tag.ROLLED_BACK_AT not in found.tags:
                return
            why = f"replaced version {returning}, which was itself rolled back"
    raise PermanentError(
        "nothing-to-roll-back-to",
        f"The {Alias.CHAMPION} of {model!r}, version {leaving}, {why}. "
        "Promote the version that should serve instead.",
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
