"""Splits that do not leak: by group or by time, never by random rows.

Rows of one account resemble one another, and next month's rows are not known this month: a random
split would report figures that no new file ever sees.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import date
from statistics import median_low

import msgspec

from common.contracts import Contract, Split
from common.contracts.contract import GROUP_BY_FILE
from common.errors import PermanentError
from orchestration.extraction import TrainingFile

HELD_OUT_SHARE = 0.2
Group = tuple[str, str]
"""What must not be torn apart: where its name comes from, and its name."""


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What to learn from and what to be judged on; ``kind`` says how they were told apart."""

    kind: str
    train: list[TrainingFile]
    test: list[TrainingFile]


def hold_out(contract: Contract, files: Sequence[TrainingFile], seed: int) -> Parts:
    """Hold out about a fifth: the latest files by time, or whole groups drawn by ``seed``.

    Raises:
        PermanentError: code "cannot-split" when there is nothing to hold out.
    """
    if contract.split is Split.TIME:
        return _by_time(contract, files)
    groups = _shuffled(_groups(contract, files), seed)
    if len(groups) < 2:  # noqa: PLR2004 - a train part and a test part
        raise PermanentError(
            "cannot-split",
            f"All labelled rows of {contract.family} are of one group ({contract.group}), so no "
            "group is left to be judged on. Add files of another.",
        )
    held = max(1, round(len(groups) * HELD_OUT_SHARE))
    return _by_groups(contract, files, set(groups[:held]))


def folds(
    contract: Contract, files: Sequence[TrainingFile], count: int, seed: int
) -> Iterator[Parts]:
    """``count`` parts, or one a group when there are fewer; each group is held out once."""
    groups = _shuffled(_groups(contract, files), seed)
    for fold in range(min(count, len(groups))):
        yield _by_groups(contract, files, set(groups[fold::count]))


def _shuffled(groups: Sequence[Group], seed: int) -> list[Group]:
    drawn = sorted(set(groups))
    random.Random(seed).shuffle(drawn)  # noqa: S311 - reproducible, not secret
    return drawn


def _groups(contract: Contract, files: Sequence[TrainingFile]) -> list[Group]:
    return [group for file in files for group in _groups_of(contract, file)]


def _groups_of(contract: Contract, file: TrainingFile) -> list[Group]:
    """A row's group each. A row without a value stays with its file."""
    of_file = (GROUP_BY_FILE, file.name)
    if contract.group == GROUP_BY_FILE:
        return [of_file] * len(file.labels)
    cells = file.columns[contract.group]
    return [of_file if cell is None else (contract.group, str(cell)) for cell in cells]


def _by_groups(contract: Contract, files: Sequence[TrainingFile], held: set[Group]) -> Parts:
    train: list[TrainingFile] = []
    test: list[TrainingFile] = []
    for file in files:
        away = [group in held for group in _groups_of(contract, file)]
        _share(file, away, train, test)
    return Parts(kind=f"group ({contract.group})", train=train, test=test)


def _by_time(contract: Contract, files: Sequence[TrainingFile]) -> Parts:
    """The latest files by their median day, as they will arrive; of a single file, its end."""
    time = contract.time
    if time is None:
        raise PermanentError(
            "cannot-split",
            f"{contract.family} is split by time, but its contract names no column of role time.",
        )
    days = [_days(file, time.name) for file in files]
    if len(files) == 1:
        return _end_of(files[0], days[0])
    order = sorted(range(len(files)), key=lambda at: (median_low(days[at]), files[at].name))
    held = max(1, int(len(files) * HELD_OUT_SHARE))
    return Parts(
        kind="time (latest files)",
        train=[files[at] for at in order[:-held]],
        test=[files[at] for at in order[-held:]],
    )


def _days(file: TrainingFile, column: str) -> list[date]:
    return [cell or date.min for cell in file.columns[column]]


def _end_of(file: TrainingFile, days: Sequence[date]) -> Parts:
    cut = sorted(days)[int(len(days) * (1 - HELD_OUT_SHARE))]
    train: list[TrainingFile] = []
    test: list[TrainingFile] = []
    _share(file, [day >= cut for day in days], train, test)
    if not train:
        raise PermanentError(
            "cannot-split",
            f"All labelled rows of {file.name} are of {cut}: add an earlier or a later file.",
        )
    return Parts(kind="time (end of the file)", train=train, test=test)


def _share(
    file: TrainingFile,
    away: Sequence[bool],
    train: list[TrainingFile],
    test: list[TrainingFile],
) -> None:
    for wanted, part in ((False, train), (True, test)):
        places = [at for at, held in enumerate(away) if held is wanted]
        if places:
            part.append(file if len(places) == len(away) else file.rows(places))
