"""The registry's client. Every request has a deadline, every answer a bound."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from common.errors import PermanentError, TransientError
from common.registry import wire
from common.registry.model import (
    CONTRACT_FILE,
    ENCODERS_FILE,
    MODEL_FILE,
    ModelFiles,
    ModelVersion,
    RegisteredModel,
    Tag,
    files_digest,
)

Answer = TypeVar("Answer")

API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
PROXIED = "mlflow-artifacts:/"
REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=30.0, sock_connect=5.0)
LARGEST_FILE_BYTES = 256 * 1024 * 1024
PAGE = 100
PAGES_AT_MOST = 100
RETRY_SECONDS = 2.0
BUSY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
UNKNOWN = frozenset({"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"})
"""How MLflow says that a model, a version or an alias is not there."""


class Registry:
    """Reads models and versions from an MLflow server whose artifacts it proxies.

    Args:
        tracking_uri: the server's address, ``http://`` or ``https://``.

    Every method raises TransientError(code="registry-unavailable") while the server cannot be
    reached or fails, and PermanentError(code="registry-refused") for an answer nobody expected.
    """

    def __init__(self, tracking_uri: str) -> None:
        if not tracking_uri.startswith(("http://", "https://")):
            raise PermanentError(
                "bad-tracking-uri",
                f"The registry is read over HTTP, but its address is {tracking_uri!r}. "
                "Set MLFLOW_TRACKING_URI to an MLflow server, such as http://127.0.0.1:5000.",
            )
        self._base = tracking_uri.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=REQUEST_TIMEOUT)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ping(self) -> None:
        """Return when the server answers; a readiness check."""
        await self._bytes("/health", {}, missing=None)

    async def models(self) -> list[RegisteredModel]:
        """Every registered model with its aliases and versions, by name."""
        versions: dict[str, list[ModelVersion]] = {}
        for page in await self._pages("/model-versions/search", wire.Versions):
            for version in page.model_versions:
                versions.setdefault(version.name, []).append(version.plain())
        pages = await self._pages("/registered-models/search", wire.Models)
        found = [model for page in pages for model in page.registered_models]
        plain = [model.plain(versions.get(model.name, [])) for model in found]
        return sorted(plain, key=lambda model: model.name)

    async def version_by_alias(self, model: str, alias: str) -> ModelVersion:
        """Find the version that an alias points to now.

        Raises:
            PermanentError: code "unknown-version" when there is no such model or alias.
        """
        missing = PermanentError(
            "unknown-version",
            f"The registry has no model {model!r} with an alias {alias!r}. "
            "Train and register the model first, or ask for one of its versions.",
        )
        query = {"name": model, "alias": alias}
        answer = await self._get("/registered-models/alias", query, wire.OneVersion, missing)
        return answer.model_version.plain()

    async def version(self, model: str, version: str) -> ModelVersion:
        """Find an exact version.

        Raises:
            PermanentError: code "unknown-version" when there is no such model or version.
        """
        missing = PermanentError(
            "unknown-version",
            f"The registry has no version {version!r} of a model {model!r}. "
            "Ask for a version that it lists.",
        )
        query = {"name": model, "version": version}
        answer = await self._get("/model-versions/get", query, wire.OneVersion, missing)
        return answer.model_version.plain()

    async def files(self, version: ModelVersion) -> ModelFiles:
        """Download a version's files and check them against the digest in its tags.

        Raises:
            PermanentError: code "digest-mismatch" when they are not what training wrote,
                "unservable-version" when the version has no digest, files or proxied folder.
        """
        expected = version.tags.get(Tag.DIGEST)
        if not expected:
            raise _unservable(version, f"has no tag {Tag.DIGEST}")
        folder = await self._folder(version)
        model, encoders, contract = await asyncio.gather(
            *(
                self._file(version, folder, name)
                for name in (MODEL_FILE, ENCODERS_FILE, CONTRACT_FILE)
            )
        )
        found = files_digest(model=model, encoders=encoders, contract=contract)
        if found != expected:
            raise PermanentError(
                "digest-mismatch",
                f"Version {version.version} of {version.model!r} is not what training wrote: its "
                f"files' SHA-256 is {found}, its tag {Tag.DIGEST} says {expected}. "
                "It is not loaded; train and register it again.",
            )
        return ModelFiles(version=version, model=model, encoders=encoders, contract=contract)

    async def contract(self, version: ModelVersion) -> str:
        """Download a version's contract alone, as YAML.

        Nothing proves it until the version's other files are there too: whoever predicts checks
        them all, and refuses a request that was prepared under another contract.

        Raises:
            PermanentError: code "unservable-version" when the version has none.
        """
        content = await self._file(version, await self._folder(version), CONTRACT_FILE)
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise _unservable(version, f"has a {CONTRACT_FILE} that is not UTF-8") from error

    async def _folder(self, version: ModelVersion) -> str:
        missing = _unservable(version, "has no logged model")
        path = f"/logged-models/{quote(version.model_id, safe='')}"
        answer = await self._get(path, {}, wire.OneLoggedModel, missing)
        where = answer.model.info.artifact_uri
        if not where.startswith(PROXIED):
            raise _unservable(version, "keeps its files where the server does not proxy them")
        return where.removeprefix(PROXIED).strip("/")

    async def _file(self, version: ModelVersion, folder: str, name: str) -> bytes:
        missing = _unservable(version, f"has no file {name}")
        return await self._bytes(f"{ARTIFACTS}/{quote(folder)}/{name}", {}, missing=missing)

    async def _pages(self, path: str, kind: type[Answer]) -> list[Answer]:
        pages: list[Answer] = []
        token = ""
        for _ in range(PAGES_AT_MOST):
            query = {"max_results": str(PAGE)} | ({"page_token": token} if token else {})
            pages.append(await self._get(path, query, kind, None))
            token = getattr(pages[-1], "next_page_token", "")
            if not token:
                break
        return pages

    async def _get(
        self, path: str, query: dict[str, str], kind: type[Answer], missing: PermanentError | None
    ) -> Answer:
        body = await self._bytes(API + path, query, missing=missing)
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError as error:
            raise PermanentError(
                "registry-refused",
                f"The registry's answer to {path} is not MLflow's: {error}. "
                "Check that MLFLOW_TRACKING_URI is an MLflow server's address.",
            ) from error

    async def _bytes(
        self, path: str, query: dict[str, str], *, missing: PermanentError | None
    ) -> bytes:
        if self._session is None:
            raise RuntimeError("The registry is not open; use it in an 'async with'.")
        try:
            async with self._session.get(self._base + path, params=query) as response:
                body = await _bounded(response)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unavailable(f"did not answer {path}: {type(error).__name__}") from error
        if response.ok:
            return body
        raise _refusal(response.status, body, path, missing)


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    chunks = bytearray()
    async for chunk in response.content.iter_any():
        chunks += chunk
        if len(chunks) > LARGEST_FILE_BYTES:
            raise PermanentError(
                "registry-refused",
                f"The registry sent more than {LARGEST_FILE_BYTES} bytes for one file. "
                "Register a smaller model.",
            )
    return bytes(chunks)


def _refusal(
    status: int, body: bytes, path: str, missing: PermanentError | None
) -> PermanentError | TransientError:
    try:
        said = msgspec.json.decode(body, type=wire.Refusal)
    except msgspec.DecodeError:
        said = wire.Refusal()
    if status == HTTPStatus.NOT_FOUND or said.error_code in UNKNOWN:
        return missing or PermanentError(
            "registry-refused",
            f"The registry knows no {path}: {said.message}. "
            "Check that MLFLOW_TRACKING_URI is an MLflow server's address.",
        )
    if status in BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _unavailable(f"answered {path} with HTTP {status}")
    return PermanentError(
        "registry-refused", f"The registry refused {path} with HTTP {status}: {said.message}"
    )


def _unavailable(what: str) -> TransientError:
    return TransientError(
        "registry-unavailable",
        f"The registry {what}. Check that the MLflow server is up.",
        delay_seconds=RETRY_SECONDS,
    )


def _unservable(version: ModelVersion, why: str) -> PermanentError:
    return PermanentError(
        "unservable-version",
        f"Version {version.version} of {version.model!r} {why}. "
        "Register it with `python -m orchestration train`.",
    )
