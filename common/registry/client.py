"""The registry's client: models, versions and their files read; aliases and tags written."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self
from urllib.parse import quote

from common.errors import PermanentError
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
from common.registry.rest import Rest

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
PROXIED = "mlflow-artifacts:/"


class Registry:
    """Models and versions on an MLflow server whose artifacts it proxies.

    Args:
        tracking_uri: the server's address, ``http://`` or ``https://``.

    Every method raises TransientError(code="registry-unavailable") while the server cannot be
    reached or fails, and PermanentError(code="registry-refused") for an answer nobody expected.
    """

    def __init__(self, tracking_uri: str) -> None:
        self._rest = Rest(tracking_uri)

    async def __aenter__(self) -> Self:
        await self._rest.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._rest.__aexit__(kind, error, traceback)

    async def ping(self) -> None:
        """Return when the server answers; a readiness check."""
        await self._rest.content("/health", {}, missing=None)

    async def models(self) -> list[RegisteredModel]:
        """Every registered model with its aliases, tags and versions, by name."""
        versions: dict[str, list[ModelVersion]] = {}
        for page in await self._rest.pages("/model-versions/search", wire.Versions):
            for version in page.model_versions:
                versions.setdefault(version.name, []).append(version.plain())
        pages = await self._rest.pages("/registered-models/search", wire.Models)
        found = [model for page in pages for model in page.registered_models]
        plain = [model.plain(versions.get(model.name, [])) for model in found]
        return sorted(plain, key=lambda model: model.name)

    async def model(self, name: str) -> RegisteredModel:
        """One model's aliases and tags; its versions are left out.

        Raises:
            PermanentError: code "unknown-model" when there is no such model.
        """
        answer = await self._rest.get(
            "/registered-models/get", {"name": name}, wire.OneModel, _no_model(name)
        )
        return answer.registered_model.plain([])

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
        answer = await self._rest.get("/registered-models/alias", query, wire.OneVersion, missing)
        return answer.model_version.plain()

    async def version(self, model: str, version: str) -> ModelVersion:
        """Find an exact version.

        Raises:
            PermanentError: code "unknown-version" when there is no such model or version.
        """
        query = {"name": model, "version": version}
        answer = await self._rest.get(
            "/model-versions/get", query, wire.OneVersion, _no_version(model, version)
        )
        return answer.model_version.plain()

    async def metrics(self, version: ModelVersion) -> dict[str, float]:
        """The figures that the version's training logged; none when its run is not there."""
        if not version.run_id:
            return {}
        missing = PermanentError("unknown-run", "The registry does not hold the version's run.")
        query = {"run_id": version.run_id}
        try:
            answer = await self._rest.get("/runs/get", query, wire.OneRun, missing)
        except PermanentError as error:
            if error is missing:
                return {}
            raise
        return {metric.key: float(metric.value) for metric in answer.run.data.metrics}

    async def point(self, model: str, alias: str, version: str) -> None:
        """Make an alias mean this version, whatever it meant before.

        Raises:
            PermanentError: code "unknown-version" when there is no such model or version.
        """
        body = {"name": model, "alias": alias, "version": version}
        missing = _no_version(model, version)
        await self._rest.write("POST", "/registered-models/alias", body, missing)

    async def tag_version(self, model: str, version: str, key: str, value: str | None) -> None:
        """Set a tag of a version, or remove it (None); removing what is not there is no error.

        Raises:
            PermanentError: code "unknown-version" when there is no such model or version.
        """
        body = {"name": model, "version": version, "key": key}
        missing = _no_version(model, version)
        if value is None:
            await self._rest.write("DELETE", "/model-versions/delete-tag", body, missing)
        else:
            body["value"] = value
            await self._rest.write("POST", "/model-versions/set-tag", body, missing)

    async def tag_model(self, model: str, key: str, value: str | None) -> None:
        """Set a tag of a model, or remove it (None); removing what is not there is no error.

        Raises:
            PermanentError: code "unknown-model" when there is no such model.
        """
        body = {"name": model, "key": key}
        missing = _no_model(model)
        if value is None:
            await self._rest.write("DELETE", "/registered-models/delete-tag", body, missing)
        else:
            body["value"] = value
            await self._rest.write("POST", "/registered-models/set-tag", body, missing)

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
        answer = await self._rest.get(path, {}, wire.OneLoggedModel, missing)
        where = answer.model.info.artifact_uri
        if not where.startswith(PROXIED):
            raise _unservable(version, "keeps its files where the server does not proxy them")
        return where.removeprefix(PROXIED).strip("/")

    async def _file(self, version: ModelVersion, folder: str, name: str) -> bytes:
        missing = _unservable(version, f"has no file {name}")
        return await self._rest.content(f"{ARTIFACTS}/{quote(folder)}/{name}", {}, missing=missing)


def _no_model(name: str) -> PermanentError:
    return PermanentError(
        "unknown-model",
        f"The registry has no model {name!r}. Train and register one of that name first.",
    )


def _no_version(model: str, version: str) -> PermanentError:
    return PermanentError(
        "unknown-version",
        f"The registry has no version {version!r} of a model {model!r}. "
        "Ask for a version that it lists.",
    )


def _unservable(version: ModelVersion, why: str) -> PermanentError:
    return PermanentError(
        "unservable-version",
        f"Version {version.version} of {version.model!r} {why}. "
        "Register it with `python -m orchestration train`.",
    )
