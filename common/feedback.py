"""What users say about labels they were given: the record that training learns from.

The service that takes feedback writes such records, one JSON object a line, into objects named
``*.ndjson``; training reads them. Fields are only ever added, with a default.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from common.messages import PredictionId


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """The right label of one row of a prediction.

    ``line`` is the row's, as the prediction named it. ``row`` holds the row's cells by the
    contract's canonical names: decimals as strings, dates as ISO 8601, at least the columns that
    the contract requires. ``group`` is what the row belongs to (for a family grouped by file: the
    file's name), so that a corrected row is never learnt while its group is held out; without it,
    the prediction is the group. Of several records about one line the last ``received`` counts.
    """

    prediction_id: PredictionId
    model: str
    line: int
    label: str
    row: dict[str, str | int | None]
    received: datetime
    version: str | None = None
    group: str | None = None


def write_feedback(records: Iterable[Feedback]) -> bytes:
    """The lines of a feedback file."""
    return msgspec.json.Encoder().encode_lines(list(records))
