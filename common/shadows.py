"""How a shadow's labels of one file compare with those that the client got; kept in the store."""

from __future__ import annotations

import msgspec

from common.messages import PredictionId


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A line that the two label differently. Confidences are probabilities in [0, 1]."""

    line: int
    label: str
    confidence: float
    shadow_label: str
    shadow_confidence: float


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One file: ``agreed`` of ``rows`` lines got the same label from both versions.

    ``primary_version`` made the client's labels, ``version`` is the shadow. The mean confidences
    are over all lines. ``stages`` are the shadow's milliseconds by stage.
    """

    prediction_id: PredictionId
    model: str
    version: str
    primary_version: str
    rows: int
    agreed: int
    confidence: float
    shadow_confidence: float
    differences: list[Difference] = []
    stages: dict[str, float] = {}
