"""The routes of predictions: a file in, its labels out; and the result again, by its id."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery
from litestar.types import Receive

from common.errors import PermanentError
from producer.answers import PredictionAnswer
from producer.catalogue import read_selector
from producer.exchange import exchange_of, parse_prediction_id
from producer.parts import AnyRequest, parts_of
from producer.preferences import read_preferences
from producer.service import Order
from producer.timing import server_timing
from producer.uploads import UploadHeaders

JSON = "application/json"


@post(
    "/v1/models/{model:str}/predictions",
    status_code=200,
    operation_id="labelFile",
    summary="Label a file",
    tags=["predictions"],
    request_max_body_size=None,  # read_upload bounds it, for a form and a raw body alike
)
async def label_file(
    request: AnyRequest,
    model: FromPath[str],
    version: FromQuery[str | None] = None,
    alias: FromQuery[str | None] = None,
) -> Response[PredictionAnswer]:
    """Send a file as the body, or as one file part of a form; its labels are the answer.

    The Prediction-Id header of every answer, errors included, names the prediction: should the
    answer not arrive, its result is kept under that id.
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
    )
    exchange = exchange_of(request.scope)
    encoded = await parts.service.label(order, _body(request.receive), exchange)
    headers = {"Server-Timing": server_timing(exchange.stopwatch.stages)}
    if preferences.applied:
        headers["Preference-Applied"] = preferences.applied
    return _encoded(encoded, headers)


@get(
    "/v1/predictions/{prediction_id:str}",
    operation_id="readPrediction",
    summary="Read a stored result",
    tags=["predictions"],
)
async def read_prediction(
    request: AnyRequest,
    prediction_id: FromPath[str],
) -> Response[PredictionAnswer]:
    """Answer what the prediction was, or would have been, answered at the time."""
    identity = parse_prediction_id(prediction_id)
    if identity is None:
        raise PermanentError("unknown-prediction", "A prediction's id is a UUID; this is not one.")
    exchange_of(request.scope).prediction_id = identity
    return _encoded(await parts_of(request).service.stored(identity), {})


def _encoded(body: bytes, headers: dict[str, str]) -> Response[Any]:
    """A response of bytes that are JSON already, which Litestar passes on as they are."""
    return Response(body, media_type=JSON, headers=headers)


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
