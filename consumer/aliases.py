"""Follows the registry's aliases: a new version is loaded beside the old one, then takes its place.

The swap is one assignment on the event loop, and a request asks once: no answer mixes versions. A
version that cannot be loaded changes nothing but what health and log say.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from common.errors import CarimboError, PermanentError
from common.messages import FailureCode
from common.registry import RegisteredModel, Registry
from common.registry.routing import versions_in_use
from consumer.metrics import LOAD_FAILURES, VERSION_SERVED
from consumer.served_model import ServedModel
from consumer.version_cache import VersionCache

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 60.0
SHORTEST_SPACE_SECONDS = 0.25

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Setback:
    """Why an alias does not lead to the version it should; tried again at ``again_at``."""

    version: str
    reason: str
    attempts: int
    again_at: float


class Aliases:
    """The versions that the aliases of some models lead to, each loaded.

    Args:
        registry: where the aliases are.
        cache: where the versions are loaded.
        models: names of the registered models to follow.
        in_use: the versions of a model to keep loaded, by alias or by another reason.
        may_be_idle: whether a model with nothing in use is as it should be.

    ``complete`` is set once every model has a version to serve.
    """

    def __init__(
        self,
        registry: Registry,
        cache: VersionCache,
        models: Sequence[str],
        *,
        in_use: Callable[[RegisteredModel], Mapping[str, str]] = versions_in_use,
        may_be_idle: bool = False,
    ) -> None:
        self._registry = registry
        self._cache = cache
        self._models = tuple(models)
        self._in_use = in_use
        self._may_be_idle = may_be_idle
        self._former: dict[tuple[str, str], ServedModel] = {}
        self._served: dict[str, dict[str, ServedModel]] = {model: {} for model in models}
        self._setbacks: dict[tuple[str, str], Setback] = {}
        self._looking: asyncio.Task[None] | None = None
        self._looked_at = -SHORTEST_SPACE_SECONDS
        self.complete = asyncio.Event()
        self._registry_trouble: str | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """Models of which no alias leads anywhere yet."""
        if self._may_be_idle:
            return ()
        return tuple(model for model in self._models if not self._served[model])

    @property
    def versions(self) -> dict[str, dict[str, str]]:
        """The version that each alias of each model leads to here."""
        return {
            model: {alias: served.version for alias, served in table.items()}
            for model, table in self._served.items()
        }

    @property
    def troubles(self) -> list[str]:
        """What a person should know although requests are answered."""
        found = [
            f"{model}@{alias}: version {setback.version} is not served: {setback.reason}"
            for (model, alias), setback in sorted(self._setbacks.items())
        ]
        return found if self._registry_trouble is None else [self._registry_trouble, *found]

    async def find(self, model: str, alias: str, contract: str) -> ServedModel:
        """The version behind an alias. Looks again when it is unknown or of another contract.

        A file that was read before the alias moved to another contract is labelled by the version
        that the alias meant then.

        Raises:
            PermanentError: the registry has no such alias, or its version cannot be loaded.
        """
        served = self._served.get(model, {}).get(alias)
        former = self._former.get((model, alias))
        if former is not None and former.contract == contract:
            return former
        if served is None or served.contract != contract:
            await self._look_spaced()
            served = self._served.get(model, {}).get(alias)
        if served is None:
            raise PermanentError(
                FailureCode.UNKNOWN_VERSION,
                f"Alias {alias!r} of {model} leads to no version that is served here. "
                "Ask for one that does, or set the alias in the registry.",
            )
        return served

    async def look(self) -> None:
        """Read the registry and load what is new; together with whoever is doing so already."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="look at aliases")
        await asyncio.shield(self._looking)

    async def _look_spaced(self) -> None:
        """Look, but not in a row: requests for what is not there must not flood the registry."""
        await asyncio.sleep(self._looked_at + SHORTEST_SPACE_SECONDS - time.monotonic())
        await self.look()

    async def follow(self, interval: timedelta) -> None:
        """Look again and again; with a growing pause while a model is missing."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            await self.look()
            if self.complete.is_set():
                pause = interval.total_seconds()
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def close(self) -> None:
        """End a look that is under way."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})

    async def _look(self) -> None:
        self._looked_at = time.monotonic()
        try:
            registered = {model.name: model for model in await self._registry.models()}
        except CarimboError as error:
            if self._registry_trouble is None:
                log.warning("registry_not_read", code=error.code, reason=error.message)
            self._registry_trouble = error.message
            return
        self._registry_trouble = None
        for model in self._models:
            found = registered.get(model)
            await self._update(model, {} if found is None else self._in_use(found))
        if not self.missing:
            self.complete.set()

    async def _update(self, model: str, wanted: Mapping[str, str]) -> None:
        table = self._served[model]
        for alias in [alias for alias in table if alias not in wanted]:
            log.warning("alias_gone", model=model, alias=alias)
            del table[alias]
            self._former.pop((model, alias), None)
        for alias, version in wanted.items():
            await self._advance(model, alias, version)
        for key in [key for key in self._setbacks if key[0] == model and key[1] not in wanted]:
            del self._setbacks[key]
        self._cache.pin(model, {served.version for served in table.values()})
        _publish(model, table)

    async def _advance(self, model: str, alias: str, version: str) -> None:
        table = self._served[model]
        current = table.get(alias)
        setback = self._setbacks.get((model, alias))
        if current is not None and current.version == version:
            self._setbacks.pop((model, alias), None)
            return
        if setback and setback.version == version and time.monotonic() < setback.again_at:
            return
        try:
            served = await self._cache.get(model, version)
        except CarimboError as error:
            self._set_back(model, alias, version, error)
            return
        table[alias] = served
        if current is not None and current.contract != served.contract:
            self._former[model, alias] = current
        else:
            self._former.pop((model, alias), None)
        self._setbacks.pop((model, alias), None)
        before = None if current is None else current.version
        log.info("version_served", model=model, alias=alias, version=version, before=before)

    def _set_back(self, model: str, alias: str, version: str, error: CarimboError) -> None:
        LOAD_FAILURES.labels(model).inc()
        earlier = self._setbacks.get((model, alias))
        attempts = earlier.attempts + 1 if earlier and earlier.version == version else 1
        pause = min(FIRST_PAUSE_SECONDS * 2 ** min(attempts, 10), LONGEST_PAUSE_SECONDS)
        again_at = time.monotonic() + pause
        self._setbacks[model, alias] = Setback(version, error.message, attempts, again_at)
        current = self._served[model].get(alias)
        log.error(
            "version_not_loaded",
            model=model,
            alias=alias,
            version=version,
            still_served=None if current is None else current.version,
            code=error.code,
            reason=error.message,
        )


def _publish(model: str, table: Mapping[str, ServedModel]) -> None:
    """Replace the model's series: a version that is no longer served must not stay at 1."""
    VERSION_SERVED.remove_by_labels({"model": model})
    for alias, served in table.items():
        VERSION_SERVED.labels(model, alias, served.version).set(1)
