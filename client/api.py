"""The HTTP service from Python: a file in, its labels out, errors that say what to do."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from common.messages import Violation

DEFAULT_URL = "http://127.0.0.1:8000"
TIMEOUT_SECONDS = 70.0
"""Above the longest wait that the service grants a request, 60 s."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")
SHORTEST_PROBLEM_STATUS = 400

_Answer = TypeVar("_Answer")


class Counts(msgspec.Struct, frozen=True):
    """Rows of the file: ``rows_read`` is always ``labelled`` + ``rejected``."""

    rows_read: int
    labelled: int
    rejected: int


class LabelledRow(msgspec.Struct, frozen=True):
    """One good row. ``line`` counts the file's lines from 1; ``confidence`` is in [0, 1]."""

    line: int
    label: str
    confidence: float


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """A labelled file. ``stages`` are milliseconds by stage, ``total`` among them."""

    id: str
    model: str
    version: str
    counts: Counts
    rows: list[LabelledRow]
    violations: list[Violation]
    dialect: dict[str, str | int | None] = {}
    stages: dict[str, float] = {}
    trace_id: str = ""


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version that can be asked for."""

    version: str


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model that can be asked for; ``aliases`` maps each name to the version it means now."""

    name: str
    aliases: dict[str, str]
    versions: list[ModelVersion]


class ServiceError(Exception):
    """The service refused, or could not be reached.

    ``code`` is stable (``no-header``, ``unknown-model``, ``unreachable``); ``status`` is None when
    no answer came. ``violations`` are the file's bad rows where those are the reason.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int | None = None,
        prediction_id: str | None = None,
        violations: list[Violation] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.prediction_id = prediction_id
        self.violations = violations or []


class Client:
    """A connection to one service. Use it as a context manager, from one thread at a time."""

    def __init__(self, url: str = DEFAULT_URL, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.url = url.rstrip("/")
        is_local = urlsplit(url).hostname in LOOPBACK
        self._http = httpx.Client(
            base_url=self.url, timeout=timeout_seconds, trust_env=not is_local
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def predict(  # noqa: PLR0913 - keyword-only, one for each thing a request can say
        self,
        content: bytes,
        *,
        model: str,
        file_name: str | None = None,
        version: str | None = None,
        alias: str | None = None,
        is_strict: bool = False,
    ) -> Prediction:
        """Label a file's rows.

        Args:
            content: the file, as it is.
            model: the registered model's name.
            file_name: tells the service the format where the content alone does not.
            version: an exact version, instead of the champion.
            alias: another alias, instead of the champion.
            is_strict: refuse the whole file when a row is bad.

        Raises:
            ServiceError: the service refused the file, or could not be reached.
        """
        selector = {"version": version, "alias": alias}
        response = self._send(
            "POST",
            f"/v1/models/{quote(model, safe='')}/predictions",
            content=content,
            params={name: value for name, value in selector.items() if value is not None},
            headers=_file_headers(file_name, is_strict=is_strict),
        )
        return msgspec.structs.replace(
            _decode(response, Prediction),
            stages=read_server_timing(response.headers.get("server-timing", "")),
            trace_id=_trace_id(response.headers),
        )

    def models(self) -> list[Model]:
        """The models that can be asked for.

        Raises:
            ServiceError: the service could not be reached, or does not know yet.
        """
        return _decode(self._send("GET", "/v1/models"), _ModelList).models

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ServiceError(
                f"No answer from {self.url} ({str(error) or type(error).__name__}). Is the service "
                "running there? A local one is started by: make run",
                code="unreachable",
            ) from error
        if response.status_code >= SHORTEST_PROBLEM_STATUS:
            raise _problem(response)
        return response


def read_server_timing(header: str) -> dict[str, float]:
    """The milliseconds by stage of a ``Server-Timing`` header; what has no duration is left out."""
    stages: dict[str, float] = {}
    for metric in header.split(","):
        name, *parameters = (part.strip() for part in metric.split(";"))
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key == "dur":
                stages[name] = float(value)
    return stages


def _file_headers(file_name: str | None, *, is_strict: bool) -> dict[str, str]:
    headers = {"Content-Type": "application/octet-stream"}
    if file_name is not None:
        headers["Content-Type"] = mimetypes.guess_type(file_name)[0] or headers["Content-Type"]
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(file_name)}"
    if is_strict:
        headers["Prefer"] = "handling=strict"
    return headers


def _trace_id(headers: Mapping[str, str]) -> str:
    parts = headers.get("traceparent", "").split("-")
    return parts[1] if len(parts) == 4 else ""  # noqa: PLR2004 - version, trace, span, flags


class _ModelList(msgspec.Struct, frozen=True):
    models: list[Model]


class _Problem(msgspec.Struct, frozen=True):
    """What is read of an RFC 9457 body."""

    type: str = ""
    title: str = ""
    detail: str = ""
    prediction_id: str | None = None
    violations: list[Violation] | None = None


def _problem(response: httpx.Response) -> ServiceError:
    try:
        problem = msgspec.json.decode(response.content, type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem(title="The answer is not this service's")
    message = f"{problem.title} (HTTP {response.status_code}). {problem.detail}".strip()
    return ServiceError(
        message,
        code=problem.type.rpartition("/")[2] or "http-error",
        status=response.status_code,
        prediction_id=problem.prediction_id,
        violations=problem.violations,
    )


def _decode(response: httpx.Response, kind: type[_Answer]) -> _Answer:
    try:
        return msgspec.json.decode(response.content, type=kind)
    except msgspec.DecodeError as error:
        raise ServiceError(
            f"The answer of {response.request.url} is not this service's: {error}. "
            "Check the address.",
            code="not-understood",
            status=response.status_code,
        ) from error
