"""The routes of predictions: a file in, its labels out, now or later; and what was asked before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

from litestar import Response, delete, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery
from litestar.response import Stream
from litestar.types import Receive

from common.answers import PredictionAnswer
from common.errors import PermanentError
from common.messages import PredictionId
from producer.answering import Answer
from producer.catalogue import read_selector
from producer.exchange import exchange_of, parse_prediction_id
from producer.idempotency import read_key
from producer.parts import AnyRequest, parts_of
from producer.preferences import LONGEST_WAIT, read_preferences
from producer.service import Order
from producer.stored import SETTLED_EVENT, PendingPrediction
from producer.timing import server_timing
from producer.uploads import UploadHeaders

ACCOUNT_HEADER = "account-id"
JSON = "application/json"
EVENTS = "text/event-stream"
NOT_STORED = {"Cache-Control": "no-store"}
PENDING = {202: ResponseSpec(PendingPrediction, description="Under way: come back to Location.")}


@post(
    "/v1/models/{model:str}/predictions",
    status_code=200,
    operation_id="labelFile",
    summary="Label a file",
    tags=["predictions"],
    responses=PENDING,
    request_max_body_size=None,  # read_upload bounds it, for a form and a raw body alike
)
async def label_file(
    request: AnyRequest,
    model: FromPath[str],
    version: FromQuery[str | None] = None,
    alias: FromQuery[str | None] = None,
    callback_url: FromQuery[str | None] = None,
) -> Response[PredictionAnswer]:
    """Send a file as the body, or as one file part of a form; its labels are the answer.

    With Prefer: respond-async, or when the wait runs out first, the answer is 202 instead, and the
    labels are at its Location later. The Prediction-Id header of every answer, errors included,
    names the prediction. callback_url is called, too, once the prediction has ended.
    """
    parts = parts_of(request)
    preferences = read_preferences(
        request.headers.getall("prefer", []), default_wait=parts.default_wait
    )
    order = Order(
        model=model,
        selector=read_selector(version=version, alias=alias),
        preferences=preferences,
        headers=_upload_headers(request),
        idempotency_key=read_key(request.headers.get("idempotency-key")),
        callback_url=callback_url,
        account=request.headers.get(ACCOUNT_HEADER),
    )
    exchange = exchange_of(request.scope)
    answer = await parts.service.label(order, _body(request.receive), exchange)
    headers = {"Server-Timing": server_timing(exchange.stopwatch.stages)}
    if preferences.applied:
        headers["Preference-Applied"] = preferences.applied
    return _response(answer, headers)


@get(
    "/v1/predictions/{prediction_id:str}",
    operation_id="readPrediction",
    summary="Read a result, or wait for it",
    tags=["predictions"],
    responses=PENDING,
)
async def read_prediction(
    request: AnyRequest,
    prediction_id: FromPath[str],
    wait: FromQuery[int] = 0,
) -> Response[PredictionAnswer]:
    """Answer what the prediction was, or would have been, answered at the time.

    While it is under way the answer is 202, after waiting up to ``wait`` seconds (at most 60) for
    it to end. With Accept: text/event-stream the answer is a stream of events instead: ``status``
    at once, then ``result`` or ``problem``.
    """
    identity = _identity(request, prediction_id)
    stored = parts_of(request).stored
    if EVENTS in request.headers.get("accept", ""):
        if request.headers.get("last-event-id") == SETTLED_EVENT:
            return Response(None, status_code=204)  # type: ignore[arg-type]  # no body
        return await _streamed(request, identity)
    seconds = min(max(wait, 0), LONGEST_WAIT.total_seconds())
    return _response(await stored.read(identity, seconds), {})


@delete(
    "/v1/predictions/{prediction_id:str}",
    status_code=204,
    operation_id="cancelPrediction",
    summary="Cancel a prediction",
    tags=["predictions"],
)
async def cancel_prediction(request: AnyRequest, prediction_id: FromPath[str]) -> None:
    """End a prediction that was answered with 202 and has no result yet; it will not be made.

    Cancelling twice is the same as once. One that a worker has begun may be finished, and its
    labels thrown away.
    """
    await parts_of(request).stored.cancel(_identity(request, prediction_id))


async def _streamed(request: AnyRequest, prediction_id: PredictionId) -> Response[Any]:
    events = await parts_of(request).stored.events(prediction_id)
    # Litestar's streams are responses to it, though not to a type checker.
    return cast("Response[Any]", Stream(events, media_type=EVENTS, headers=NOT_STORED))


def _identity(request: AnyRequest, text: str) -> PredictionId:
    """The id in the path, which the answer will bear, too.

    Raises:
        PermanentError: it is no UUID.
    """
    identity = parse_prediction_id(text)
    if identity is None:
        raise PermanentError("unknown-prediction", "A prediction's id is a UUID; this is not one.")
    exchange_of(request.scope).prediction_id = identity
    return identity


def _response(answer: Answer, headers: dict[str, str]) -> Response[Any]:
    """A response of bytes that are JSON already, which Litestar passes on as they are."""
    if answer.file is not None:
        # Litestar's streams are responses to it, though not to a type checker.
        return cast(
            "Response[Any]",
            Stream(answer.pieces(), media_type=JSON, headers={**answer.headers, **headers}),
        )
    return Response(
        answer.body,
        status_code=int(answer.status),
        media_type=JSON,
        headers={**answer.headers, **headers},
    )


def _upload_headers(request: AnyRequest) -> UploadHeaders:
    return UploadHeaders(
        content_type=request.headers.get("content-type"),
        content_disposition=request.headers.get("content-disposition"),
        content_encoding=request.headers.get("content-encoding"),
        content_length=request.headers.get("content-length"),
    )


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    """The body's chunks as they arrive.

    Raises:
        PermanentError: the client left before the body's end; nobody will read the answer.
    """
    more = True
    while more:
        event = await receive()
        if event["type"] != "http.request":
            raise PermanentError("bad-request", "The connection ended before the body did.")
        more = event.get("more_body", False)
        yield event["body"]
