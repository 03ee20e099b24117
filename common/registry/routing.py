"""Which version takes a share of the traffic, and which only looks on: tags of the model.

They stand in the registry, so that every replica and every tool reads one source. A canary is
ended by naming it in a second tag and never by removing the first: MLflow knows no conditional
write, and a replica that ends an old canary must not end the one that came after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, TypeVar

import msgspec

from common.errors import PermanentError
from common.registry.client import Registry
from common.registry.model import Alias, RegisteredModel

Found = TypeVar("Found")

Percent = Annotated[float, msgspec.Meta(gt=0, le=100)]
Version = Annotated[str, msgspec.Meta(min_length=1)]


class RoutingTag(StrEnum):
    """The tags of a model that route its traffic. Each holds JSON."""

    CANARY = "carimbo.canary"
    CANARY_STOPPED = "carimbo.canary-stopped"
    SHADOW = "carimbo.shadow"


class Canary(msgspec.Struct, frozen=True, kw_only=True):
    """A version that labels the files of ``percent`` of the accounts, ``since`` (ISO 8601)."""

    version: Version
    percent: Percent
    since: str


class CanaryStopped(msgspec.Struct, frozen=True, kw_only=True):
    """The canary of ``version`` and ``since`` takes no traffic any more. ``reason`` is a code."""

    version: Version
    since: str
    at: str
    reason: str
    found: str = ""


class Shadow(msgspec.Struct, frozen=True, kw_only=True):
    """A version that is sent a copy of every file, and whose labels no client sees."""

    version: Version
    since: str


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """What a model's tags say. ``faults`` says of each tag that cannot be read why not."""

    canary: Canary | None = None
    stopped: CanaryStopped | None = None
    shadow: Shadow | None = None
    faults: dict[str, str] = {}


def read_routing(tags: Mapping[str, str]) -> Routing:
    """What the tags mean now: a canary that was stopped is none. Never raises."""
    faults: dict[str, str] = {}

    def read(tag: RoutingTag, kind: type[Found]) -> Found | None:
        text = tags.get(tag)
        try:
            return None if not text else msgspec.json.decode(text, type=kind)
        except msgspec.DecodeError as error:
            faults[tag] = str(error)
            return None

    canary = read(RoutingTag.CANARY, Canary)
    stopped = read(RoutingTag.CANARY_STOPPED, CanaryStopped)
    if canary and stopped and (canary.version, canary.since) == (stopped.version, stopped.since):
        canary = None
    return Routing(
        canary=canary,
        stopped=stopped,
        shadow=read(RoutingTag.SHADOW, Shadow),
        faults=faults,
    )


async def start_canary(registry: Registry, model: str, version: str, percent: float) -> Canary:
    """Give ``version`` the files of ``percent`` of the accounts, in place of any other canary.

    Changing the percentage begins a new canary: what was measured of the old one is forgotten.

    Raises:
        PermanentError: code "unknown-model", "unknown-version", "already-champion",
            "no-champion", or "bad-percentage"; or the version's files are not what training wrote.
    """
    if not 0 < percent <= 100:  # noqa: PLR2004 - per cent
        raise PermanentError(
            "bad-percentage", f"{percent:g} is no percentage; expected above 0, up to 100."
        )
    await _check_candidate(registry, model, version)
    canary = Canary(version=version, percent=percent, since=_now())
    await registry.tag_model(model, RoutingTag.CANARY, _json(canary))
    return canary


async def stop_canary(
    registry: Registry, model: str, *, reason: str, found: str = "", only: Canary | None = None
) -> CanaryStopped | None:
    """End the canary, or ``only`` that one; None when it ended already. May be done many times.

    Raises:
        PermanentError: code "unknown-model".
    """
    canary = read_routing((await registry.model(model)).tags).canary
    if canary is None or only not in (None, canary):
        return None
    stopped = CanaryStopped(
        version=canary.version, since=canary.since, at=_now(), reason=reason, found=found
    )
    await registry.tag_model(model, RoutingTag.CANARY_STOPPED, _json(stopped))
    return stopped


async def start_shadow(registry: Registry, model: str, version: str) -> Shadow:
    """Send ``version`` a copy of every file, in place of any other shadow.

    Raises:
        PermanentError: as ``start_canary``.
    """
    await _check_candidate(registry, model, version)
    shadow = Shadow(version=version, since=_now())
    await registry.tag_model(model, RoutingTag.SHADOW, _json(shadow))
    return shadow


async def stop_shadow(registry: Registry, model: str) -> Shadow | None:
    """End the shadow; what it was, or None when there was none.

    Raises:
        PermanentError: code "unknown-model".
    """
    shadow = read_routing((await registry.model(model)).tags).shadow
    await registry.tag_model(model, RoutingTag.SHADOW, None)
    return shadow


def versions_in_use(model: RegisteredModel) -> dict[str, str]:
    """What workers keep loaded, by why: each alias, and the canary under a name no alias has."""
    canary = read_routing(model.tags).canary
    return {**model.aliases, **({"(canary)": canary.version} if canary else {})}


def version_in_shadow(model: RegisteredModel) -> dict[str, str]:
    """As ``versions_in_use``, for workers that only look on."""
    shadow = read_routing(model.tags).shadow
    return {"(shadow)": shadow.version} if shadow else {}


async def _check_candidate(registry: Registry, model: str, version: str) -> None:
    """A version that could not be loaded must not meet a single client's file."""
    champion = (await registry.model(model)).aliases.get(Alias.CHAMPION)
    found = await registry.version(model, version)
    if champion is None:
        raise PermanentError(
            "no-champion",
            f"Model {model!r} has no {Alias.CHAMPION} that the version could stand beside. "
            "Promote one of its versions first.",
        )
    if champion == version:
        raise PermanentError(
            "already-champion",
            f"Version {version} of {model!r} is the {Alias.CHAMPION}: it labels every file. "
            "Name another version.",
        )
    await registry.files(found)


def _json(tag: msgspec.Struct) -> str:
    return msgspec.json.encode(tag).decode()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
