"""A contract's YAML as plain data that still knows its lines."""

from __future__ import annotations

from typing import Any

import yaml

from common.errors import PermanentError

Path = tuple[str | int, ...]
"""Where a value stands in a document: ``("columns", 3, "type")``."""


class BrokenContract(PermanentError):  # noqa: N818 - named for what is wrong
    """A contract that cannot be used, with the line and the reason."""

    def __init__(self, source: str, line: int, reason: str) -> None:
        super().__init__("broken-contract", f"{source} line {line}: {reason}")
        self.source = source
        self.line = line
        self.reason = reason


class Document:
    """The data of a YAML text, and the line (from 1) at which each part of it stands."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self.lines: dict[Path, int] = {(): 1}
        self._seen: set[int] = set()
        self.data = self._plain(_composed(text, source), ())

    def line(self, path: Path) -> int:
        """The line of a part, or of the nearest part around it."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]

    def broken(self, path: Path, reason: str) -> BrokenContract:
        """Make the error that says where a part is, what it is called and why it is refused."""
        name = _dotted(path)
        return BrokenContract(self.source, self.line(path), f"{name}: {reason}" if name else reason)

    def _plain(self, node: yaml.Node, path: Path) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in self._seen:
            raise self.broken(path, "YAML aliases (*name) are not used in contracts; write it out")
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, (*path, at)) for at, item in enumerate(node.value)]
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key, str):
                raise self.broken(path, "a key must be a word")
            inner = (*path, key)
            line = key_node.start_mark.line + 1
            if key in found:
                raise BrokenContract(
                    self.source,
                    line,
                    f"{_dotted(inner)}: given twice, first on line {self.lines[inner]}",
                )
            self.lines[inner] = line
            found[key] = self._plain(value_node, inner)
        return found


def _composed(text: str, source: str) -> yaml.Node:
    """Parse without constructing, so that nothing is turned into another type behind our back."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise BrokenContract(source, line, f"not YAML: {error.problem}") from None
    except (yaml.YAMLError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BrokenContract(source, 1, f"not YAML: {reason}") from None
    if not isinstance(node, yaml.MappingNode):
        found = (
            "nothing" if node is None else f"a {type(node).__name__.removesuffix('Node').lower()}"
        )
        raise BrokenContract(source, 1, f"expected keys such as 'family:', found {found}")
    return node


def _scalar(node: yaml.Node) -> str | int | bool | None:
    """Keep words, floats and dates as they are written: a float would lose what a bound says."""
    match node.tag.rpartition(":")[2]:
        case "null":
            return None
        case "bool":
            return bool(yaml.SafeLoader.bool_values[node.value.lower()])
        case "int" if node.value.lstrip("+-").isdecimal():
            return int(node.value)
        case _:
            return str(node.value)


def _dotted(path: Path) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).lstrip(".")
