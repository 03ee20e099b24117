"""The API's document, with what the framework cannot know, and a page that shows it offline.

The framework describes routes and answers. What a model's files look like is in its contract, and
that comes from the registry, so it is laid over the document whenever the catalogue changes.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import msgspec
from litestar import Request
from litestar.enums import MediaType
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin

from common.contracts import Contract, row_type
from producer.catalogue import DEFAULT_ALIAS, Catalogue, CatalogueModel
from producer.problems import KINDS, MEDIA_TYPE, Problem

DOCUMENT_VERSION = version("carimbo")
PAGE = "docs.html"
LABEL_PATH = "/v1/models/{model}/predictions"
REFERENCE = "#/components/schemas/{name}"

PREDICTION_PATH = "/v1/predictions/{prediction_id}"

NOT_FOR_LABELLING = frozenset(
    {"not-found", "method-not-allowed", "unknown-prediction", "already-settled"}
)
OTHER_PROBLEMS: Mapping[tuple[str, str], tuple[str, ...]] = {
    (PREDICTION_PATH, "get"): (
        "bad-request",
        "unknown-prediction",
        "contract-mismatch",
        "prediction-id-reused",
        "cancelled",
        "unprocessable",
        "expired",
        "internal",
        "worker-failed",
        "attempts-exhausted",
        "overloaded",
        "unavailable",
    ),
    (PREDICTION_PATH, "delete"): ("unknown-prediction", "already-settled", "unavailable"),
    ("/problems/{code}", "get"): ("not-found",),
}


class PagePlugin(OpenAPIRenderPlugin):
    """A page of our own: the usual ones load their scripts from elsewhere, which may be blocked."""

    def __init__(self) -> None:
        super().__init__(path="/", media_type=MediaType.HTML)
        self._page = files("producer").joinpath(PAGE).read_bytes()

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Give the page, which reads ``openapi.json`` from beside itself."""
        del request, openapi_schema
        return self._page


class DocumentPlugin(JsonRenderPlugin):
    """``openapi.json``, described anew when the catalogue has changed."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__()
        self._catalogue = catalogue
        self._described: Mapping[str, CatalogueModel] | None = None
        self._document = b""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Give the document as JSON."""
        models = self._catalogue.models
        if self._described is not models:
            document = describe(openapi_schema, _current_contracts(models.values()))
            self._document = self.render_json(request, document)
            self._described = models
        return self._document


def describe(document: Mapping[str, Any], contracts: Mapping[str, Contract]) -> dict[str, Any]:
    """``document`` with request bodies by model, headers, and every problem that may be met."""
    described: dict[str, Any] = copy.deepcopy(dict(document))
    schemas = described.setdefault("components", {}).setdefault("schemas", {})
    rows = {model: row_type(contract) for model, contract in contracts.items()}
    references, components = msgspec.json.schema_components(
        [Problem, *rows.values()], ref_template=REFERENCE
    )
    schemas.update(components)
    operation = described["paths"][LABEL_PATH]["post"]
    operation["parameters"] = [*operation.get("parameters", []), *_request_headers()]
    operation["requestBody"] = _request_body(
        contracts, dict(zip(rows, references[1:], strict=True))
    )
    operation["responses"]["200"]["headers"] = _answer_headers()
    operation["responses"]["202"]["headers"] = {**_answer_headers(), **_pending_headers()}
    reading = described["paths"][PREDICTION_PATH]["get"]
    reading["responses"]["200"]["headers"] = _identity_headers()
    reading["responses"]["200"]["content"]["text/event-stream"] = {"schema": _event_stream()}
    reading["responses"]["202"]["headers"] = {**_identity_headers(), **_pending_headers()}
    reading["responses"]["204"] = {
        "description": "The end of a stream of events was seen already (Last-Event-ID)."
    }
    for_labelling = [code for code in KINDS if code not in NOT_FOR_LABELLING]
    _add_problems(operation, for_labelling, references[0])
    for (path, method), codes in OTHER_PROBLEMS.items():
        _add_problems(described["paths"][path][method], codes, references[0])
    return described


def _current_contracts(models: Iterable[CatalogueModel]) -> dict[str, Contract]:
    """The contract behind each model's default alias, or else of any of its versions."""
    found: dict[str, Contract] = {}
    for model in models:
        number = model.aliases.get(DEFAULT_ALIAS, "")
        served = model.versions.get(number) or next(iter(model.versions.values()), None)
        if served is not None:
            found[model.name] = served.contract
    return found


def _request_body(
    contracts: Mapping[str, Contract], rows: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    listed = [{"title": f"rows of {m}", "type": "array", "items": row} for m, row in rows.items()]
    headers = {
        model: {"summary": f"Header of {model}", "value": _header_line(contract)}
        for model, contract in contracts.items()
    }
    binary = {"type": "string", "format": "binary"}
    return {
        "required": True,
        "description": "One file. It may be packed with gzip (Content-Encoding: gzip, or a .gz "
        "file name). Columns may come in any order and under any of their aliases: see "
        "GET /v1/models.",
        "content": {
            "text/csv": {"schema": {"type": "string"}, "examples": headers},
            "application/json": {"schema": {"oneOf": listed} if listed else {"type": "array"}},
            "application/x-ndjson": {
                "schema": {"type": "string", "description": "One row, as a JSON object, a line."}
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": binary},
                    "required": ["file"],
                }
            },
        },
    }


def _header_line(contract: Contract) -> str:
    return ",".join(column.name for column in contract.columns if column.required) + "\n"


def _request_headers() -> list[dict[str, Any]]:
    described = {
        "Prefer": "handling=strict refuses a file that has a bad row (handling=lenient, the "
        "default, labels the others); wait=N waits at most N seconds, up to 60; respond-async does "
        "not wait, or only as long as a wait=N beside it says (RFC 7240).",
        "Idempotency-Key": "Repeated with the same file and query, it gives the same prediction, "
        "done or under way, for as long as results are kept.",
        "Prediction-Id": "A UUID of the client's choice that names the prediction. Repeated with "
        "the same request, it gives the same result.",
        "Account-Id": "Whose file it is, in any form that stays the same (a hash will do). While "
        "a canary has a share of the accounts, this decides which version labels the file. Without "
        "it the contract's group does, or the file's name, or its content.",
        "Content-Disposition": "The file's name, for a raw body.",
        "Content-Encoding": "gzip, when the body is packed.",
        "traceparent": "W3C trace context; the file's trace continues it.",
    }
    return [
        {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
        for name, text in described.items()
    ]


def _answer_headers() -> dict[str, Any]:
    return {
        **_identity_headers(),
        "Server-Timing": _header("Milliseconds by stage; the stages add up to total."),
        "Preference-Applied": _header("The preferences that were honoured (RFC 7240)."),
        "Idempotency-Replayed": _header("true when an earlier request had the same key."),
    }


def _pending_headers() -> dict[str, Any]:
    return {
        "Location": _header("Where the result will be."),
        "Retry-After": _header("Seconds after which it may be there."),
    }


def _event_stream() -> dict[str, Any]:
    return {
        "type": "string",
        "description": "Server-sent events: `status` with the body of a 202, then `result` with "
        "the body of a 200, or `problem` with a problem; comments keep the connection open. A "
        "stream that ends early says `retry`, or nothing: connect again.",
    }


def _identity_headers() -> dict[str, Any]:
    return {
        "Prediction-Id": _header("The UUID that names this prediction, also when it failed."),
        "traceparent": _header("W3C trace context of this request."),
    }


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


def _add_problems(
    operation: dict[str, Any], codes: Iterable[str], schema: Mapping[str, Any]
) -> None:
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(KINDS[code].status, []).append(code)
    for status, names in by_status.items():
        headers = _identity_headers()
        if status in {429, 503}:  # Too Many Requests, Service Unavailable
            headers["Retry-After"] = _header("Seconds after which to come back.")
        operation["responses"][str(int(status))] = {
            "description": "; ".join(f"`{name}`: {KINDS[name].title}" for name in names),
            "headers": headers,
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
