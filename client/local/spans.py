"""Finished spans, and the one tree that a trace's spans make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

NANOSECONDS_A_MILLISECOND = 1_000_000


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One finished span. Ids are lower-case hexadecimal; times are nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent_id: str
    service: str
    name: str
    start_ns: int
    end_ns: int
    is_error: bool = False
    links: tuple[str, ...] = ()

    @property
    def milliseconds(self) -> float:
        """How long it took."""
        return (self.end_ns - self.start_ns) / NANOSECONDS_A_MILLISECOND


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """A span and what it caused. ``offset_ms`` is its start, from the start of the trace."""

    span: Span
    offset_ms: float
    branches: tuple[Branch, ...]


def grow_tree(spans: Sequence[Span]) -> tuple[Branch, ...]:
    """The trace's roots, each with its branches in the order they started.

    A span whose parent was never exported (it belongs to the caller) is a root.
    """
    if not spans:
        return ()
    known = {span.span_id for span in spans}
    children: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda each: each.start_ns):
        parent = span.parent_id if span.parent_id in known else ""
        children.setdefault(parent, []).append(span)
    origin = min(span.start_ns for span in spans)
    return _branches("", children, origin)


def trace_length_ms(spans: Iterable[Span]) -> float:
    """From the first span's start to the last one's end."""
    times = [(span.start_ns, span.end_ns) for span in spans]
    first, last = min(start for start, _ in times), max(end for _, end in times)
    return (last - first) / NANOSECONDS_A_MILLISECOND


def _branches(
    parent: str, children: Mapping[str, Sequence[Span]], origin: int
) -> tuple[Branch, ...]:
    return tuple(
        Branch(
            span=span,
            offset_ms=(span.start_ns - origin) / NANOSECONDS_A_MILLISECOND,
            branches=_branches(span.span_id, children, origin),
        )
        for span in children.get(parent, ())
    )
