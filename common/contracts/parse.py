"""From a contract's YAML to a ``Contract``, or to the line and the reason why not."""

from __future__ import annotations

import re
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

import msgspec

from common.contracts.bounds import parse_bound
from common.contracts.checks import check_contract
from common.contracts.columns import Column, ColumnType, Role
from common.contracts.contract import Contract, Split
from common.contracts.document import Document, Path
from common.contracts.recipe import DatePart, ElapsedUnit, Feature, Statistic, Transform

FamilyName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=40)]
ColumnName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=60)]
Word = Annotated[str, msgspec.Meta(min_length=1)]


class _ColumnText(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A column as it is written: its bounds are still words."""

    name: ColumnName
    type: ColumnType
    role: Role
    description: str = ""
    aliases: tuple[Word, ...] = ()
    required: bool = False
    nullable: bool = True
    minimum: str | int | None = None
    maximum: str | int | None = None
    formats: tuple[Word, ...] = ()
    values: tuple[Word, ...] = ()
    closed: bool = False
    spellings: dict[str, str | None] = {}


class _ContractText(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A contract as it is written."""

    family: FamilyName
    title: Word
    columns: Annotated[tuple[_ColumnText, ...], msgspec.Meta(min_length=1)]
    group: str
    split: Split
    recipe: Annotated[tuple[Feature, ...], msgspec.Meta(min_length=1)]
    description: str = ""
    decimal_mark: Literal[",", "."] = "."
    letters: str = ""


_CHOICES: dict[str, tuple[str, ...]] = {
    "type": tuple(ColumnType),
    "role": tuple(Role),
    "split": tuple(Split),
    "transform": tuple(Transform),
    "parts": tuple(DatePart),
    "unit": tuple(ElapsedUnit),
    "statistics": tuple(Statistic),
    "kind": tuple(
        str(kind.__struct_config__.tag)
        for kind in Feature.__args__  # the members of the union
    ),
    "decimal_mark": (",", "."),
}
_LOCATED = re.compile(r"(?P<reason>.*?)(?: - at `(?:key in )?\$?(?P<where>.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]|\[\.\.\.\]")
_QUOTED = re.compile(r"'([^']*)'")


def load_contract(path: FilePath) -> Contract:
    """Read a contract from a file.

    Raises:
        BrokenContract: the file's text is no contract.
        OSError: the file cannot be read.
    """
    return parse_contract(path.read_text("utf-8"), source=path.name)


def parse_contract(text: str, *, source: str) -> Contract:
    """Read a contract from YAML; ``source`` is what its errors call it.

    Raises:
        BrokenContract: names the line, the part and the reason.
    """
    document = Document(text, source)
    try:
        written = msgspec.convert(document.data, _ContractText)
    except msgspec.ValidationError as error:
        path, reason = _located(str(error), document.data)
        raise document.broken(path, reason) from None
    contract = Contract(
        family=written.family,
        title=written.title,
        description=written.description,
        decimal_mark=written.decimal_mark,
        letters=written.letters,
        columns=tuple(
            _column(column, document, ("columns", at)) for at, column in enumerate(written.columns)
        ),
        group=written.group,
        split=written.split,
        recipe=written.recipe,
        source_text=text,
    )
    check_contract(contract, document)
    return contract


def _column(written: _ColumnText, document: Document, path: Path) -> Column:
    fields = msgspec.structs.asdict(written)
    for side in ("minimum", "maximum"):
        try:
            fields[side] = parse_bound(fields[side], written.type)
        except ValueError as error:
            raise document.broken((*path, side), str(error)) from None
    return Column(**fields)


def _located(message: str, data: Any) -> tuple[Path, str]:
    """Split msgspec's sentence into a path of the document and a reason that says what would do."""
    found = _LOCATED.fullmatch(message)
    where = (found["where"] or "") if found else ""
    reason = found["reason"] if found else message
    path = tuple(
        int(step[2]) if step[2] else step[1] for step in _STEP.finditer(where) if step[1] or step[2]
    )
    if "unknown field" in reason or "missing required field" in reason:
        quoted = _QUOTED.search(reason.replace("`", "'"))
        if quoted is None:
            return path, reason
        if "missing" in reason:
            return path, f"the key '{quoted[1]}' is missing"
        return (*path, quoted[1]), "not a key that is known here"
    choices = next((_CHOICES[step] for step in reversed(path) if step in _CHOICES), None)
    if choices and reason.startswith("Invalid"):
        return path, f"{_value_at(data, path)!r} is not one of {', '.join(choices)}"
    if "got `bool`" in reason or "got `int`" in reason:
        reason += "; put the word in quotes"
    return path, reason


def _value_at(data: Any, path: Path) -> Any:
    for step in path:
        data = data[step]
    return data
