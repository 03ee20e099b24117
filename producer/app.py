"""The HTTP application: routes, and one way for every error to become a problem."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Litestar, Response, get
from litestar.datastructures import State
from litestar.openapi import OpenAPIConfig
from litestar.params import FromPath
from litestar.response import Redirect
from prometheus_client.exposition import choose_encoder

from common.errors import CarimboError
from producer.exchange import exchange_of
from producer.health import Readiness, run_checks
from producer.models import list_models
from producer.openapi import DOCUMENT_VERSION, DocumentPlugin, PagePlugin
from producer.parts import STATE_KEY, AnyRequest, Parts, parts_of
from producer.predictions import cancel_prediction, label_file, read_prediction
from producer.problems import KINDS, MEDIA_TYPE, UnknownError, code_of, headers_of, problem_of

_log = structlog.get_logger("producer.http")
_encoder = msgspec.json.Encoder(enc_hook=str)


def build_app(parts: Parts) -> Litestar:
    """The application over ``parts``, which somebody else starts and stops."""
    return Litestar(
        route_handlers=[
            label_file,
            read_prediction,
            cancel_prediction,
            list_models,
            list_problems,
            explain_problem,
            ready,
            metrics_page,
            front_door,
        ],
        state=State({STATE_KEY: parts}),
        exception_handlers={Exception: answer_problem},
        logging_config=None,
        openapi_config=OpenAPIConfig(
            title="Carimbo",
            version=DOCUMENT_VERSION,
            description="A label on every row of a file, from models that can be chosen by name.",
            render_plugins=[PagePlugin(), DocumentPlugin(parts.catalogue)],
        ),
    )


def answer_problem(request: AnyRequest, error: Exception) -> Response[Any]:
    """Answer any error as a problem; log only what is a fault of ours."""
    problem = problem_of(error, prediction_id=exchange_of(request.scope).prediction_id)
    if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("internal error", exc_info=error)
    elif isinstance(error, CarimboError):
        _log.info("problem", code=code_of(error))
    return Response(
        _encoder.encode(problem),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=headers_of(error),
    )


class ProblemKind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of problem: the ``type`` it is known by, and what a client can do about it."""

    type: str
    title: str
    status: int
    advice: str


@get("/problems", operation_id="listProblems", summary="List the problems", tags=["problems"])
async def list_problems() -> list[ProblemKind]:
    """List every kind of problem that this service answers with."""
    return [_kind(code) for code in KINDS]


@get(
    "/problems/{code:str}",
    operation_id="explainProblem",
    summary="Explain a problem",
    tags=["problems"],
)
async def explain_problem(code: FromPath[str]) -> ProblemKind:
    """Explain the kind of problem whose ``type`` is this very address."""
    if code not in KINDS:
        raise UnknownError("not-found", "There is no problem of this name.", known=sorted(KINDS))
    return _kind(code)


def _kind(code: str) -> ProblemKind:
    kind = KINDS[code]
    return ProblemKind(
        type=f"/problems/{code}", title=kind.title, status=kind.status, advice=kind.advice
    )


@get(
    "/health/ready",
    operation_id="ready",
    summary="Whether this replica can serve",
    tags=["operations"],
)
async def ready(request: AnyRequest) -> Response[Readiness]:
    """200 when every check is ``ok``, else 503."""
    readiness = await run_checks(parts_of(request).checks)
    status = HTTPStatus.OK if readiness.ready else HTTPStatus.SERVICE_UNAVAILABLE
    return Response(readiness, status_code=status, headers={"Cache-Control": "no-store"})


@get("/", include_in_schema=False)
async def front_door() -> Redirect:
    """Lead a person who opens the bare address to the API's pages."""
    return Redirect("/schema")


@get("/metrics", include_in_schema=False)
async def metrics_page(request: AnyRequest) -> Response[bytes]:
    """Measurements for Prometheus; with examples of traces for a scraper that takes OpenMetrics."""
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(parts_of(request).metrics), headers={"Content-Type": media_type})
