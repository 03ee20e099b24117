from __future__ import annotations

from rich.console import Console, RenderableType

from client.api import Counts, LabelledRow, Model, ModelVersion, Prediction
from client.local.spans import Span
from client.screen import labels_table, models_table, stages_table, trace_tree
from common.messages import Violation

MILLISECOND = 1_000_000


def text_of(shown: RenderableType) -> str:
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(shown)
    return capture.get()


def make_span(span_id: str, parent_id: str, start_ms: int, *, service: str, name: str) -> Span:
    return Span(
        trace_id="7",
        span_id=span_id,
        parent_id=parent_id,
        service=service,
        name=name,
        start_ns=start_ms * MILLISECOND,
        end_ns=(start_ms + 5) * MILLISECOND,
    )


def make_prediction(rows: int, violations: int) -> Prediction:
    return Prediction(
        id="1",
        model="card-accounts",
        version="3",
        counts=Counts(rows + violations, rows, violations),
        rows=[LabelledRow(line, "[bold]SERVIÇO", 0.5) for line in range(2, rows + 2)],
        violations=[
            Violation(code="bad", line=line, column=None, message=f"Line {line} is bad.")
            for line in range(90, 90 + violations)
        ],
    )


def test_the_labels_table_shows_the_first_rows_and_counts_the_others() -> None:
    shown = text_of(labels_table(make_prediction(rows=4, violations=7), shown=3))

    assert "version 3: 4 labelled, 7 rejected of 11 rows" in shown
    assert shown.count("SERVIÇO") == 3
    assert "… and 1 more rows" in shown
    assert "Line 94 is bad." in shown
    assert "Line 95" not in shown
    assert "… and 2 more" in shown


def test_a_label_that_looks_like_markup_is_shown_as_it_is() -> None:
    assert "[bold]SERVIÇO" in text_of(labels_table(make_prediction(rows=1, violations=0)))


def test_the_stages_are_compared_with_the_budget() -> None:
    shown = text_of(stages_table({"read": 30.0, "queue": 10.0, "total": 40.0}))

    assert "40.0 ms of the 1000 ms budget (4.0%)" in shown
    bars = {line.split()[1]: line.count("█") for line in shown.splitlines() if "█" in line}
    assert bars == {"read": 18, "queue": 6}


def test_stages_without_a_total_are_added_up() -> None:
    assert "40.0 ms of" in text_of(stages_table({"read": 30.0, "queue": 10.0}))


def test_a_trace_hangs_each_span_under_the_one_that_caused_it() -> None:
    spans = [
        make_span("b", "a", 12, service="consumer", name="predict"),
        make_span("a", "caller", 10, service="producer", name="POST"),
    ]

    first, second, third = text_of(trace_tree("7", spans)).splitlines()

    assert first == "trace 7: 2 spans, 7.0 ms"
    assert second == "└── producer POST  5.0 ms  (at 0.0 ms)"
    assert third == "    └── consumer predict  5.0 ms  (at 2.0 ms)"


def test_models_are_listed_with_what_their_aliases_mean() -> None:
    model = Model(name="cards", aliases={"champion": "2"}, versions=[ModelVersion(version="2")])

    shown = text_of(models_table([model]))

    assert "cards" in shown
    assert "champion = 2" in shown
