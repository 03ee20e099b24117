"""Prepared rows between two steps: typed columns, packed, and unpacked into the same types."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from common.contracts import ColumnType, Contract
from orchestration.extraction import TrainingFile
from orchestration.pipeline.folder import RunFolder
from orchestration.splits import groups_of

TRAIN = "prepared/train.msgpack"
HOLDOUT = "prepared/holdout.msgpack"
_CELLS: dict[ColumnType, Any] = {
    ColumnType.DECIMAL: list[Decimal | None],
    ColumnType.INTEGER: list[int | None],
    ColumnType.DATE: list[date | None],
    ColumnType.CATEGORY: list[str | None],
    ColumnType.TEXT: list[str | None],
}


class _Packed(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    labels: list[str]
    lines: list[int]
    weights: list[float]
    group: str
    columns: dict[str, msgspec.Raw]


class HeldOut(msgspec.Struct, frozen=True, kw_only=True):
    """Rows to be judged on: where their file is, which of its lines, what is true, whose they are.

    The file is read again as a client's would be: a model gets nothing that it would not be sent.
    """

    name: str
    path: str
    lines: list[int]
    labels: list[str]
    groups: list[str]


def write_train(run: RunFolder, files: Sequence[TrainingFile]) -> None:
    """Pack the rows to learn from."""
    packed = [
        _Packed(
            name=file.name,
            labels=list(file.labels),
            lines=list(file.lines),
            weights=list(file.weights),
            group=file.group,
            columns={
                name: msgspec.Raw(msgspec.msgpack.encode(cells))
                for name, cells in file.columns.items()
            },
        )
        for file in files
    ]
    run.write(TRAIN, msgspec.msgpack.encode(packed))


def read_train(run: RunFolder) -> list[TrainingFile]:
    """Unpack the rows to learn from."""
    packed = msgspec.msgpack.decode((run.path / TRAIN).read_bytes(), type=list[_Packed])
    return [
        TrainingFile(
            name=file.name,
            columns={
                name: msgspec.msgpack.decode(cells, type=_CELLS[run.contract.column(name).type])
                for name, cells in file.columns.items()
            },
            labels=file.labels,
            lines=file.lines,
            weights=file.weights,
            group=file.group,
        )
        for file in packed
    ]


def write_holdout(
    run: RunFolder, contract: Contract, files: Sequence[TrainingFile], paths: dict[str, str]
) -> None:
    """Write what is held out; ``paths`` are the files' places in the run's folder, by name."""
    held = [
        HeldOut(
            name=file.name,
            path=paths[file.name],
            lines=list(file.lines),
            labels=list(file.labels),
            groups=["\0".join(group) for group in groups_of(contract, file)],
        )
        for file in files
    ]
    run.write(HOLDOUT, msgspec.msgpack.encode(held))


def read_holdout(run: RunFolder) -> list[HeldOut]:
    """Read what is held out."""
    return msgspec.msgpack.decode((run.path / HOLDOUT).read_bytes(), type=list[HeldOut])
