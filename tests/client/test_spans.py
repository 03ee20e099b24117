from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from client.local.spans import Branch, Span, grow_tree

IDS = st.sampled_from("abcdefgh")


def make_span(span_id: str, parent_id: str, start_ns: int) -> Span:
    return Span(
        trace_id="t",
        span_id=span_id,
        parent_id=parent_id,
        service="s",
        name="n",
        start_ns=start_ns,
        end_ns=start_ns + 1,
    )


def ids(branches: tuple[Branch, ...]) -> list[str]:
    return [each for branch in branches for each in (branch.span.span_id, *ids(branch.branches))]


@given(st.dictionaries(IDS, st.tuples(st.just(""), st.integers(0, 9))), st.data())
def test_every_span_appears_once_whatever_came_first(
    starts: dict[str, tuple[str, int]], data: st.DataObject
) -> None:
    names = sorted(starts)
    spans = []
    for position, name in enumerate(names):
        earlier = st.sampled_from([*names[:position], "unknown"])
        spans.append(make_span(name, data.draw(earlier), starts[name][1]))

    tree = grow_tree(data.draw(st.permutations(spans)))

    assert sorted(ids(tree)) == names


def test_branches_are_in_the_order_they_started() -> None:
    spans = [make_span("b", "a", 5), make_span("c", "a", 3), make_span("a", "", 1)]

    assert ids(grow_tree(spans)) == ["a", "c", "b"]


def test_no_spans_make_no_tree() -> None:
    assert grow_tree([]) == ()
