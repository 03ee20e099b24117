"""Says no at the door: a file that cannot be answered in time is told so before it costs anything.

Under five times the load, four of five requests are refused. Routing, parsing, tracing and logging
each of them would take the time that the fifth needs, so a refusal here is one look at the
admission and one answer. What passes is checked again where it is taken on.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from common.errors import TransientError
from producer.catalogue import Catalogue
from producer.exchange import parse_prediction_id
from producer.metrics import Metrics
from producer.preferences import read_preferences
from producer.problems import MEDIA_TYPE, code_of, headers_of, problem_of
from producer.service import UNKNOWN_MODEL
from producer.waits import Admission

if TYPE_CHECKING:
    from litestar.types import Send

PATH_START = "/v1/models/"
PATH_END = "/predictions"

_encoder = msgspec.json.Encoder()


class Doorkeeper:
    """Asks ``admission`` about requests that bring a file, and about no others."""

    def __init__(
        self,
        admission: Admission,
        catalogue: Catalogue,
        metrics: Metrics,
        default_wait: timedelta,
    ) -> None:
        self._admission = admission
        self._catalogue = catalogue
        self._metrics = metrics
        self._default_wait = default_wait

    def refusal(self, scope: Any) -> TransientError | None:
        """Why a request is not let in; None when it is."""
        path: str = scope["path"]
        if not (path.startswith(PATH_START) and path.endswith(PATH_END)):
            return None
        if scope["method"] != "POST":
            return None
        asked = [text.decode("latin-1") for name, text in scope["headers"] if name == b"prefer"]
        preferences = read_preferences(asked, default_wait=self._default_wait)
        model = path[len(PATH_START) : -len(PATH_END)]
        known = model if model in self._catalogue.models else UNKNOWN_MODEL
        try:
            self._admission.check(known, preferences)
        except TransientError as error:
            self._metrics.count_problem(known, code_of(error))
            return error
        return None


async def send_refusal(
    error: TransientError, headers: Mapping[str, str], more: list[tuple[bytes, bytes]], send: Send
) -> None:
    """Answer with the problem. The trace that a client began is named, but not continued."""
    identity = parse_prediction_id(headers.get("prediction-id", "")) or str(uuid4())
    problem = problem_of(error, prediction_id=identity)
    body = _encoder.encode(problem)
    named = {
        "content-type": MEDIA_TYPE,
        "content-length": str(len(body)),
        "prediction-id": identity,
        **{name.lower(): text for name, text in headers_of(error).items()},
    }
    if "traceparent" in headers:
        named["traceparent"] = headers["traceparent"]
    found = [(name.encode(), text.encode("latin-1")) for name, text in named.items()]
    await send(
        {"type": "http.response.start", "status": problem.status, "headers": [*found, *more]}
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})
