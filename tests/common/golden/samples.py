"""What the golden files mean: the file ``<name>.json`` beside this module decodes to the sample.

A change of form gets a new name and a new file; what stands here stays, and must go on decoding.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from common.callbacks import CallbackOrder
from common.claims import TablePart
from common.messages import (
    Accepted,
    Claim,
    Completed,
    Failed,
    Lapsed,
    PredictionId,
    PredictionReply,
    PredictionRequest,
    Promise,
    Stored,
    Violation,
)
from common.sqs import OutgoingMessage

_ID = PredictionId("0d9cf5f2-7a0e-4c58-9d1e-3f0c1a2b4c5d")

MESSAGES: dict[str, tuple[Any, Any]] = {
    "prediction-request-1": (
        PredictionRequest(
            prediction_id=_ID,
            model="card-accounts",
            lines=[2, 4],
            columns=msgspec.Raw(b'{"amount":["10.50",null],"merchant":["PADARIA S\xc3\xa3O","x"]}'),
            fingerprint="f" * 64,
            contract="c" * 64,
            rows_read=3,
            alias="champion",
            violations=[
                Violation(
                    code="not-a-decimal",
                    line=3,
                    column="amount",
                    message="The cell is not a decimal.",
                    found="12,3,4",
                    expected="1.234,56",
                )
            ],
            keep=True,
        ),
        PredictionRequest,
    ),
    "prediction-request-1-least": (
        PredictionRequest(
            prediction_id=_ID,
            model="card-accounts",
            lines=[],
            columns=msgspec.Raw(b"{}"),
            fingerprint="",
            contract="",
            rows_read=0,
            version="7",
        ),
        PredictionRequest,
    ),
    "completed-1": (
        Completed(
            prediction_id=_ID,
            model="card-accounts",
            version="7",
            fingerprint="f" * 64,
            rows_read=3,
            lines=[2, 4],
            labels=["SERVIÇO", "food"],
            confidences=[0.5, 1.0],
            violations=[Violation(code="row-too-short", line=3, column=None, message="3 cells")],
            stages={"features": 0.25, "predict": 1.5},
        ),
        PredictionReply,
    ),
    "callback-order-1": (
        CallbackOrder(prediction_id=_ID, url="https://receiver.example/labels", after=3),
        CallbackOrder,
    ),
    "failed-1": (
        Failed(
            prediction_id=_ID,
            model="card-accounts",
            code="unknown-version",
            message="card-accounts has no version 9.",
            fingerprint="f" * 64,
        ),
        PredictionReply,
    ),
    "prediction-request-2": (
        PredictionRequest(
            prediction_id=_ID,
            model="card-accounts",
            lines=[2],
            columns=msgspec.Raw(b'{"amount":["10.50"]}'),
            fingerprint="f" * 64,
            contract="c" * 64,
            rows_read=1,
            alias="champion",
            keep=True,
            dialect={"format": "delimited", "header_line": 1},
            fresh_id=True,
            callback_url="https://receiver.example/labels",
        ),
        PredictionRequest,
    ),
    "prediction-request-3": (
        PredictionRequest(
            prediction_id=_ID,
            model="card-accounts",
            lines=[],
            columns=msgspec.Raw(b"{}"),
            fingerprint="f" * 64,
            contract="c" * 64,
            rows_read=500_000,
            alias="champion",
            claim=Claim(key=f"claims/{_ID}/{'a' * 64}", sha256="a" * 64, size=52_428_800),
        ),
        PredictionRequest,
    ),
    "claimed-part-1": (
        TablePart(
            lines=[2, 4],
            columns=msgspec.Raw(b'{"amount":["10.50",null]}'),
            violations=[Violation(code="row-too-short", line=3, column=None, message="3 cells")],
        ),
        TablePart,
    ),
    "stored-1": (Stored(prediction_id=_ID), Stored),
    "accepted-1": (
        Accepted(
            prediction_id=_ID,
            model="card-accounts",
            fingerprint="f" * 64,
            created=datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC),
            callback_url="https://receiver.example/labels",
        ),
        Promise,
    ),
    "lapsed-1": (
        Lapsed(prediction_id=_ID, model="card-accounts", fingerprint="f" * 64),
        Promise,
    ),
}

SUPERSEDED = frozenset(
    {"prediction-request-1", "prediction-request-1-least", "prediction-request-2"}
)
"""Forms that are read for ever and written no more."""

ENVELOPES: dict[str, OutgoingMessage] = {
    "envelope-1-all-headers": OutgoingMessage(
        body='{"outcome":"completed","labels":["SERVIÇO"]}'.encode(),
        headers={
            "correlation_id": "c-1",
            "reply_to": "http://127.0.0.1:4566/000000000000/replies-1",
            "content_type": "application/json",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "tracestate": "vendor=1",
            "baggage": "tenant=1",
            "budget_ms": "950",
            "message_type": "prediction-request",
            "attempt-of": "user header",
            "note": "control \u0001 and ç",
        },
    ),
    "envelope-1-binary-body": OutgoingMessage(body=b"\x00\xff\xfe", headers={"budget_ms": "1"}),
    "envelope-1-control-character": OutgoingMessage(body=b"a\x00b"),
    "envelope-1-empty-body": OutgoingMessage(body=b""),
    "envelope-1-unspeakable-header": OutgoingMessage(
        body=b"{}", headers={"correlation_id": "a\x0bb"}
    ),
}
