"""Fetches a version from the registry and builds it, in a thread of its own."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import structlog

from common.errors import CarimboError, PermanentError
from common.messages import FailureCode
from common.registry import ModelFiles, Registry
from consumer.served_model import ServedModel, build

log = structlog.get_logger(__name__)


class Loader:
    """Builds one version at a time: a start with many must not starve what is already served."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="load")

    async def load(self, model: str, version: str) -> ServedModel:
        """Fetch, check, build and warm up one version.

        Raises:
            PermanentError: ``unknown-version``, or ``internal`` when it exists and is unusable.
            TransientError: the registry did not answer.
        """
        started = perf_counter()
        found = await self._registry.version(model, version)
        try:
            files = await self._registry.files(found)
            fetched = perf_counter()
            loop = asyncio.get_running_loop()
            served = await loop.run_in_executor(self._thread, _built, model, version, files)
        except PermanentError as error:
            raise PermanentError(
                FailureCode.INTERNAL,
                f"Version {version} of {model} cannot be served ({error.code}): {error.message}",
            ) from error
        log.info(
            "version_loaded",
            model=model,
            version=version,
            bytes=served.size,
            fetch_ms=round((fetched - started) * 1000),
            build_ms=round((perf_counter() - fetched) * 1000),
        )
        return served

    def close(self) -> None:
        """Let the thread go once it has finished."""
        self._thread.shutdown(wait=True)


def _built(model: str, version: str, files: ModelFiles) -> ServedModel:
    try:
        return build(model, version, files)
    except CarimboError:
        raise
    except Exception as error:
        # Files come from outside: whatever they do to a library must not stop what is served.
        log.exception("version_unusable", model=model, version=version)
        raise PermanentError(
            "unusable-version", f"building it failed with {type(error).__name__}; see the log."
        ) from error
