"""One HTTP exchange as the rest of the service sees it: its identity, its clock, its trace."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from opentelemetry.trace import Span

from common.errors import PermanentError
from common.messages import PredictionId
from producer.timing import Stopwatch

SCOPE_KEY = "carimbo.exchange"


@dataclass(slots=True)
class Exchange:
    """``prediction_id`` is None where the request is not about a prediction.

    ``id_from_client``: the client chose the id, so an earlier result may bear it already.
    ``id_refused``: what the client chose is no UUID; ``prediction_id`` is a new one, to name this
    exchange by. ``is_replayed``: an earlier request under the same Idempotency-Key did the work.
    """

    span: Span
    prediction_id: PredictionId | None = None
    id_from_client: bool = False
    id_refused: bool = False
    is_replayed: bool = False
    stopwatch: Stopwatch = field(default_factory=Stopwatch)

    def accepted_id(self) -> PredictionId:
        """The prediction's id.

        Raises:
            PermanentError: ``invalid-prediction-id``, when the client chose one that is no UUID.
        """
        if self.id_refused or self.prediction_id is None:
            raise PermanentError(
                "invalid-prediction-id",
                "The Prediction-Id header is not a UUID such as "
                "123e4567-e89b-42d3-a456-426614174000; send one, or leave the header out.",
            )
        return self.prediction_id


def exchange_of(scope: Any) -> Exchange:
    """The exchange that the edge opened for the request of this ASGI scope."""
    exchange: Exchange = scope[SCOPE_KEY]
    return exchange


def parse_prediction_id(text: str) -> PredictionId | None:
    """``text`` as a UUID in its canonical form, or None when it is not one."""
    try:
        return PredictionId(str(UUID(text.strip())))
    except ValueError:
        return None


def open_exchange(span: Span, asked_id: str | None) -> Exchange:
    """An exchange about a prediction: under the client's own id, or a new one."""
    chosen = None if asked_id is None else parse_prediction_id(asked_id)
    return Exchange(
        span,
        prediction_id=chosen or PredictionId(str(uuid4())),
        id_from_client=chosen is not None,
        id_refused=asked_id is not None and chosen is None,
    )
