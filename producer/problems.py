"""Every error that a client can meet (RFC 9457): one table, one body, one place that decides.

The ``type`` of a problem is stable and can be opened: ``GET /problems/<code>`` explains it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from typing import Any

import msgspec
from litestar.exceptions import HTTPException

from common.errors import PermanentError, TransientError
from common.messages import Failed, FailureCode, Violation

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 1.0
LISTED_VIOLATIONS = 1000
"""How many violations the refusal of a file lists; its detail counts all of them."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What every problem of one code has in common; ``advice`` says what the client can do."""

    status: HTTPStatus
    title: str
    advice: str


_BAD, _MISSING = HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND
_CONFLICT, _LARGE = HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE
_MEDIA, _ROWS = HTTPStatus.UNSUPPORTED_MEDIA_TYPE, HTTPStatus.UNPROCESSABLE_ENTITY
_AWAY, _LATE = HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT
_MANY, _GONE = HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.GONE

KINDS: Mapping[str, Kind] = {
    "bad-request": Kind(_BAD, "The request is not valid", "See detail, and the API's document."),
    "conflicting-selector": Kind(
        _BAD,
        "Both a version and an alias were given",
        "Name an exact version, or an alias that follows the registry, or neither.",
    ),
    "invalid-prediction-id": Kind(
        _BAD,
        "The prediction id is not a UUID",
        "Send a UUID as Prediction-Id, or leave the header out and read it from the answer.",
    ),
    "invalid-idempotency-key": Kind(
        _BAD,
        "The Idempotency-Key cannot be used",
        "Send 1 to 255 visible ASCII characters, a UUID for example.",
    ),
    "malformed-upload": Kind(
        _BAD,
        "The upload could not be taken apart",
        "Send the file as the body, or as one file part of a multipart form.",
    ),
    "not-found": Kind(_MISSING, "There is nothing here", "See the API's document at /schema."),
    "unknown-model": Kind(_MISSING, "No such model", "Choose one that GET /v1/models lists."),
    "unknown-version": Kind(
        _MISSING, "No such version of the model", "Choose one that GET /v1/models lists."
    ),
    "unknown-alias": Kind(
        _MISSING, "No such alias of the model", "Choose one that GET /v1/models lists."
    ),
    "unknown-prediction": Kind(
        _MISSING,
        "Nothing is known under this prediction id",
        "Check the id. Results are kept for a limited time; a call that still waits for its "
        "answer elsewhere can be looked up once it has one.",
    ),
    "method-not-allowed": Kind(
        HTTPStatus.METHOD_NOT_ALLOWED,
        "The resource does not take this method",
        "The Allow header names the methods that it takes.",
    ),
    "contract-mismatch": Kind(
        _CONFLICT,
        "The model changed while the file was being read",
        "Send the file again: it will be read as the new version asks.",
    ),
    "already-settled": Kind(
        _CONFLICT,
        "The prediction has its result already",
        "There is nothing left to cancel; GET its address for the result.",
    ),
    "cancelled": Kind(
        _GONE, "The prediction was cancelled", "Send the file again, under a new id and key."
    ),
    "prediction-id-reused": Kind(
        _CONFLICT,
        "This prediction id was used for another request",
        "Use a new UUID for every file; repeat one only to repeat the same request.",
    ),
    "too-large": Kind(_LARGE, "The body is too large", "Split the file, or pack it with gzip."),
    "too-large-unpacked": Kind(
        _LARGE, "The file is too large once unpacked", "Split the file into smaller ones."
    ),
    "too-many-rows": Kind(
        _LARGE, "The file has too many rows", "Split the file into smaller ones."
    ),
    "message-too-large": Kind(
        _LARGE, "The file has more rows than one request can carry", "Split it into smaller ones."
    ),
    "unsupported-media-type": Kind(
        _MEDIA, "The file's format is not read here", "Send CSV-like text, JSON or NDJSON."
    ),
    "unsupported-content-encoding": Kind(
        _MEDIA, "The body's coding is not unpacked here", "Use gzip, or none."
    ),
    "empty-file": Kind(_ROWS, "The file is empty", "Send a file with a header and rows."),
    "unreadable-file": Kind(
        _ROWS, "The file could not be read", "Compare looked_for with found, and mend the file."
    ),
    "duplicate-header": Kind(
        _ROWS,
        "Two columns of the file mean the same",
        "Keep one of the columns that found names.",
    ),
    "no-header": Kind(
        _ROWS,
        "No usable header was found",
        "Compare looked_for with found: the header must name the required columns.",
    ),
    "no-good-row": Kind(
        _ROWS, "Not one row of the file is good", "The violations say what is wrong, by line."
    ),
    "rows-rejected": Kind(
        _ROWS,
        "Some rows are bad, and strict handling was asked for",
        "Mend the rows in violations, or send Prefer: handling=lenient to label the others.",
    ),
    "idempotency-key-reused": Kind(
        _ROWS,
        "This Idempotency-Key was used for another request",
        "Use a new key for every request; repeat one only to repeat the same request.",
    ),
    "callback-refused": Kind(
        _ROWS,
        "The callback URL is not one that is called",
        "Give a public https address; detail names the rule that refused this one.",
    ),
    "unprocessable": Kind(_ROWS, "The file cannot be labelled", "See detail."),
    "internal": Kind(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "The service met a fault of its own",
        "Try again; if it stays, report the prediction id and the trace id.",
    ),
    "worker-failed": Kind(
        HTTPStatus.BAD_GATEWAY,
        "The worker could not label the file",
        "Try again; if it stays, report the prediction id and the trace id.",
    ),
    "attempts-exhausted": Kind(
        HTTPStatus.BAD_GATEWAY,
        "No worker came to an end with the file",
        "Try again under a new id; if it stays, report the prediction id and the trace id.",
    ),
    "claim-lost": Kind(
        HTTPStatus.BAD_GATEWAY,
        "The file's rows were lost before a worker had them",
        "Send the file again under a new id; if it happens again, report both ids.",
    ),
    "too-many-requests": Kind(
        _MANY,
        "As many files wait for workers as this service takes",
        "Come back after Retry-After.",
    ),
    "overloaded": Kind(
        _AWAY,
        "The file could not be labelled within the wait",
        "Come back after Retry-After, or send Prefer: respond-async and come for the result.",
    ),
    "unavailable": Kind(
        _AWAY, "A part that the service needs is away", "Come back after Retry-After."
    ),
    "expired": Kind(
        _LATE,
        "The labels were not ready within the wait",
        "Send the file again under a new id, with a longer wait or Prefer: respond-async.",
    ),
}

RENAMED: Mapping[str, str] = {
    "queue-gone": "unavailable",
    "sqs-refused": "internal",
    "correlation-id-in-use": "internal",
    "undecodable-message": "worker-failed",
}
"""Codes of the parts below that a client meets under another name."""

_BY_STATUS: Mapping[int, str] = {
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method-not-allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too-large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported-media-type",
    HTTPStatus.SERVICE_UNAVAILABLE: "unavailable",
}


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of every error. The members after ``instance`` are extensions, when they apply.

    ``violations`` are bad rows; ``looked_for`` and ``found`` tell an unreadable file apart from
    what was expected; ``known`` lists what exists where something unknown was asked for.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    prediction_id: str | None = None
    violations: list[Violation] | None = None
    looked_for: Any = None
    found: Any = None
    known: list[str] | None = None


class UnknownError(PermanentError):
    """Something was asked for by a name that does not exist; ``known`` lists those that do."""

    def __init__(self, code: str, message: str, *, known: Sequence[str]) -> None:
        super().__init__(code, message)
        self.known = list(known)


class RowsRejectedError(PermanentError):
    """Strict handling was asked for, and some rows are bad.

    ``found`` is how many ``violations`` there are, where only the first are at hand.
    """

    def __init__(self, violations: Sequence[Violation], *, found: int | None = None) -> None:
        super().__init__(
            "rows-rejected",
            f"{len(violations) if found is None else found} violation(s) were found, and the "
            "request asked for strict handling: nothing was labelled.",
        )
        self.violations = list(violations[:LISTED_VIOLATIONS])


class FailedPredictionError(PermanentError):
    """A worker's terminal answer was a failure."""

    def __init__(self, failed: Failed) -> None:
        is_internal = failed.code == FailureCode.INTERNAL
        super().__init__("worker-failed" if is_internal else failed.code, failed.message)


def code_of(error: Exception) -> str:
    """The code under which ``error`` is known; ``internal`` for anything that is not expected."""
    if isinstance(error, PermanentError | TransientError):
        code = RENAMED.get(error.code, error.code)
        default = "unprocessable" if isinstance(error, PermanentError) else "unavailable"
        return code if code in KINDS else default
    if isinstance(error, HTTPException):
        fallback = "bad-request" if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR else None
        return _BY_STATUS.get(error.status_code) or fallback or "internal"
    return "internal"


def problem_of(error: Exception, *, prediction_id: str | None = None) -> Problem:
    """The body that answers ``error``. An unexpected error's own text is kept from the client."""
    code = code_of(error)
    kind = KINDS[code]
    return Problem(
        type=f"/problems/{code}",
        title=kind.title,
        status=kind.status,
        detail=_detail(error, kind),
        instance=f"urn:uuid:{prediction_id}" if prediction_id else None,
        prediction_id=prediction_id,
        violations=getattr(error, "violations", None) or None,
        looked_for=getattr(error, "looked_for", None) or None,
        found=getattr(error, "found", None) or None,
        known=getattr(error, "known", None),
    )


def headers_of(error: Exception) -> dict[str, str]:
    """The headers that go with the answer to ``error``."""
    if isinstance(error, TransientError):
        return {"Retry-After": str(max(1, ceil(error.delay_seconds)))}
    if KINDS[code_of(error)].status == HTTPStatus.SERVICE_UNAVAILABLE:
        return {"Retry-After": str(ceil(RETRY_SECONDS))}
    if isinstance(error, HTTPException):
        return dict(error.headers or {})
    if code_of(error) == "unsupported-content-encoding":
        return {"Accept-Encoding": "gzip"}
    return {}


def _detail(error: Exception, kind: Kind) -> str:
    if isinstance(error, PermanentError | TransientError):
        return error.message
    if isinstance(error, HTTPException) and error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return error.detail
    return kind.advice
