"""Loaded versions: each loaded once, however many ask, and a bounded number kept.

Versions that an alias points to stay; of the others the least recently used leave first.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from consumer.metrics import VERSIONS_LOADED
from consumer.served_model import ServedModel

VersionKey = tuple[str, str]
"""A registered model's name and one of its versions."""


@dataclass(frozen=True, slots=True)
class SpareRoom:
    """What versions without an alias may take: how many, and the bytes of their files."""

    versions: int
    bytes: int


class VersionCache:
    """Runs on one event loop; ``load`` does its heavy part elsewhere.

    Args:
        load: fetches and builds one version; its errors reach everybody who waits for it.
        room: the bound on what is kept beside the versions that aliases point to.
    """

    def __init__(self, load: Callable[[str, str], Awaitable[ServedModel]], room: SpareRoom) -> None:
        self._load = load
        self._room = room
        self._loaded: OrderedDict[VersionKey, ServedModel] = OrderedDict()
        self._loading: dict[VersionKey, asyncio.Task[ServedModel]] = {}
        self._pinned: dict[str, frozenset[str]] = {}

    @property
    def loaded(self) -> tuple[VersionKey, ...]:
        """Every version that is ready, least recently used first."""
        return tuple(self._loaded)

    async def get(self, model: str, version: str) -> ServedModel:
        """The version, loaded now unless it is there.

        Raises:
            PermanentError: there is no such version, or it cannot be served.
            TransientError: the registry did not answer.
        """
        key = (model, version)
        served = self._loaded.get(key)
        if served is not None:
            self._loaded.move_to_end(key)
            return served
        task = self._loading.get(key)
        if task is None:
            task = asyncio.create_task(self._fill(key), name=f"load {model} {version}")
            self._loading[key] = task
        return await asyncio.shield(task)

    def pin(self, model: str, versions: Iterable[str]) -> None:
        """Keep these versions of the model, whatever their number; the others become spare."""
        self._pinned[model] = frozenset(versions)
        self._evict()

    async def close(self) -> None:
        """Wait for loads under way: a thread cannot be cancelled."""
        await asyncio.gather(*self._loading.values(), return_exceptions=True)

    async def _fill(self, key: VersionKey) -> ServedModel:
        try:
            served = await self._load(*key)
            self._loaded[key] = served
            self._evict()
        finally:
            del self._loading[key]
        return served

    def _evict(self) -> None:
        spare = [key for key in self._loaded if key[1] not in self._pinned.get(key[0], ())]
        weight = sum(self._loaded[key].size for key in spare)
        while spare[1:] and (len(spare) > self._room.versions or weight > self._room.bytes):
            leaving = spare.pop(0)
            weight -= self._loaded.pop(leaving).size
        _count(self._loaded)


def _count(loaded: Iterable[VersionKey]) -> None:
    VERSIONS_LOADED.clear()
    for model, version in loaded:
        VERSIONS_LOADED.labels(model, version).set(1)
