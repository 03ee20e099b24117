"""What people see of models: versions with their figures and history, two of them side by side."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from client.shadow_figures import ShadowFigures
from common.registry import ModelVersion, RegisteredModel, Tag
from common.registry.promotion import Promotion
from common.registry.routing import Routing

DIGEST_CHARACTERS = 12
NONE = "-"
FIGURES = {Tag.MACRO_F1: "macro-F1", Tag.MAJORITY: "majority", Tag.VERDICT: "verdict"}
HISTORY = {
    Tag.PROMOTED_AT: "promoted",
    Tag.PROMOTED_BECAUSE: "because",
    Tag.REPLACED: "in place of",
    Tag.ROLLED_BACK_AT: "rolled back",
    Tag.ROLLED_BACK_BECAUSE: "because of",
}
ORIGIN = {
    Tag.CONTRACT: "contract",
    Tag.DATA: "data",
    Tag.DIGEST: "files",
    Tag.CODE: "code",
    Tag.RUN: "run",
}

Side = tuple[ModelVersion, Mapping[str, float]]


def shown(model: RegisteredModel, routing: Routing) -> RenderableType:
    """A model's versions from the newest, and what its traffic does."""
    meanings: dict[str, list[str]] = {}
    for alias, number in sorted(model.aliases.items()):
        meanings.setdefault(number, []).append(alias)
    if routing.canary is not None:
        meanings.setdefault(routing.canary.version, []).append("canary")
    if routing.shadow is not None:
        meanings.setdefault(routing.shadow.version, []).append("shadow")
    table = Table("version", "is", "registered", *FIGURES.values(), "history")
    for version in model.versions:
        table.add_row(
            version.version,
            ", ".join(meanings.get(version.version, [])) or NONE,
            _day(version.created_ms),
            *(Text(version.tags.get(tag, NONE)) for tag in FIGURES),
            Text(_history(version)),
        )
    return Group(Text(model.name, style="bold"), table, *map(Text, _traffic(routing)))


def compared(left: Side, right: Side) -> RenderableType:
    """Every figure and tag that two versions have, and how far the second's is from the first's."""
    (first, figures), (second, others) = left, right
    table = Table("", f"version {first.version}", f"version {second.version}", "difference")
    table.add_row("registered", _day(first.created_ms), _day(second.created_ms), "")
    for tag, name in {**ORIGIN, **FIGURES, **HISTORY}.items():
        found = [_short(tag, version.tags.get(tag)) for version in (first, second)]
        if found != [NONE, NONE]:
            table.add_row(name, *map(Text, found), _distance(found))
    for name in sorted(figures.keys() | others.keys()):
        both = [f"{side[name]:.4f}" if name in side else NONE for side in (figures, others)]
        table.add_row(Text(name), *both, _distance(both))
    return Group(Text(first.model, style="bold"), table)


def promotion_line(done: Promotion) -> str:
    """What serves now, and since when and why."""
    before = f" in place of version {done.replaced}" if done.replaced else ""
    return f"{done.model}: version {done.version} is the champion{before} ({done.reason})."


def shadow_line(version: ModelVersion, figures: ShadowFigures) -> str:
    """How far a shadow agreed with what clients got."""
    name = f"{version.model} version {version.version}"
    if not figures.files:
        return f"{name} compared no file as a shadow."
    more = " (a sample: there are more)" if figures.is_sample else ""
    beside = ", ".join(figures.primary_versions)
    return (
        f"As a shadow of version {beside}, {name} gave {figures.agreed:,} of {figures.rows:,} rows "
        f"the same label ({figures.agreement:.1%}), over {figures.files:,} files{more}; "
        f"{figures.files_that_differ:,} of them differ. Mean confidence "
        f"{figures.shadow_confidence:.3f} against {figures.confidence:.3f}."
    )


def _traffic(routing: Routing) -> list[str]:
    lines: list[str] = []
    canary, stopped, shadow = routing.canary, routing.stopped, routing.shadow
    if canary is not None:
        lines.append(
            f"canary: version {canary.version} has {canary.percent:g} % of the accounts, since "
            f"{canary.since}"
        )
    elif stopped is not None:
        found = f": {stopped.found}" if stopped.found else ""
        lines.append(
            f"canary: version {stopped.version} was stopped at {stopped.at} "
            f"({stopped.reason}){found}"
        )
    if shadow is not None:
        lines.append(f"shadow: version {shadow.version} gets copies, since {shadow.since}")
    lines.extend(f"{tag} is ignored: {reason}" for tag, reason in sorted(routing.faults.items()))
    return lines


def _history(version: ModelVersion) -> str:
    told = [f"{name} {version.tags[tag]}" for tag, name in HISTORY.items() if version.tags.get(tag)]
    return ", ".join(told) or NONE


def _short(tag: Tag, value: str | None) -> str:
    if not value:
        return NONE
    is_digest = tag in (Tag.CONTRACT, Tag.DATA, Tag.DIGEST)
    return value[:DIGEST_CHARACTERS] if is_digest else value


def _distance(found: list[str]) -> str:
    try:
        first, second = (float(value) for value in found)
    except ValueError:
        return "" if found[0] == found[1] else "differs"
    return f"{second - first:+.4f}"


def _day(created_ms: int) -> str:
    if not created_ms:
        return NONE
    return datetime.fromtimestamp(created_ms / 1000, UTC).isoformat(" ", "minutes")[:16]
