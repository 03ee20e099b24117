"""What people see: labels, the time by stage against the budget, a trace as a tree."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from client.api import Model, Prediction
from client.local.spans import Branch, Span, grow_tree, trace_length_ms

BUDGET_MS = 1_000.0
BAR_CELLS = 24
PLAIN_WIDTH = 120
SHOWN_ROWS = 10
SHOWN_VIOLATIONS = 5
TOTAL = "total"


def make_console() -> Console:
    """A console as wide as the terminal; wide enough for a trace where there is none."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)


def labels_table(prediction: Prediction, shown: int = SHOWN_ROWS) -> RenderableType:
    """The first labels, and what was rejected."""
    counts = prediction.counts
    title = Text(
        f"{prediction.model} version {prediction.version}: {counts.labelled} labelled, "
        f"{counts.rejected} rejected of {counts.rows_read} rows"
    )
    table = Table()
    table.add_column("line", justify="right")
    table.add_column("label")
    table.add_column("confidence", justify="right")
    for row in prediction.rows[:shown]:
        table.add_row(str(row.line), Text(row.label), f"{row.confidence:.2f}")
    parts: list[RenderableType] = [title, table]
    if counts.labelled > shown:
        parts.append(Text(f"… and {counts.labelled - shown} more rows"))
    parts.extend(Text(violation.message) for violation in prediction.violations[:SHOWN_VIOLATIONS])
    if len(prediction.violations) > SHOWN_VIOLATIONS:
        parts.append(Text(f"… and {len(prediction.violations) - SHOWN_VIOLATIONS} more"))
    return Group(*parts)


def stages_table(stages: Mapping[str, float], budget_ms: float = BUDGET_MS) -> RenderableType:
    """Milliseconds by stage, in the order they were given, with their share of the total."""
    total = stages.get(TOTAL) or sum(stages.values())
    title = Text(f"{total:.1f} ms of the {budget_ms:.0f} ms budget ({total / budget_ms:.1%})")
    table = Table()
    table.add_column("stage")
    table.add_column("ms", justify="right")
    table.add_column("share of the time")
    for name, milliseconds in stages.items():
        if name != TOTAL:
            table.add_row(Text(name), f"{milliseconds:.2f}", _bar(milliseconds, total))
    table.add_row(TOTAL, f"{total:.2f}", "", style="bold")
    return Group(title, table)


def trace_tree(trace_id: str, spans: Sequence[Span]) -> RenderableType:
    """Every span of a trace under the one that caused it: service, name, start, duration."""
    tree = Tree(f"trace {trace_id}: {len(spans)} spans, {trace_length_ms(spans):.1f} ms")
    for root in grow_tree(spans):
        _add_branch(tree, root)
    return tree


def models_table(models: Sequence[Model]) -> RenderableType:
    """Every model that can be asked for, with its versions and what its aliases mean."""
    table = Table("model", "versions", "aliases")
    for model in models:
        aliases = ", ".join(f"{name} = {version}" for name, version in model.aliases.items())
        versions = ", ".join(each.version for each in model.versions)
        table.add_row(model.name, versions, aliases)
    return table


def _add_branch(tree: Tree, branch: Branch) -> None:
    span = branch.span
    line = Text.assemble(
        (f"{span.service} ", "cyan"),
        span.name,
        (f"  {span.milliseconds:.1f} ms", "bold"),
        (f"  (at {branch.offset_ms:.1f} ms)", "dim"),
        ("  failed" if span.is_error else "", "red"),
    )
    grown = tree.add(line)
    for each in branch.branches:
        _add_branch(grown, each)


def _bar(part: float, whole: float) -> str:
    return "█" * round(BAR_CELLS * part / whole) if whole else ""
