"""Corrections by users, laid over the labelled files: they outweigh the label they correct."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from common.contracts import Contract, recipe_columns
from common.contracts.contract import GROUP_BY_FILE
from common.errors import PermanentError
from common.feedback import Feedback
from common.tables import Purpose, UnreadableFile, read_table
from orchestration.extraction import TrainingFile, labelled
from orchestration.splits import groups_of

FEEDBACK_WEIGHT = 3.0
"""Somebody looked at this very row: it counts for as much as three that nobody questioned."""

UNUSABLE_SHARE = 0.5
NDJSON = "application/x-ndjson"
Key = tuple[Any, ...]


class Corrected(msgspec.Struct, frozen=True, kw_only=True):
    """Files with their labels corrected, and files of rows that stood in none.

    ``contents`` are the latter's bytes by name. ``replaced`` counts labels corrected in place,
    ``added`` the rows of their own, ``unusable`` the records that could not be read.
    """

    files: list[TrainingFile]
    contents: dict[str, bytes]
    replaced: int
    added: int
    unusable: int


def read_feedback(paths: Iterable[Path], family: str) -> tuple[list[Feedback], int]:
    """The last word on every line, by prediction and line; and how many records are unreadable.

    Raises:
        PermanentError: code "unusable-feedback" when more than half of the records are.
    """
    last: dict[tuple[str, int], Feedback] = {}
    read = unreadable = 0
    for path in sorted(paths):
        for line in path.read_bytes().splitlines():
            if not line.strip():
                continue
            read += 1
            try:
                found = msgspec.json.decode(line, type=Feedback)
            except msgspec.DecodeError:
                unreadable += 1
                continue
            place = (found.prediction_id, found.line)
            if found.model == family and (
                place not in last or last[place].received <= found.received
            ):
                last[place] = found
    if unreadable > read * UNUSABLE_SHARE:
        raise PermanentError(
            "unusable-feedback",
            f"{unreadable} of {read} feedback records cannot be read; expected one JSON object a "
            "line, as common/feedback.py describes it.",
        )
    return [last[place] for place in sorted(last)], unreadable


def correct(
    contract: Contract, files: Sequence[TrainingFile], feedback: Sequence[Feedback]
) -> Corrected:
    """Replace the label of every row that feedback is about, and add rows that stood in no file.

    A row is known again by the cells that the recipe reads and, where the feedback names its group,
    by that group.
    """
    labels = [list(file.labels) for file in files]
    weights = [list(file.weights or [1.0] * len(file.labels)) for file in files]
    places = _places(contract, files)
    groups = [[group for _, group in groups_of(contract, file)] for file in files]
    contents: dict[str, bytes] = {}
    added: list[TrainingFile] = []
    replaced = unusable = 0
    for number, (records, name) in enumerate(_by_prediction(feedback)):
        path = f"feedback-{number:06d}.ndjson"
        content, rows = _read(contract, records, path, name)
        unusable += len(records) - (len(rows.labels) if rows else 0)
        if rows is None:
            continue
        fresh: list[int] = []
        for at, key in enumerate(_keys(contract, rows)):
            found = [
                (file, row)
                for file, row in places.get(key, ())
                if name in (None, groups[file][row])
            ]
            for file, row in found:
                labels[file][row] = rows.labels[at]
                weights[file][row] = FEEDBACK_WEIGHT
            replaced += len(found)
            if not found:
                fresh.append(at)
        if fresh:
            contents[path] = content
            added.append(rows.rows(fresh))
    corrected = [
        msgspec.structs.replace(file, labels=labels[at], weights=weights[at])
        for at, file in enumerate(files)
    ]
    return Corrected(
        files=[*corrected, *added],
        contents=contents,
        replaced=replaced,
        added=sum(len(file.labels) for file in added),
        unusable=unusable,
    )


def _by_prediction(
    feedback: Sequence[Feedback],
) -> list[tuple[list[Feedback], str | None]]:
    """Records of one prediction, and of one group of it, together."""
    found: dict[tuple[str, str | None], list[Feedback]] = defaultdict(list)
    for record in feedback:
        found[record.prediction_id, record.group].append(record)
    return [(records, group) for (_, group), records in found.items()]


def _places(
    contract: Contract, files: Sequence[TrainingFile]
) -> Mapping[Key, list[tuple[int, int]]]:
    places: dict[Key, list[tuple[int, int]]] = defaultdict(list)
    for number, file in enumerate(files):
        for row, key in enumerate(_keys(contract, file)):
            places[key].append((number, row))
    return places


def _keys(contract: Contract, file: TrainingFile) -> Iterable[Key]:
    return zip(*(file.columns[name] for name in recipe_columns(contract)), strict=True)


def _read(
    contract: Contract, records: Sequence[Feedback], path: str, group: str | None
) -> tuple[bytes, TrainingFile | None]:
    """The records' rows through the service's own reader; None when no row can be used."""
    rows = [_row(contract, record) for record in records]
    content = msgspec.json.Encoder().encode_lines(rows)
    try:
        table = read_table(content, contract, media_type=NDJSON, purpose=Purpose.TRAINING)
    except UnreadableFile:
        return content, None
    file = labelled(path, table, contract)
    return content, msgspec.structs.replace(
        file,
        weights=[FEEDBACK_WEIGHT] * len(file.labels),
        group=group or str(records[0].prediction_id),
    )


def _row(contract: Contract, record: Feedback) -> dict[str, str | int | None]:
    row = {**record.row, contract.label.name: record.label}
    if contract.group != GROUP_BY_FILE and record.group is not None:
        row.setdefault(contract.group, record.group)
    return row
