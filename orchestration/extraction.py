"""Reads a folder of labelled files the way the service reads a client's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from common.contracts import Contract
from common.errors import PermanentError
from common.tables import Purpose, Table, UnreadableFile, read_table


class TrainingFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file's labelled rows: typed columns, all of one length, by canonical name.

    ``lines`` are the rows' places in the file, ``weights`` what each counts for in training (none:
    one each). ``group`` is what the file belongs to where its name does not say so.
    """

    name: str
    columns: dict[str, Sequence[Any]]
    labels: Sequence[str]
    lines: Sequence[int] = ()
    weights: Sequence[float] = ()
    group: str = ""

    def rows(self, places: Sequence[int]) -> TrainingFile:
        """The same file with only the rows at ``places``, in that order."""
        return TrainingFile(
            name=self.name,
            columns={name: [cells[at] for at in places] for name, cells in self.columns.items()},
            labels=[self.labels[at] for at in places],
            lines=[self.lines[at] for at in places] if self.lines else (),
            weights=[self.weights[at] for at in places] if self.weights else (),
            group=self.group,
        )


class Extraction(msgspec.Struct, frozen=True, kw_only=True):
    """Every usable file of a folder, and an account of what was left out.

    ``files_read`` counts readable files, those without a labelled row included. ``violations``
    counts rejected cells by code; ``unlabelled`` rows are good but carry no label; ``unread`` is
    the reason by file name.
    """

    files: list[TrainingFile]
    files_read: int
    rows_read: int
    unlabelled: int
    violations: dict[str, int]
    unread: dict[str, str]

    @property
    def rows(self) -> int:
        """Rows to learn from."""
        return sum(len(file.labels) for file in self.files)


def extract(
    contract: Contract, folder: Path, progress: Callable[[str], None] = lambda _: None
) -> Extraction:
    """Read every file of ``folder``, in the order of their names; sub-folders are not entered.

    Raises:
        PermanentError: code "no-training-data" when there is no folder, or no labelled row in it.
    """
    if not folder.is_dir():
        raise PermanentError(
            "no-training-data",
            f"There is no folder {folder}. "
            f"Give one that holds labelled files of {contract.family}.",
        )
    paths = sorted(path for path in folder.iterdir() if path.is_file() and is_data(path.name))
    files: list[TrainingFile] = []
    violations: Counter[str] = Counter()
    unread: dict[str, str] = {}
    rows_read = unlabelled = 0
    for path in paths:
        try:
            content = path.read_bytes()
            table = read_table(content, contract, file_name=path.name, purpose=Purpose.TRAINING)
        except UnreadableFile as error:
            unread[path.name] = error.message
            continue
        file = labelled(path.name, table, contract)
        rows_read += table.rows_read
        unlabelled += len(table.lines) - len(file.labels)
        violations.update(violation.code for violation in table.violations)
        progress(f"{path.name}: {len(file.labels)} labelled rows of {table.rows_read}")
        if file.labels:
            files.append(file)
    if not files:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in unread.items())
        raise PermanentError(
            "no-training-data",
            f"None of the {len(paths)} files in {folder} has a labelled row of {contract.family}. "
            f"{reasons}",
        )
    return Extraction(
        files=files,
        files_read=len(paths) - len(unread),
        rows_read=rows_read,
        unlabelled=unlabelled,
        violations=dict(sorted(violations.items())),
        unread=unread,
    )


def is_data(name: str) -> bool:
    """Whether a file of that name is meant to be read."""
    return not name.startswith(".") and not name.lower().endswith(".md")


def labelled(name: str, table: Table, contract: Contract) -> TrainingFile:
    """The rows of a table that carry a label."""
    labels = table.columns.get(contract.label.name, [])
    whole = TrainingFile(
        name=name,
        columns={key: cells for key, cells in table.columns.items() if key != contract.label.name},
        labels=labels,
        lines=table.lines,
    )
    if None not in labels:
        return whole
    return whole.rows([at for at, label in enumerate(labels) if label is not None])
