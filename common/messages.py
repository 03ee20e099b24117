"""The messages that travel between producer and consumer, and the results that outlive them.

Every message ever sent must decode later: fields are only ever added, with a default, and never
renamed, retyped or removed. ``tests/common/golden/`` holds one encoded message of every shape
that was ever released.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NewType

import msgspec

PredictionId = NewType("PredictionId", str)
"""A UUID in its canonical text form, chosen by the client or made by the producer."""


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One reason why a row of the client's file was rejected.

    ``line`` counts physical lines of the client's file from 1 (for JSON: the row's ordinal from 1).
    ``found`` is the cell as read, shortened; of a column that holds personal data, only its shape.
    """

    code: str
    line: int
    column: str | None
    message: str
    found: str | None = None
    expected: str | None = None


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A file's rows that are too large for a message: the object that holds them, and its digest.

    ``key`` names an object of the bucket, ``sha256`` (hex) and ``size`` (bytes) what it holds. See
    ``common.claims``.
    """

    key: str
    sha256: str
    size: int


class PredictionRequest(msgspec.Struct, frozen=True, kw_only=True, tag="prediction-request"):
    """A validated file on its way to a worker.

    ``columns`` is a JSON object of arrays, one per column that the contract's recipe uses, each as
    long as ``lines``; it stays raw here because its type is the contract's
    (``common.contracts.columns_type``). ``version`` pins an exact version, ``alias`` follows the
    registry; exactly one of them is set. ``fingerprint`` is the SHA-256 of what was asked, so that
    a reused prediction id with other content is told apart. ``dialect`` tells how the file was read
    (format, encoding, delimiter, ...) and returns with the result. ``keep`` says that somebody will
    come for the result later, so the work is done even when its deadline has passed. ``fresh_id``
    says that the producer made the id for this very request: no earlier result can bear it, so the
    reply need not wait for the object store's word on that. ``callback_url`` is told once the
    result is settled, whatever it is. With a ``claim``, the rows are in the object that it names:
    ``lines``, ``columns`` and ``violations`` are empty here.
    """

    prediction_id: PredictionId
    model: str
    lines: list[int]
    columns: msgspec.Raw
    fingerprint: str
    contract: str
    rows_read: int
    alias: str | None = None
    version: str | None = None
    violations: list[Violation] = []
    keep: bool = False
    dialect: dict[str, str | int | None] = {}
    fresh_id: bool = False
    callback_url: str | None = None
    claim: Claim | None = None


class Completed(msgspec.Struct, frozen=True, kw_only=True, tag_field="outcome", tag="completed"):
    """The labels of a file's good rows, and what was wrong with the others.

    ``lines``, ``labels`` and ``confidences`` run in parallel, a good row each. ``confidences`` are
    probabilities in [0, 1]. ``stages`` are milliseconds in the worker, by stage.
    """

    prediction_id: PredictionId
    model: str
    version: str
    fingerprint: str
    rows_read: int
    lines: list[int]
    labels: list[str]
    confidences: list[float]
    violations: list[Violation] = []
    stages: dict[str, float] = {}
    dialect: dict[str, str | int | None] = {}


class FailureCode(StrEnum):
    """Why an accepted prediction has no labels."""

    EXPIRED = "expired"
    UNKNOWN_VERSION = "unknown-version"
    CONTRACT_MISMATCH = "contract-mismatch"
    PREDICTION_ID_REUSED = "prediction-id-reused"
    UNPROCESSABLE = "unprocessable"
    INTERNAL = "internal"
    CANCELLED = "cancelled"
    ATTEMPTS_EXHAUSTED = "attempts-exhausted"
    CLAIM_LOST = "claim-lost"


ANSWERED = frozenset(
    {
        FailureCode.UNKNOWN_VERSION,
        FailureCode.EXPIRED,
        FailureCode.CANCELLED,
        FailureCode.PREDICTION_ID_REUSED,
    }
)
"""Failures that are an answer to the caller: the message is not buried, and nobody redrives it."""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag_field="outcome", tag="failed"):
    """The answer to a file that no attempt could label. ``code`` is a ``FailureCode`` value."""

    prediction_id: PredictionId
    model: str
    code: str
    message: str
    fingerprint: str = ""


PredictionReply = Completed | Failed
"""What the reply queue carries and the object store keeps, byte for byte the same."""


class Stored(msgspec.Struct, frozen=True, kw_only=True, tag_field="outcome", tag="stored"):
    """The reply in place of a result that no message can carry: it is in the object store."""

    prediction_id: PredictionId


class Accepted(msgspec.Struct, frozen=True, kw_only=True, tag_field="promise", tag="accepted"):
    """The word given to a client that its result can be fetched later: the work is wanted.

    ``created`` is for people; no decision hangs on a wall clock.
    """

    prediction_id: PredictionId
    model: str
    fingerprint: str
    created: datetime
    callback_url: str | None = None


class Lapsed(msgspec.Struct, frozen=True, kw_only=True, tag_field="promise", tag="lapsed"):
    """A worker's word that it found nobody waiting in time, and so will not do the work."""

    prediction_id: PredictionId
    model: str
    fingerprint: str


Promise = Accepted | Lapsed
"""Kept once under an id: whichever is first decides whether late work is done or skipped."""
