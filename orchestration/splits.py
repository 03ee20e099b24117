"""Splits that do not leak: by group or by time, never by random rows.

Rows of one account resemble one another, and next month's rows are not known this month: a random
split would report figures that no new file ever sees.

What is held out is frozen: a group's own name decides, or a day. So data that arrives later moves
no group from one side to the other, and champion and challenger are judged on rows that neither
has learnt.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from datetime import date

import msgspec

from common.contracts import Contract, Split
from common.contracts.contract import GROUP_BY_FILE
from common.errors import PermanentError
from orchestration.extraction import TrainingFile

HELD_OUT_SHARE = 0.25
WHOLE_MONTHS_SHARE = 0.5
"""The holdout starts with a month if so much of what there is stays to be learnt."""

HASH_BYTES = 8
Group = tuple[str, str]
"""What must not be torn apart: where its name comes from, and its name."""


class Holdout(msgspec.Struct, frozen=True, kw_only=True):
    """What is held out: groups whose hash is below ``share``, or rows from the day ``since`` on.

    ``by`` is the contract's group, or its column of role time. ``purpose`` salts the hash: groups
    held out for choosing among variants are others than those held out for judging.
    """

    by: str
    share: float
    since: date | None = None
    purpose: str = "holdout"

    @property
    def kind(self) -> str:
        """For people."""
        return f"group ({self.by})" if self.since is None else f"time (from {self.since})"


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What to learn from and what to be judged on; ``kind`` says how they were told apart."""

    kind: str
    train: list[TrainingFile]
    test: list[TrainingFile]


def freeze(
    contract: Contract,
    files: Sequence[TrainingFile],
    *,
    since: date | None = None,
    purpose: str = "holdout",
) -> Holdout:
    """Decide what is held out of a family's files: about a quarter.

    By time, the last whole months that hold a quarter of the rows, or the last days where there are
    too few months. ``since`` names the day instead.

    Raises:
        PermanentError: code "cannot-split" when the contract's split is not by time and ``since``
            is given, or is by time and there is no time to split by.
    """
    if contract.split is Split.GROUP:
        if since is not None:
            raise PermanentError(
                "cannot-split",
                f"{contract.family} is split by group ({contract.group}), not from a day on: "
                "leave the day out.",
            )
        return Holdout(by=contract.group, share=HELD_OUT_SHARE, purpose=purpose)
    if contract.time is None:
        raise PermanentError(
            "cannot-split",
            f"{contract.family} is split by time, but its contract names no column of role time.",
        )
    name = contract.time.name
    days = sorted(day for file in files for day in days_of(contract, file))
    return Holdout(by=name, share=HELD_OUT_SHARE, since=since or _boundary(days), purpose=purpose)


def divide(contract: Contract, files: Sequence[TrainingFile], holdout: Holdout) -> Parts:
    """Tell apart what is learnt and what is held out.

    At least one group is on either side: where the hashes leave a side empty, the group with the
    least hash is held out, and the one with the greatest is learnt.

    Raises:
        PermanentError: code "cannot-split" when a side stays empty.
    """
    if holdout.since is not None:
        parts = _by_day(contract, files, holdout, holdout.since)
    else:
        parts = _by_groups(contract, files, _held(contract, files, holdout), holdout.kind)
    if parts.train and parts.test:
        return parts
    raise PermanentError("cannot-split", _why_empty(contract, holdout))


def hold_out(contract: Contract, files: Sequence[TrainingFile]) -> Parts:
    """Freeze and divide in one go."""
    return divide(contract, files, freeze(contract, files))


def folds(
    contract: Contract, files: Sequence[TrainingFile], count: int, seed: int
) -> Iterator[Parts]:
    """``count`` parts, or one a group when there are fewer; each group is held out once."""
    groups = sorted(_groups(contract, files))
    random.Random(seed).shuffle(groups)  # noqa: S311 - reproducible, not secret
    for fold in range(min(count, len(groups))):
        held = set(groups[fold::count])
        yield _by_groups(contract, files, held, f"group ({contract.group})")


def groups_of(contract: Contract, file: TrainingFile) -> list[Group]:
    """A row's group each. A row without a value stays with its file."""
    of_file = (GROUP_BY_FILE, file.group or file.name)
    if contract.group == GROUP_BY_FILE:
        return [of_file] * len(file.labels)
    cells = file.columns[contract.group]
    return [of_file if cell is None else (contract.group, str(cell)) for cell in cells]


def days_of(contract: Contract, file: TrainingFile) -> list[date]:
    """A row's day each; the earliest there is where a row has none."""
    if contract.time is None:
        return [date.min] * len(file.labels)
    return [cell or date.min for cell in file.columns[contract.time.name]]


def _groups(contract: Contract, files: Sequence[TrainingFile]) -> set[Group]:
    return {group for file in files for group in groups_of(contract, file)}


def _held(contract: Contract, files: Sequence[TrainingFile], holdout: Holdout) -> set[Group]:
    places = {
        group: _place(contract.family, holdout.purpose, group) for group in _groups(contract, files)
    }
    order = sorted(places, key=lambda group: places[group])
    held = {group for group in order if places[group] < holdout.share} or {order[0]}
    return held - {order[-1]}


def _place(family: str, purpose: str, group: Group) -> float:
    """A number in [0, 1) that is the group's own, in every process and on every machine."""
    name = "\0".join((family, purpose, *group))
    digest = hashlib.sha256(name.encode()).digest()[:HASH_BYTES]
    return int.from_bytes(digest, "big") / 2.0 ** (8 * HASH_BYTES)


def _boundary(days: Sequence[date]) -> date:
    """The first day of the last quarter's month; the quarter's own first day in a short time."""
    quarter = days[int(len(days) * (1 - HELD_OUT_SHARE))]
    month = quarter.replace(day=1)
    learnt = sum(day < month for day in days)
    return month if learnt >= len(days) * WHOLE_MONTHS_SHARE else quarter


def _by_groups(
    contract: Contract, files: Sequence[TrainingFile], held: set[Group], kind: str
) -> Parts:
    parts = Parts(kind=kind, train=[], test=[])
    for file in files:
        _share(file, [group in held for group in groups_of(contract, file)], parts)
    return parts


def _by_day(
    contract: Contract, files: Sequence[TrainingFile], holdout: Holdout, since: date
) -> Parts:
    parts = Parts(kind=holdout.kind, train=[], test=[])
    for file in files:
        _share(file, [day >= since for day in days_of(contract, file)], parts)
    return parts


def _share(file: TrainingFile, away: Sequence[bool], parts: Parts) -> None:
    for wanted, part in ((False, parts.train), (True, parts.test)):
        places = [at for at, held in enumerate(away) if held is wanted]
        if places:
            part.append(file if len(places) == len(away) else file.rows(places))


def _why_empty(contract: Contract, holdout: Holdout) -> str:
    if holdout.since is None:
        return (
            f"All labelled rows of {contract.family} are of one group ({contract.group}), so no "
            "group is left to be judged on. Add files of another."
        )
    return (
        f"The labelled rows of {contract.family} are all before, or all since, {holdout.since}: "
        "add an earlier or a later file, or hold out from another day."
    )
